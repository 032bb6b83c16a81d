"""The kinds of parts there are, and pictures of single parts, good and defective."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.errors import SynthError
from synth.parts import board, fastener, label, tile
from synth.parts.camera import another_exposure, draw_camera, photograph
from synth.parts.defects import DEFECTS, MOSTLY_CLEAR, draw_severity
from synth.parts.lots import Lot
from synth.parts.marks import Part
from synth.parts.scene import Scene

VISIBLE = 3
"""A pixel belongs to a defect's mask when it differs by at least this many of 255 levels."""

SMALLEST = 64
"""Least side of a picture, in pixels."""

_SMOOTH = 192
"""Smaller pictures are rendered larger and averaged, so that threads and bars do not alias."""

_SEEN = 6
"""A defect is drawn again, worse, until so many pixels of a 256² picture show it."""


@dataclass(frozen=True)
class Kind:
    """A kind of part and the station that photographs it.

    Attributes:
        draw: Draws the plan of a good part of a lot.
        build: Puts a plan under the camera.
        azimuth: Where the station's light comes from, in radians.
        gain: The station's exposure.
    """

    draw: Callable[[np.random.Generator, Lot], Any]
    build: Callable[[Any, int], Scene]
    azimuth: float
    gain: float


KINDS: Mapping[str, Kind] = {
    "tile": Kind(tile.draw, tile.build, azimuth=-0.7, gain=1.3),
    "fastener": Kind(fastener.draw, fastener.build, azimuth=-1.1, gain=1.6),
    "label": Kind(label.draw, label.build, azimuth=-2.3, gain=1.35),
    "board": Kind(board.draw, board.build, azimuth=-2.0, gain=1.5),
}
"""Kinds of parts by name."""


@dataclass(frozen=True)
class Picture:
    """One part as the line camera sees it.

    Attributes:
        images: One ``[size, size]`` picture of 8 bits for each exposure.
        masks: For each exposure, ``[size, size]`` bool, the pixels where the defect changed the picture by at least
            ``VISIBLE`` levels; all false on a good part.
        label: ``good`` or the name of the defect.
        severity: 0 (hardly visible) to 1 (clear); 0 on a good part.
    """

    images: list[NDArray[np.uint8]]
    masks: list[NDArray[np.bool_]]
    label: str
    severity: float


def make_part(
    kind: str,
    lot: Lot,
    rng: np.random.Generator,
    *,
    defect: str | None = None,
    severity: float | None = None,
    clarity: float = MOSTLY_CLEAR,
    size: int = 256,
    exposures: int = 1,
) -> Picture:
    """Make one part and photograph it.

    Args:
        kind: One of ``KINDS``.
        lot: The lot it comes from.
        rng: Everything follows from it.
        defect: One of the kind's ``DEFECTS``, or None for a good part.
        severity: 0..1; drawn where None.
        clarity: What it is drawn by; see ``draw_severity``.
        size: Side of the picture in pixels, at least ``SMALLEST``.
        exposures: Pictures of the same part, lit from different sides.

    Raises:
        SynthError: If there is no such kind or defect, or the size or number of exposures is too small.
    """
    station = checked_kind(kind)
    if size < SMALLEST or exposures < 1:
        msg = f"parts are drawn at {SMALLEST} pixels or more, with at least one exposure; got {size} and {exposures}"
        raise SynthError(msg)
    if defect is not None and defect not in DEFECTS[kind]:
        msg = f"a {kind} has no defect {defect!r}; choose from {', '.join(DEFECTS[kind])}"
        raise SynthError(msg)
    rendered = size * -(-_SMOOTH // size)
    plan = station.draw(rng, lot)
    cameras = [draw_camera(rng, station.azimuth, station.gain * lot.gain)]
    while len(cameras) < exposures:
        cameras.append(another_exposure(cameras[-1], rng))
    scene = station.build(plan, rendered)
    good = [photograph(scene, camera, size) for camera in cameras]
    if defect is None:
        return Picture(good, [np.zeros(image.shape, dtype=bool) for image in good], "good", 0.0)

    part = Part(plan, scene, lambda changed: station.build(changed, rendered))
    degree = draw_severity(rng, clarity) if severity is None else severity
    while True:
        flawed = DEFECTS[kind][defect](part, rng, degree)
        images = [photograph(flawed, camera, size) for camera in cameras]
        masks = [changed(before, after) for before, after in zip(good, images, strict=True)]
        if degree >= 1 or max(int(mask.sum()) for mask in masks) >= max(1, _SEEN * (size / 256) ** 2):
            return Picture(images, masks, defect, degree)
        degree = min(degree + 0.15, 1.0)


def changed(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels that differ by at least ``VISIBLE`` levels."""
    return np.abs(after.astype(np.int16) - before.astype(np.int16)) >= VISIBLE


def checked_kind(name: str) -> Kind:
    """The kind of that name.

    Raises:
        SynthError: If there is none.
    """
    if name not in KINDS:
        msg = f"there is no kind of part {name!r}; choose from {', '.join(KINDS)}"
        raise SynthError(msg)
    return KINDS[name]
