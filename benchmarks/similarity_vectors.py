"""Embeddings that searches are measured on."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from benchmarks.synthesis import good_pictures
from learning.backbones.config import BackboneConfig
from learning.backbones.factory import create_backbone
from learning.images.readers import read_data, read_image
from learning.images.records import GOOD, UNLABELLED

BACKBONE = BackboneConfig(name="resnet18", levels=(4,))
_SIDE = 256
_SHIFTS = 32
"""A picture is embedded in windows 32 pixels apart; the next time all are shifted, turned over or lit otherwise."""


def isotropic(count: int, dims: int, seed: int) -> np.ndarray:
    """Normal vectors ``[count, dims]`` without any structure: the hardest to find neighbours among."""
    rng = np.random.default_rng(seed)
    vectors = np.empty((count, dims), dtype=np.float32)
    for start in range(0, count, 65_536):
        block = vectors[start : start + 65_536]
        block[:] = rng.standard_normal(block.shape, dtype=np.float32)
    return vectors


def of_pictures(data: Path | None, count: int, seed: int) -> np.ndarray:
    """Embeddings ``[count, 512]`` of windows of pictures, in random order.

    By a ResNet-18 whose weights are drawn at random: the last feature map's values at each place, of pictures that are
    shifted, mirrored and lit otherwise for each pass over them, until there are enough.

    Args:
        data: A data set, whose good parts for training are read; None for made-up parts.
        count: How many.
        seed: Of weights, augmentation and made-up parts.
    """
    network = create_backbone(BACKBONE, 1, seed).network.eval()
    found: list[np.ndarray] = []
    with torch.inference_mode():
        for picture in _augmented(_pictures(data, seed), seed):
            found.append(network(picture)[0][0].flatten(1).T.numpy().astype(np.float32))
            if sum(map(len, found)) >= count:
                break
    vectors = np.concatenate(found)
    return vectors[np.random.default_rng(seed).permutation(len(vectors))[:count]]


def _pictures(data: Path | None, seed: int) -> list[torch.Tensor]:
    """Grey pictures ``[1, 1, 256, 256]``, 0..1."""
    if data is None:
        made = torch.from_numpy(good_pictures(_SIDE, seed))
        return [picture[None, None].float() / 255 for picture in made]
    files = [record.path for record in read_data(data) if record.label in (GOOD, UNLABELLED) and record.split != "test"]
    grey = (read_image(file).mean(0, keepdim=True)[None] for file in files)
    return [functional.interpolate(picture, (_SIDE, _SIDE), mode="bilinear", antialias=True) for picture in grey]


def _augmented(pictures: list[torch.Tensor], seed: int) -> Iterator[torch.Tensor]:
    rng = np.random.default_rng(seed)
    while True:
        for picture in pictures:
            top, left = rng.integers(0, _SHIFTS, 2)
            moved = torch.roll(picture, (int(top), int(left)), (2, 3))
            turned = moved.flip([axis for axis in (2, 3) if rng.random() < 0.5])
            yield (turned * float(rng.uniform(0.8, 1.2))).clamp(0, 1)
