"""Patches around defects, and the space of a detector in which they are compared."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learning.images.pixels import read_image
from learning.images.preprocessing import Preprocessing
from learning.progress import Progress, silent
from learning.realism.defects import Box

Floats = NDArray[np.float64]

_WINDOW = 1 / 3
"""Side of a patch, over that of what a detector sees."""

_MARGIN = 1.25
"""A patch is at least this much longer than its defect."""

_STRIDE = 16
_BATCH = 32


@dataclass(frozen=True)
class Spot:
    """A place in an image that a patch is cut from."""

    image: Path
    box: Box


def window_around(box: Box, height: int, width: int) -> Box:
    """Place a patch around a defect: a third of the image, or more where the defect is larger; inside the image."""
    centre = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    share = max(_WINDOW, _MARGIN * (box[2] - box[0]) / width, _MARGIN * (box[3] - box[1]) / height)
    across, down = (min(side, max(1, round(share * side))) for side in (width, height))
    left = int(np.clip(round(centre[0] - across / 2), 0, width - across))
    top = int(np.clip(round(centre[1] - down / 2), 0, height - down))
    return left, top, left + across, top + down


def embed_spots(
    spots: Sequence[Spot],
    embed: Callable[[Tensor], Tensor],
    preprocessing: Preprocessing,
    progress: Progress = silent,
    text: str = "embedding patches",
) -> Floats:
    """Embed the patches around some places.

    A patch has the scale at which the detector sees the whole image, unless it had to be larger for its defect.

    Args:
        spots: Where; those of one image one after the other are read once.
        embed: A detector's: ``[B, C, h, w]`` to ``[B, D]``.
        preprocessing: The detector's; patches get a third of its size.
        progress: Told the number of patches.
        text: What the progress says.

    Returns:
        ``[N, D]``.

    Raises:
        DataError: If an image cannot be read.
    """
    sides = {
        name: max(2 * _STRIDE, round(side * _WINDOW / _STRIDE) * _STRIDE)
        for name, side in (("height", preprocessing.height), ("width", preprocessing.width))
    }
    small = preprocessing.model_copy(update=sides)
    embedded = []
    batch: list[Tensor] = []
    read: Path | None = None
    pixels = torch.empty(0)
    for done, spot in enumerate(spots, 1):
        if spot.image != read:
            read, pixels = spot.image, read_image(spot.image)
        left, top, right, bottom = window_around(spot.box, pixels.shape[-2], pixels.shape[-1])
        batch.append(small.apply(pixels[:, top:bottom, left:right]))
        if len(batch) == _BATCH or done == len(spots):
            embedded.append(embed(torch.stack(batch)).double().cpu().numpy())
            batch = []
            progress(done, len(spots), text)
    return np.concatenate(embedded)


def directions(embeddings: Floats, centre: Floats) -> Floats:
    """Embeddings as directions away from a centre, brought to length ``sqrt(D)``; ``[N, D]``.

    A kernel of directions is bounded: one odd patch cannot decide a distance, and distances of detectors whose
    features have other scales can be compared. How strong a defect is, its contrast tells.
    """
    moved = embeddings - centre
    lengths = np.linalg.norm(moved, axis=1, keepdims=True)
    turned: Floats = moved / np.maximum(lengths, 1e-12) * np.sqrt(moved.shape[1])
    return turned
