"""The product: what stands where on the board. It never changes; lengths in units of 1/256 of the image's side."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

HALF = (114.0, 106.0)
"""Half of the board's width and height."""

HOLES = ((-103.0, -95.0), (103.0, -95.0), (-103.0, 95.0), (103.0, 95.0))
HOLE = 4.6
"""Radius of the holes in the corners."""

Shape = Literal["resistor", "capacitor", "diode", "coil", "crystal", "can", "chip", "connector", "sticker"]


@dataclass(frozen=True)
class Footprint:
    """One place on the board and what belongs there.

    Attributes:
        shape: What it is.
        u: Centre, from the board's centre.
        v: Centre.
        angle: In radians.
        length: Of its body, along its own axis.
        width: Of its body.
        height: How far it stands off the board.
        tone: Albedo of its body.
        pins: Of a chip or a connector: leads on its left, right, upper and lower side.
        pitch: From lead to lead.
    """

    shape: Shape
    u: float
    v: float
    angle: float
    length: float
    width: float
    height: float
    tone: float
    pins: tuple[int, int, int, int] = (0, 0, 0, 0)
    pitch: float = 5.0

    @property
    def two_ended(self) -> bool:
        """Whether it is soldered at two ends."""
        return self.shape in ("resistor", "capacitor", "diode", "coil")

    def place(self, a: float, b: float) -> tuple[float, float]:
        """From its own axes to the board's."""
        cosine, sine = np.cos(self.angle), np.sin(self.angle)
        return float(self.u + a * cosine - b * sine), float(self.v + a * sine + b * cosine)


@dataclass(frozen=True)
class Pad:
    """Where tinned copper is bare, in its footprint's own axes.

    Attributes:
        footprint: Number of its footprint.
        a: Centre.
        b: Centre.
        half_a: Half of its length.
        half_b: Half of its width.
        outward: Direction in which it points away from the body, in radians.
    """

    footprint: int
    a: float
    b: float
    half_a: float
    half_b: float
    outward: float


LEAD = 6.5
"""How far leads reach beyond a chip's body."""


@lru_cache(maxsize=1)
def footprints() -> tuple[Footprint, ...]:
    """Everything on the board."""
    turned = np.pi / 2
    made = [
        Footprint("chip", -30, -22, 0, 44, 44, 5, 0.07, (8, 8, 8, 8), 4.6),
        Footprint("chip", 60, -50, 0, 20, 44, 5, 0.075, (7, 7, 0, 0), 5.8),
        Footprint("chip", 58, 22, 0, 18, 25, 4.5, 0.065, (4, 4, 0, 0), 6.0),
        Footprint("chip", 30, -12, 0, 8, 13, 3.5, 0.08, (1, 2, 0, 0), 7.0),
        Footprint("crystal", -36, 34, 0, 27, 10, 5, 0.36),
        Footprint("can", -82, 50, 0.4, 31, 31, 16, 0.48),
        Footprint("coil", 13, 36, 0, 21, 20, 7, 0.15),
        Footprint("connector", 16, 89, 0, 108, 19, 11, 0.5, (0, 0, 12, 0), 8.4),
        Footprint("diode", 88, 66, turned, 17, 9, 4, 0.09),
        Footprint("diode", -52, 66, 0, 15, 8, 4, 0.09),
        Footprint("diode", 84, -92, 0, 11, 7, 3, 0.55),
        Footprint("sticker", -74, 88, 0, 40, 11, 0.3, 0.68),
    ]
    made += [Footprint("resistor", -84 + 13 * i, -84, turned, 9, 5, 2, 0.075) for i in range(7)]
    made += [Footprint("resistor", -90, -62 + 14 * i, 0, 13, 7, 2.4, 0.07) for i in range(6)]
    made += [Footprint("capacitor", 98, -58 + 13 * i, 0, 9, 5, 3, 0.33) for i in range(4)]
    made += [Footprint("resistor", 98, -6 + 13 * i, 0, 9, 5, 2, 0.075) for i in range(4)]
    made += [Footprint("capacitor", 28, -84 + 13 * i, 0, 12, 7, 4, 0.29) for i in range(4)]
    made += [Footprint("capacitor", -18 + 19 * i, 60, turned, 17, 9, 5, 0.31) for i in range(2)]
    made += [Footprint("resistor", 20 + 12 * i, 62, turned, 9, 5, 2, 0.075) for i in range(5)]
    made += [Footprint("capacitor", -63 + 54 * i, 30, turned, 9, 5, 3, 0.35) for i in range(2)]
    return tuple(made)


@lru_cache(maxsize=1)
def pads() -> tuple[Pad, ...]:
    """All pads, in the order of the footprints; a chip's in the order of ``leads``."""
    made = []
    for number, item in enumerate(footprints()):
        half = item.length / 2
        if item.two_ended:
            reach, wide = max(0.28 * item.length, 2.6), item.width / 2 * 1.16
            made += [Pad(number, s * half * 0.98, 0, reach * 0.75, wide, 0 if s > 0 else np.pi) for s in (-1, 1)]
        elif item.shape == "can":
            made += [Pad(number, s * (half + 0.5), 0, 5, 3, 0 if s > 0 else np.pi) for s in (-1, 1)]
        elif item.shape == "crystal":
            made += [Pad(number, s * half, 0, 4, 3.6, 0 if s > 0 else np.pi) for s in (-1, 1)]
        elif item.shape in ("chip", "connector"):
            for a, b, outward in leads(item):
                along, across = (4.4, lead_width(item) * 0.72) if item.shape == "chip" else (3.2, 2.2)
                far = LEAD - 2.2 if item.shape == "chip" else 2.0
                a, b = a + far * np.cos(outward), b + far * np.sin(outward)
                flat = abs(np.cos(outward)) > 0.5
                made.append(Pad(number, a, b, along if flat else across, across if flat else along, outward))
    return tuple(made)


def leads(item: Footprint) -> list[tuple[float, float, float]]:
    """Where leads leave a chip's body, in its own axes, and their direction: left, right, upper, lower side."""
    left, right, upper, lower = item.pins
    found = []
    for count, (na, nb) in ((left, (-1, 0)), (right, (1, 0)), (upper, (0, -1)), (lower, (0, 1))):
        for i in range(count):
            along = (i - (count - 1) / 2) * item.pitch
            a = na * item.length / 2 if na else along
            b = nb * item.width / 2 if nb else along
            found.append((a, b, float(np.arctan2(nb, na))))
    return found


def lead_width(item: Footprint) -> float:
    """Width of a chip's leads."""
    return 0.4 * item.pitch if item.pitch < 6.5 else 2.6
