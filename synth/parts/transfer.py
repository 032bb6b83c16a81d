"""Defects of made-up parts, brought onto pictures of real ones: for choosing detectors, never for training them.

What a defect does to the light of a plain plate is a factor for every pixel. Multiplied onto a picture of a good part
it gives a defect that was drawn by none of the flaw families, with the part's own surface under it.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from synth.errors import SynthError
from synth.parts.camera import draw_camera, radiance
from synth.parts.defects import (
    burr,
    chatter,
    crack,
    draw_severity,
    inclusion,
    ink_spots,
    pits,
    scratch,
    stain,
    wrinkle,
)
from synth.parts.marks import Defect, Part
from synth.parts.scene import Array, Pose, Scene, cloud, coordinates

TRANSFERRED: Mapping[str, Defect] = {
    "burr": burr,
    "chatter": chatter,
    "crack": crack,
    "inclusion": inclusion,
    "ink_spots": ink_spots,
    "pits": pits,
    "scratch": scratch,
    "stain": stain,
    "wrinkle": wrinkle,
}
"""Defects that need nothing of the part but its surface."""

KINDS_TRANSFERRED = (*TRANSFERRED, "broken")
"""All that ``transfer`` takes."""

_SEEN = 12
"""A defect is drawn again, worse, until so many pixels of a 256² picture show it."""

_VISIBLE = 0.03
"""Relative change of a pixel's light that counts for that."""

_TRIES = 12

_LEAST_WINDOW = 48
"""Side in pixels; on less, defects would be smaller than a pixel."""


def transfer(
    image: NDArray[np.float32],
    name: str,
    rng: np.random.Generator,
    cover: NDArray[np.bool_] | None = None,
    severity: float | None = None,
) -> NDArray[np.float32]:
    """Put a defect on a picture of a good part.

    Args:
        image: ``[C, S, S]``, 0..1.
        name: One of ``TRANSFERRED``, or ``broken``: a corner or a side of the picture that has broken off.
        rng: Everything follows from it.
        cover: ``[S, S]``, where the part is; None is everywhere.
        severity: 0..1; drawn as lines meet it where None.

    Returns:
        ``[C, S, S]``, 0..1.

    Raises:
        SynthError: If there is no such defect, or the picture is not square.
    """
    size = image.shape[-1]
    if image.shape[-2] != size:
        msg = f"defects are transferred onto square pictures, not {image.shape[-2]} x {size}"
        raise SynthError(msg)
    degree = draw_severity(rng) if severity is None else severity
    on = np.ones((size, size), dtype=np.float32) if cover is None else cover.astype(np.float32)
    if name == "broken":
        return _broken(image, rng, degree, on)
    if name not in TRANSFERRED:
        msg = f"no defect {name!r} can be transferred; choose from broken, {', '.join(TRANSFERRED)}"
        raise SynthError(msg)
    factor: Array = np.ones((size, size), dtype=np.float32)
    for _ in range(_TRIES):
        factor = _factor(TRANSFERRED[name], rng, degree, size, on)
        if np.count_nonzero(np.abs(factor - 1) * on > _VISIBLE) >= max(2, _SEEN * (size / 256) ** 2):
            break
        degree = min(degree + 0.15, 1.0)
    return np.clip(image * (1 + (factor - 1) * on), 0, 1).astype(np.float32)


def transfer_anywhere(
    image: NDArray[np.float32], name: str, rng: np.random.Generator, severity: float | None = None
) -> NDArray[np.float32]:
    """Put a defect on a picture of any shape, ``[C, H, W]``, at a random place and of a random size.

    It is drawn on a square window, a third of the picture's longer side or more; ``broken`` lies in a corner.
    Arguments, result and errors as in ``transfer``.
    """
    height, width = image.shape[-2:]
    shorter, longer = min(height, width), max(height, width)
    side = shorter
    if name != "broken":
        side = int(min(shorter, max(_LEAST_WINDOW, longer * np.exp(rng.uniform(np.log(1 / 3), 0)))))
    top, left = rng.integers(0, height - side + 1), rng.integers(0, width - side + 1)
    if name == "broken":
        top, left = rng.choice([0, height - side]), rng.choice([0, width - side])
    flawed = image.copy()
    window = (slice(None), slice(top, top + side), slice(left, left + side))
    flawed[window] = transfer(image[window], name, rng, severity=severity)
    return flawed


def _factor(defect: Defect, rng: np.random.Generator, severity: float, size: int, on: Array) -> Array:
    """How much lighter or darker a plain plate becomes, pixel by pixel."""
    zero = np.zeros((size, size), dtype=np.float32)
    u, v = coordinates(size, Pose(0.0, 0.0, rng.uniform(-np.pi, np.pi)))
    plate = Scene(zero, zero + 0.36, zero + 0.2, on, u, v, shine=14.0, lift=0.0)
    camera = draw_camera(rng, rng.uniform(-np.pi, np.pi), 1.0)
    flawed = defect(Part(None, plate, _refuse), rng, severity)
    before = radiance(plate, camera)
    after = radiance(replace(flawed, cover=plate.cover), camera)
    return np.asarray(gaussian_filter(after / before, camera.focus), dtype=np.float32)


def _refuse(_: object) -> Scene:
    msg = "a defect that changes the plan of a part cannot be transferred"
    raise SynthError(msg)


def _broken(image: NDArray[np.float32], rng: np.random.Generator, severity: float, on: Array) -> NDArray[np.float32]:
    """Material is gone at the border of the picture: rough, and darker or lighter than the part."""
    size = image.shape[-1]
    u, v = coordinates(size, Pose(0.0, 0.0, 0.0))
    direction = rng.uniform(-np.pi, np.pi)
    along = u * np.float32(np.cos(direction)) + v * np.float32(np.sin(direction))
    across = v * np.float32(np.cos(direction)) - u * np.float32(np.sin(direction))
    reach = float(along[on > 0].max())
    depth, width = 5 + 22 * severity, 8 + 40 * severity
    middle = rng.uniform(-60, 60)
    shape = along - reach + depth - depth * ((across - middle) / width) ** 2 + 2.2 * cloud(rng, size, 7)
    gone = gaussian_filter(np.clip(0.5 + shape, 0, 1) * on, 0.6)
    tone = float(rng.choice([0.25, 0.4, 1.7])) * image.mean() * (1 + 0.25 * cloud(rng, size, 5))
    return np.clip(image + (tone - image) * gone, 0, 1).astype(np.float32)
