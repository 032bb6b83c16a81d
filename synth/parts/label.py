"""Printed labels on cardboard: frame, bars, a line of type and a serial number that changes with every part."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from synth.parts.glyphs import Mark, line_of_type
from synth.parts.lots import Lot
from synth.parts.scene import Array, Pose, Scene, cloud, coordinates, coverage, over, rounded_box, sample

HALF = (106.0, 78.0)
"""Half of the paper's width and height."""


@dataclass(frozen=True)
class Label:
    """Plan of one label; lengths in units of 1/256 of the image's side, positions from the paper's centre.

    Attributes:
        pose: Where the paper lies.
        print: Where the print lies on the paper.
        marks: ``[N, 5]`` printed rectangles: left, top, right, bottom, and how much ink there is, 0..1.
        ink: Darkness of the print, 0..1.
        streaks: Strength of the printing head's streaks.
        tone: Albedo of the paper.
        broken: Corners that are torn off: position of a cut (u, v), its direction and its raggedness.
        seed: Of the textures.
    """

    pose: Pose
    print: Pose
    marks: NDArray[np.float32]
    ink: float
    streaks: float
    tone: float
    seed: int
    broken: tuple[tuple[float, float, float, float], ...] = ()


def draw(rng: np.random.Generator, lot: Lot) -> Label:
    """Draw a good label of a lot."""
    return Label(
        pose=Pose(rng.normal(0, 3), rng.normal(0, 3), rng.normal(0, 0.018)),
        print=Pose(rng.normal(0, 0.8), rng.normal(0, 0.8), rng.normal(0, 0.004)),
        marks=_marks(rng),
        ink=0.86 - 0.06 * lot.wear + rng.normal(0, 0.012),
        streaks=0.5 * lot.wear * lot.contrast,
        tone=0.62 * lot.tone**0.4 * float(np.exp(rng.normal(0, 0.02))),
        seed=int(rng.integers(2**32)),
    )


def build(plan: Label, size: int) -> Scene:
    """Put a label under the camera."""
    rng = np.random.default_rng(plan.seed)
    u, v = coordinates(size, plan.pose)
    pitch = 256 / size
    outline = rounded_box(u, v, *HALF, 6)
    for cut_u, cut_v, direction, ragged in plan.broken:
        edge = (u - cut_u) * np.float32(np.cos(direction)) + (v - cut_v) * np.float32(np.sin(direction))
        rough = np.float32(ragged) * cloud(np.random.default_rng(plan.seed + 1), size, 6)
        outline = np.maximum(outline, edge + rough)
    cover = coverage(outline, pitch)

    fibres = cloud(rng, size, 3)
    patchy = cloud(rng, size, 50)
    paper = np.float32(plan.tone) * (1 + np.float32(0.012) * fibres + np.float32(0.012) * patchy)
    streaks = np.interp(v, np.linspace(-130, 130, 131), rng.standard_normal(131)).astype(np.float32)
    density = np.float32(plan.ink) * (1 - np.float32(0.03 * plan.streaks) * streaks - np.float32(0.02) * patchy)
    printed = paper * (1 - density * _print(plan, u, v, size))

    flutes = np.sin(u * np.float32(0.62) + np.float32(rng.uniform(0, 6)))
    cardboard = np.float32(0.3) * (1 + 0.05 * flutes + 0.05 * cloud(rng, size, 5) + 0.04 * patchy)
    return Scene(
        height=np.float32(0.12) * cloud(rng, size, 60) * cover + np.float32(0.7) * cover,
        albedo=over(cardboard, printed, cover),
        gloss=over(np.zeros_like(cover), np.full_like(cover, 0.05), cover),
        cover=cover,
        u=u,
        v=v,
        shine=8.0,
        lift=1.2,
    )


def _print(plan: Label, u: Array, v: Array, size: int) -> Array:
    """How much of each pixel is printed, 0..1."""
    per_unit = 2 * max(1, -(-size // 256))
    canvas = np.zeros((int(2 * HALF[1] * per_unit), int(2 * HALF[0] * per_unit)), dtype=np.float32)
    corners = np.rint((plan.marks[:, :4] + [HALF[0], HALF[1], HALF[0], HALF[1]]) * per_unit).astype(int)
    for (left, top, right, bottom), ink in zip(corners, plan.marks[:, 4], strict=True):
        canvas[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = ink
    # Ink spreads a little into the paper.
    canvas = uniform_filter1d(uniform_filter1d(canvas, per_unit, axis=0), per_unit, axis=1)
    cosine, sine = np.float32(np.cos(plan.print.angle)), np.float32(np.sin(plan.print.angle))
    x, y = u - np.float32(plan.print.x), v - np.float32(plan.print.y)
    columns = (x * cosine + y * sine + np.float32(HALF[0])) * per_unit - np.float32(0.5)
    rows = (y * cosine - x * sine + np.float32(HALF[1])) * per_unit - np.float32(0.5)
    return sample(canvas, rows, columns)


def _marks(rng: np.random.Generator) -> NDArray[np.float32]:
    """The product's layout, which never changes, and a serial number, which always does."""
    layout = np.random.default_rng(20260105)
    left, top, right, bottom = -92.0, -64.0, 92.0, 64.0
    marks: list[Mark] = [
        (left, top, right, top + 2),
        (left, bottom - 2, right, bottom),
        (left, top, left + 2, bottom),
        (right - 2, top, right, bottom),
        (left, -36, right, -34.5),
        (left, 42, right, 43.5),
    ]
    marks += line_of_type(layout, -84, -58, 8, 2.3)
    marks += line_of_type(layout, 22, -58, 9, 1.3)
    marks += line_of_type(layout, 22, -47, 8, 1.1)
    marks += _bars(layout, -84, -28, 44, 16)
    marks += line_of_type(rng, -84, 23, 10, 2.4)
    marks += line_of_type(layout, -84, 47, 12, 2.2)
    marks += [(56, -26, 82, -24), (56, -2, 82, 0), (56, -26, 58, 0), (80, -26, 82, 0), (63, -19, 75, -7)]
    marks += line_of_type(layout, 54, 8, 4, 1.6) + line_of_type(layout, 54, 20, 4, 1.6)
    return np.array([(*mark, 1.0) for mark in marks], dtype=np.float32)


def _bars(rng: np.random.Generator, left: float, top: float, right: float, bottom: float) -> list[Mark]:
    bars: list[Mark] = []
    while left < right - 3:
        width = float(rng.choice([1.5, 2.5, 3.5]))
        bars.append((left, top, left + width, bottom))
        left += width + float(rng.choice([1.5, 2.5]))
    return bars
