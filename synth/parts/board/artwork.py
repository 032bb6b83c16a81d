"""What is etched and printed on every board alike, as distances that are drawn once and then looked up."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from synth.parts.board.layout import HALF, HOLE, HOLES, Footprint, footprints, pads
from synth.parts.glyphs import line_of_type
from synth.parts.scene import Array, along_polyline, rounded_box, sample

FAR = 9.0
"""Distances are exact up to here."""

VIA = 2.3
_TRACE = 0.75
"""Half of a trace's width."""

_APART = 1.5
"""Least distance from copper to copper."""

_TRIES = 24


@dataclass(frozen=True)
class Artwork:
    """Signed distances in units, ``[H, W]``, negative inside; ``per_unit`` pixels to a unit, over the whole board.

    Attributes:
        traces: To etched copper under the mask, pads included.
        pads: To bare, tinned copper.
        vias: To the middle of the nearest plated hole.
        silk: To the print.
        per_unit: Pixels to a unit.
    """

    traces: Array
    pads: Array
    vias: Array
    silk: Array
    per_unit: int

    def at(self, picture: Array, u: Array, v: Array) -> Array:
        """One of the pictures at positions on the board."""
        half = np.float32(0.5)
        return sample(
            picture,
            (v + np.float32(HALF[1])) * self.per_unit - half,
            (u + np.float32(HALF[0])) * self.per_unit - half,
        )


@lru_cache(maxsize=4)
def artwork(per_unit: int) -> Artwork:
    """Draw it all."""
    sheet = _Sheet(per_unit)
    traces, bare, vias, silk = (sheet.blank() for _ in range(4))
    items = footprints()
    for pad in pads():
        item = items[pad.footprint]
        sheet.box(bare, item, (pad.a, pad.b), (pad.half_a, pad.half_b), 0.6)
    for u, v in HOLES:
        sheet.dot(bare, (u, v), HOLE + 2.6)
    for mark in ((-62.0, 84.0), (104.0, 78.0), (-104.0, -76.0)):
        sheet.dot(bare, mark, 1.8)
    np.minimum(traces, bare, out=traces)
    for route in _routes():
        sheet.line(traces, np.array(route), _TRACE)
        sheet.dot(traces, route[-1], VIA)
        sheet.dot(vias, route[-1], 0.0)
    _print(sheet, silk, items)
    return Artwork(traces, bare, vias, silk, per_unit)


class _Sheet:
    """Draws shapes into distance pictures, each in a window of its own."""

    def __init__(self, per_unit: int) -> None:
        self.per_unit = per_unit
        self.u = ((np.arange(int(2 * HALF[0] * per_unit)) + 0.5) / per_unit - HALF[0]).astype(np.float32)
        self.v = ((np.arange(int(2 * HALF[1] * per_unit)) + 0.5) / per_unit - HALF[1]).astype(np.float32)

    def blank(self) -> Array:
        return np.full((len(self.v), len(self.u)), FAR, dtype=np.float32)

    def box(
        self, picture: Array, item: Footprint, at: tuple[float, float], half: tuple[float, float], radius: float
    ) -> None:
        """A rectangle in a footprint's own axes."""
        centre = item.place(*at)
        window, u, v = self._window(centre, float(np.hypot(*half)))
        cosine, sine = np.float32(np.cos(item.angle)), np.float32(np.sin(item.angle))
        a, b = u * cosine + v * sine, v * cosine - u * sine
        picture[window] = np.minimum(picture[window], rounded_box(a, b, *half, radius))

    def dot(self, picture: Array, centre: tuple[float, float], radius: float) -> None:
        window, u, v = self._window(centre, radius)
        picture[window] = np.minimum(picture[window], np.hypot(u, v) - np.float32(radius))

    def ring(self, picture: Array, centre: tuple[float, float], radius: float, half_width: float) -> None:
        window, u, v = self._window(centre, radius)
        distance = np.abs(np.hypot(u, v) - np.float32(radius)) - np.float32(half_width)
        picture[window] = np.minimum(picture[window], distance)

    def line(self, picture: Array, points: NDArray[np.floating], half_width: float) -> None:
        centre = (points.min(axis=0) + points.max(axis=0)) / 2
        window, u, v = self._window((centre[0], centre[1]), float(np.ptp(points, axis=0).max() / 2 + half_width))
        distance = along_polyline(u, v, points - centre)[0] - np.float32(half_width)
        picture[window] = np.minimum(picture[window], distance)

    def _window(self, centre: tuple[float, float], reach: float) -> tuple[tuple[slice, slice], Array, Array]:
        """The part of a picture around a place, and positions from that place."""
        reach += FAR
        columns = slice(*np.searchsorted(self.u, [centre[0] - reach, centre[0] + reach]))
        rows = slice(*np.searchsorted(self.v, [centre[1] - reach, centre[1] + reach]))
        u, v = np.meshgrid(self.u[columns] - np.float32(centre[0]), self.v[rows] - np.float32(centre[1]))
        return (rows, columns), u, v


