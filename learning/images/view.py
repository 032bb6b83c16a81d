"""Whether the part is better cut out of its picture: chosen by good parts alone."""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from learning.errors import DataError
from learning.images.pixels import read_image
from learning.images.pose import Axis, Box, Extent, Part, bounding_box, find_part, main_axis, usual_profile
from learning.images.preprocessing import PartView, Preprocessing

_LOOKED_AT = 32
_READERS = 4

_LEAST_FOUND = 0.95
"""Share of the good parts that must be told from their background."""

_LARGEST_SHARE = 0.8
"""Of the picture, that a crop may cover; beyond it, little is won."""

_LEAST_ELONGATION = 1.3
"""Shapes rounder than this have no axis to turn them by."""

_LEAST_SKEWNESS = 0.15
"""Shapes more even than this have no end to tell from the other."""

_SAME_POSE = 0.97
"""Mean resultant length of the directions of parts that lie all alike, within some 14 degrees; they are not turned."""

_MARGIN = 0.06
"""Background around a part, on each side, as a share of the crop's shorter side."""

_MOST_ENLARGED = 1.6
"""Pixels of the crop for one of the picture, along a side: more add work and no detail."""

_MULTIPLE = 16
"""Sides of a crop, so that networks halve it without a rest."""


@dataclass(frozen=True)
class _Seen:
    part: Part
    axis: Axis
    size: tuple[int, int]


def choose_view(
    preprocessing: Preprocessing, paths: Sequence[Path], view: Literal["auto", "whole", "part"]
) -> tuple[Preprocessing, str]:
    """Decide how the part is shown, by looking at up to 32 good images, evenly spaced.

    The part is cut out where it is found in nearly all of them and leaves much of the picture to the background. It is
    turned as well where it has a clear axis and lies at different angles. The crop has about as many pixels as
    ``preprocessing`` has, in the proportion of the part, but not many more than the picture has there.

    Args:
        preprocessing: Of the whole picture.
        paths: Good images.
        view: ``whole`` and ``part`` leave no choice.

    Returns:
        The preprocessing, and what was chosen and why, in words.

    Raises:
        DataError: If ``part`` is wanted and no part can be found, or an image cannot be read.
    """
    if view == "whole":
        return preprocessing, "the whole picture, as configured"
    chosen = np.unique(np.linspace(0, len(paths) - 1, min(_LOOKED_AT, len(paths))).round().astype(int))
    looked = _look_at([paths[i] for i in chosen])
    seen = [one for one in looked if one is not None]
    if seen:
        # Now that it is known how large parts are, they are found where a first look was misled.
        looked = _look_at([paths[i] for i in chosen], _usual(seen))
        seen = [one for one in looked if one is not None]
    found = len(seen) / len(looked)
    if found < _LEAST_FOUND and (view == "auto" or not seen):
        text = f"the part is told from its background in {len(seen)} of {len(looked)} good images only"
        if view == "part":
            msg = f"view part: {text}; use view whole, or a background that differs from the part"
            raise DataError(msg)
        return preprocessing, f"the whole picture: {text}"
    turn = _is_turned([one.axis for one in seen])
    boxes = [bounding_box(one.part, one.axis.angle if turn else 0.0) for one in seen]
    long, short = _extent(boxes, [one.size for one in seen])
    share = long * short
    if share > _LARGEST_SHARE and view == "auto":
        return preprocessing, f"the whole picture: the part takes {100 * share:.0f} % of it"
    pixels = float(np.median([math.sqrt(height * width) for height, width in (one.size for one in seen)]))
    scale = min(math.sqrt(preprocessing.height * preprocessing.width / share), _MOST_ENLARGED * pixels)
    width, height = (max(_MULTIPLE, round(side * scale / _MULTIPLE) * _MULTIPLE) for side in (long, short))
    # What rounding took off one side is given back by showing the part a little smaller.
    usual = _usual(seen)
    part = PartView(
        turn=turn,
        reach=width * max(long / width, short / height),
        length=usual.length,
        breadth=usual.breadth,
        profile=_profile(seen) if turn else None,
    )
    how = "cut out and turned by its axis" if turn else "cut out"
    text = f"the part, {how}: {100 * share:.0f} % of the picture; found in {len(seen)} of {len(looked)} good images"
    return preprocessing.model_copy(update={"width": width, "height": height, "part": part}), text


def _look_at(paths: Sequence[Path], usual: Extent | None = None) -> list[_Seen | None]:
    """Find the part in each image, read by several threads."""

    def look(path: Path) -> _Seen | None:
        image = read_image(path)
        part = find_part(image, usual)
        return None if part is None else _Seen(part, main_axis(part), (image.shape[-2], image.shape[-1]))

    with ThreadPoolExecutor(_READERS) as pool:
        return list(pool.map(look, paths))


def _usual(seen: Sequence[_Seen]) -> Extent:
    """How large parts are: the median, which a few that were not found rightly do not move."""
    turn = _is_turned([one.axis for one in seen])
    roots = np.array([math.sqrt(height * width) for height, width in (one.size for one in seen)])
    boxes = [bounding_box(one.part, one.axis.angle if turn else 0.0) for one in seen]
    length, breadth = (np.array([getattr(box, side) for box in boxes]) / roots for side in ("length", "breadth"))
    return Extent(float(np.median(length)), float(np.median(breadth)), turn)


def _profile(seen: Sequence[_Seen]) -> tuple[float, ...] | None:
    usual = usual_profile([one.part.profile(bounding_box(one.part, one.axis.angle)) for one in seen])
    return None if usual is None else tuple(usual.tolist())


def _is_turned(axes: Sequence[Axis]) -> bool:
    """Whether parts have a clear axis and lie at different angles."""
    if np.median([axis.elongation for axis in axes]) < _LEAST_ELONGATION:
        return False
    angles = np.array([axis.angle for axis in axes])
    # Where both ends are alike, directions count twice around: an axis that points left lies as one that points right.
    fold = 1 if np.median([axis.skewness for axis in axes]) >= _LEAST_SKEWNESS else 2
    return bool(abs(np.exp(1j * fold * angles).mean()) < _SAME_POSE)


def _extent(boxes: Sequence[Box], sizes: Sequence[tuple[int, int]]) -> tuple[float, float]:
    """Length and breadth that hold nearly all parts and a margin, in square roots of the picture's area."""
    roots = np.array([math.sqrt(height * width) for height, width in sizes])
    length = float(np.quantile(np.array([box.length for box in boxes]) / roots, 0.98))
    breadth = float(np.quantile(np.array([box.breadth for box in boxes]) / roots, 0.98))
    margin = 2 * _MARGIN * max(min(length, breadth), 0.1)
    return length + margin, breadth + margin
