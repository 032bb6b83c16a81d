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
    try:
        high, wide = map(int, code["size"])
        if (high, wide) != (height, width):
            msg = f"run lengths are of {wide} × {high} pixels, the image of {width} × {height}"
            raise DataError(msg)
        counts = code["counts"]
        lengths = [int(count) for count in counts] if isinstance(counts, list) else _run_lengths(counts)
    except (KeyError, TypeError, ValueError) as error:
        msg = "run lengths cannot be read: their size or counts are missing or damaged"
        raise DataError(msg) from error
    # pycocotools 2.0.11 reads on in foreign memory where they are cut off, and gives a mask all the same.
    if sum(lengths) != height * width or min(lengths) < 0:
        msg = f"run lengths come to {sum(lengths)} pixels, and not to the {width} × {height} of the image"
        raise DataError(msg)
    marked = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    return np.ascontiguousarray(marked.reshape(width, height).T)


def _run_lengths(text: str | bytes) -> list[int]:
    """COCO's compressed run lengths: five bits a character, the lowest first, from the fourth on as differences.

    They are differences to the last but one, which is of the same colour.

    Raises:
        ValueError: A character is none of COCO's, or the last number is not finished.
    """
    lengths: list[int] = []
    value, shift = 0, 0
    for character in text.encode() if isinstance(text, str) else text:
        five = character - 48
        if not 0 <= five < 64:
            raise ValueError(character)
        value |= (five & 31) << shift
        shift += 5
        if five & 32:
            continue
        if five & 16:
            value -= 1 << shift
        lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
        value, shift = 0, 0
    if shift:
        raise ValueError(text)
    return lengths


def from_box(left: float, top: float, wide: float, high: float, height: int, width: int) -> Mask:
    """Fill a box, in pixels: every pixel that it reaches."""
    mask = np.zeros((height, width), dtype=bool)
    right, bottom = int(np.ceil(left + wide)), int(np.ceil(top + high))
    mask[max(0, int(top)) : max(0, bottom), max(0, int(left)) : max(0, right)] = True
    return mask