@lru_cache(maxsize=1)
def _routes() -> tuple[tuple[tuple[float, float], ...], ...]:
    """Corners of all traces: out of a pad, on at half a right angle, then straight to a via; none touches another."""
    rng = np.random.default_rng(20260112)
    sheet, items = _Sheet(2), footprints()
    taken = sheet.blank()
    for pad in pads():
        sheet.box(taken, items[pad.footprint], (pad.a, pad.b), (pad.half_a, pad.half_b), 0.6)
    for u, v in HOLES:
        sheet.dot(taken, (u, v), HOLE + 2.6)
    routes = []
    everywhere = pads()
    # Long ones first from every third pad, so that short ones fill what is left.
    order = sorted(range(len(everywhere)), key=lambda i: (i % 3, i))
    for number in order:
        pad = everywhere[number]
        item = items[pad.footprint]
        start = np.array(item.place(pad.a, pad.b))
        outward = pad.outward + item.angle
        free = max(pad.half_a, pad.half_b) + _TRACE + _APART
        for attempt in range(_TRIES):
            shrink = 1 - 0.7 * attempt / _TRIES
            heading = outward + (np.pi if item.shape == "chip" and rng.random() < 0.25 else 0)
            turn = rng.choice([-1, 0, 1]) * np.pi / 4
            steps = [(heading, free + rng.uniform(0.5, 7)), (heading + turn, rng.uniform(4, 16) * shrink)]
            steps.append((heading + turn * rng.choice([0, 2]), rng.uniform(4, 40) * shrink))
            route = [start]
            for direction, length in steps:
                route.append(route[-1] + length * np.array([np.cos(direction), np.sin(direction)]))
            if _free(taken, sheet.per_unit, np.array(route), free):
                routes.append(tuple((float(u), float(v)) for u, v in route))
                sheet.line(taken, np.array(route), _TRACE)
                sheet.dot(taken, routes[-1][-1], VIA)
                break
    return tuple(routes)


def _free(taken: Array, per_unit: int, route: NDArray[np.floating], own: float) -> bool:
    """Whether a route stays on the board and clear of all copper but the pad it begins at."""
    if (np.abs(route) > np.array(HALF) - 5).any():
        return False
    t = np.linspace(0, 1, 24)[:, None]
    points = np.concatenate([a + t * (b - a) for a, b in pairwise(route)])
    points = points[np.hypot(*(points - route[0]).T) > own]  # the first leg is longer, and leads straight away
    columns, rows = ((points + HALF) * per_unit).astype(int).T
    end = ((route[-1] + HALF) * per_unit).astype(int)
    clear = taken[rows, columns].min(initial=FAR) > _TRACE + _APART
    return bool(clear and taken[end[1], end[0]] > VIA + _APART)


def _print(sheet: _Sheet, silk: Array, items: tuple[Footprint, ...]) -> None:
    """Outlines, marks of polarity, names of the parts and the board's name."""
    rng = np.random.default_rng(20260113)
    for item in items:
        half_a, half_b = item.length / 2, item.width / 2
        if item.two_ended:
            for side in (-1, 1):
                sheet.box(silk, item, (0, side * (half_b + 1.9)), (half_a * 0.55, 0.4), 0.1)
            if item.shape == "diode":
                sheet.box(silk, item, (-half_a - 5.2, 0), (0.5, half_b), 0.1)
        elif item.shape == "can":
            sheet.ring(silk, (item.u, item.v), half_a + 2.4, 0.45)
            for half in ((2.4, 0.5), (0.5, 2.4)):
                sheet.box(silk, item, (half_a + 8.5, 4.5), half, 0.1)
        elif item.shape == "chip":
            sheet.dot(silk, item.place(-half_a - 3.5, -half_b - 2.5), 1.3)
        elif item.shape == "crystal":
            for side in (-1, 1):
                sheet.box(silk, item, (0, side * (half_b + 1.6)), (half_a * 0.6, 0.4), 0.1)
        elif item.shape == "connector":
            sheet.box(silk, item, (-half_a - 2, 0), (0.5, half_b), 0.1)
            sheet.box(silk, item, (half_a + 2, 0), (0.5, half_b), 0.1)
        if item.shape in ("sticker", "connector"):
            continue
        # Names stand upright, above their part where that lies across and beside it where it stands.
        upright = abs(np.sin(item.angle)) > 0.5
        if item.shape == "chip":
            left, top = item.u + half_a - 6, item.v - half_b - (12.5 if item.pins[2] else 6)
        elif upright:
            left, top = item.u - 4, item.v - half_a - 8
        else:
            left, top = item.u - 4, item.v - half_b - 7
        _type(sheet, silk, rng, left, top, 2 + int(rng.integers(2)), 0.75)
    _type(sheet, silk, rng, 2, -103, 9, 1.4)
    _type(sheet, silk, rng, -88, 76, 6, 0.9)


def _type(
    sheet: _Sheet, silk: Array, rng: np.random.Generator, left: float, top: float, count: int, cell: float
) -> None:
    board = Footprint("sticker", 0, 0, 0, 0, 0, 0, 0)
    for x0, y0, x1, y1 in line_of_type(rng, left, top, count, cell):
        sheet.box(silk, board, ((x0 + x1) / 2, (y0 + y1) / 2), ((x1 - x0) / 2, (y1 - y0) / 2), 0.1)
