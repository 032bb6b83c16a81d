"""Masks from the shapes that annotators draw, by COCO's own rules (pycocotools): what is filled is what COCO fills."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from curation.labels.label import Mask
from learning.errors import DataError

_CORNERS = 3


def from_polygons(polygons: Sequence[Sequence[float]], height: int, width: int) -> Mask:
    """Fill polygons.

    Args:
        polygons: Each ``x, y, x, y, …`` in pixels; all parts of one region.
        height: Of the image.
        width: Of the image.

    Returns:
        ``[H, W]``. Where they lie within each other, the inner one is filled too.

    Raises:
        DataError: A polygon has fewer than three corners, or an odd number of coordinates.
    """
    from pycocotools import mask as coco

    for polygon in polygons:
        if len(polygon) % 2 or len(polygon) < 2 * _CORNERS:
            msg = f"a polygon has {len(polygon)} coordinates; pairs of at least three corners are needed"
            raise DataError(msg)
    codes = coco.frPyObjects([list(map(float, polygon)) for polygon in polygons], height, width)
    return np.asarray(coco.decode(codes).any(axis=2))


def from_rle(code: Any, height: int, width: int) -> Mask:
    """Decode COCO's run lengths, compressed or not: ``{"size": [H, W], "counts": …}``.

    Raises:
        DataError: They are of another size, or damaged.
    """
    from pycocotools import mask as coco

    try:
        size = [int(value) for value in code["size"]]
        if size == [height, width]:
            counts = code["counts"]
            whole = coco.frPyObjects(code, height, width) if isinstance(counts, list) else code
            return np.asarray(coco.decode(whole), dtype=bool)
    except (KeyError, TypeError, ValueError) as error:
        msg = f"run lengths cannot be read: {error}"
        raise DataError(msg) from error
    msg = f"run lengths are of {size[1]} × {size[0]} pixels, the image of {width} × {height}"
    raise DataError(msg)


def from_box(left: float, top: float, wide: float, high: float, height: int, width: int) -> Mask:
    """Fill a box, in pixels: every pixel that it reaches."""
    mask = np.zeros((height, width), dtype=bool)
    right, bottom = int(np.ceil(left + wide)), int(np.ceil(top + high))
    mask[max(0, int(top)) : max(0, bottom), max(0, int(left)) : max(0, right)] = True
    return mask
