"""Noisy grey surfaces, good or with a dark spot: what every detector has to tell apart after a short training."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from learning.images.image_set import ImageSet
from learning.images.preprocessing import Preprocessing
from learning.images.records import ImageRecord

SIDE = 64


def good_parts(folder: Path, count: int, random: np.random.Generator) -> ImageSet:
    """Write good parts."""
    paths = [folder / f"{i:02}.png" for i in range(count)]
    for path in paths:
        Image.fromarray(_surface(random).clip(0, 255).astype(np.uint8)).save(path)
    records = [ImageRecord(path, label="good") for path in paths]
    return ImageSet(records, Preprocessing(channels=1, height=SIDE, width=SIDE))


def spotted(random: np.random.Generator, side: int = 10, depth: int = 45) -> tuple[Tensor, np.ndarray]:
    """Images ``[24, 1, 64, 64]``, the first twelve with a spot, and where it is, ``[24, 64, 64]`` bool."""
    pictures, masks = np.stack([_surface(random) for _ in range(24)]), np.zeros((24, SIDE, SIDE), dtype=bool)
    for i in range(12):
        top, left = random.integers(8, SIDE - 10 - side, 2)
        masks[i, top : top + side, left : left + side] = True
    pictures[masks] -= depth
    return torch.from_numpy(pictures / 255).float()[:, None], masks


def _surface(random: np.random.Generator) -> np.ndarray:
    return 120 + random.normal(0, 5, (SIDE, SIDE))
