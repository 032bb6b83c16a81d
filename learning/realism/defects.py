"""Defects as regions of masks, and what can be measured of each: size, contrast, place."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from synth.foreground import foreground

_CELLS = 64
"""Pieces of a mask belong together where less than this part of the shorter side lies between them."""

MOST_REGIONS = 8
"""Of one image, the largest: a hundred specks must not outweigh a hundred parts."""

_RING = 0.03
"""Width of the surroundings that a defect is compared with, over the shorter side."""

_PART_SIDE = 256
"""The part is looked for at this size: where its border is to a pixel does not matter here."""

Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels, right and bottom exclusive."""


@dataclass(frozen=True)
class Measured:
    """What can be measured of a defect.

    Attributes:
        box: Around it, in pixels.
        area: Share of the image's pixels, 0..1.
        length: Longer side of the box, over the image's shorter side.
        contrast: Mean inside less mean of the surroundings, of the channel where they differ most; -1..1.
        across: Centre along x, 0 at the left border of the part and 1 at the right one.
        down: Centre along y, 0 at the top.
    """

    box: Box
    area: float
    length: float
    contrast: float
    across: float
    down: float


def measure_defects(image: Tensor, mask: Tensor) -> list[Measured]:
    """Measure every defect in an image, the largest first, 8 at most.

    Args:
        image: ``[C, H, W]``, 0..1.
        mask: ``[H, W]`` bool; an empty one gives an empty list.

    Raises:
        ValueError: If the mask is not of the image's size.
    """
    if mask.shape != image.shape[-2:]:
        msg = f"a mask of {list(mask.shape)} does not fit an image of {list(image.shape[-2:])}"
        raise ValueError(msg)
    marked = mask.cpu().numpy()
    if not marked.any():
        return []
    pixels = image.cpu().numpy()
    left, top, right, bottom = part_box(image)
    height, width = marked.shape
    measured = []
    for region in _regions(marked):
        down, across = np.nonzero(region)
        box = int(across.min()), int(down.min()), int(across.max()) + 1, int(down.max()) + 1
        measured.append(
            Measured(
                box=box,
                area=len(down) / marked.size,
                length=max(box[2] - box[0], box[3] - box[1]) / min(height, width),
                contrast=_contrast(pixels, region, marked, box),
                across=float(np.clip((across.mean() + 0.5 - left) / (right - left), 0, 1)),
                down=float(np.clip((down.mean() + 0.5 - top) / (bottom - top), 0, 1)),
            )
        )
    return measured


def part_box(image: Tensor) -> Box:
    """Box around the part in an image ``[C, H, W]``; all of it where no part can be told from its background."""
    height, width = image.shape[-2:]
    scale = min(1.0, _PART_SIDE / min(height, width))
    size = max(8, round(height * scale)), max(8, round(width * scale))
    small = torch.nn.functional.interpolate(image[None], size, mode="bilinear", antialias=True).clamp(0, 1)
    found = foreground(small)[0][0, 0] > 0
    rows, columns = (torch.nonzero(found.any(dim=dim)).flatten().tolist() for dim in (1, 0))
    y, x = height / size[0], width / size[1]
    return round(columns[0] * x), round(rows[0] * y), round((columns[-1] + 1) * x), round((rows[-1] + 1) * y)


def _regions(marked: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """Pieces that lie close together as one region each, the largest first.

    Closeness is told on a coarse grid, whose cells belong together where they touch: it costs the same for two pieces
    as for a grainy flaw of ten thousand.
    """
    cell = max(2, -(-min(marked.shape) // _CELLS))
    down, across = np.nonzero(marked)
    coarse = np.zeros((marked.shape[0] // cell + 1, marked.shape[1] // cell + 1), dtype=bool)
    coarse[down // cell, across // cell] = True
    labels, count = ndimage.label(coarse, structure=np.ones((3, 3)))
    of_pixel = labels[down // cell, across // cell]
    areas = np.bincount(of_pixel, minlength=count + 1)
    regions = []
    for label in np.argsort(-areas[1:], kind="stable")[:MOST_REGIONS] + 1:
        region = np.zeros_like(marked)
        mine = of_pixel == label
        region[down[mine], across[mine]] = True
        regions.append(region)
    return regions


def _contrast(pixels: NDArray[np.float32], region: NDArray[np.bool_], marked: NDArray[np.bool_], box: Box) -> float:
    """Signed difference to a ring of pixels that belong to no defect; 0 where there are none."""
    reach = max(2, round(_RING * min(marked.shape)))
    left, top, right, bottom = box
    window = (slice(max(0, top - reach), bottom + reach), slice(max(0, left - reach), right + reach))
    inside = region[window]
    ring = (ndimage.distance_transform_edt(~inside) <= reach) & ~marked[window]
    if not ring.any():
        return 0.0
    seen = pixels[(slice(None), *window)]
    difference = seen[:, inside].mean(axis=1) - seen[:, ring].mean(axis=1)
    return float(difference[np.abs(difference).argmax()])
