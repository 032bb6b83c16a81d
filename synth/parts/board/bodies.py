"""What is soldered on a board, drawn part by part in windows of its picture."""

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Self

import numpy as np

from synth.parts.board.layout import LEAD, Footprint, Shape, lead_width, leads
from synth.parts.board.plan import Bend, Placed
from synth.parts.glyphs import line_of_type
from synth.parts.scene import SIDE, Array, Pose, coverage, over, rounded_box

_TIN = 0.4
"""Albedo of tinned metal."""


@dataclass
class Bench:
    """The picture that parts are put on; all arrays are ``[H, W]`` float32 and are changed.

    Attributes:
        height: In units.
        albedo: 0..1.
        gloss: 0..1.
        u: Position on the board.
        v: Position on the board.
        pose: Where the board lies.
    """

    height: Array
    albedo: Array
    gloss: Array
    u: Array
    v: Array
    pose: Pose


class _Window:
    """The window of a bench around one part, and positions ``a`` and ``b`` in the part's own axes."""

    def __init__(self, bench: Bench, item: Footprint, reach: float) -> None:
        size = bench.u.shape[0]
        cosine, sine = np.cos(bench.pose.angle), np.sin(bench.pose.angle)
        x = bench.pose.x + item.u * cosine - item.v * sine + SIDE / 2
        y = bench.pose.y + item.u * sine + item.v * cosine + SIDE / 2
        self.pitch = SIDE / size
        edges = np.clip(np.array([y - reach, y + reach, x - reach, x + reach]) / self.pitch, 0, size).astype(int)
        self.window = (slice(edges[0], edges[1] + 1), slice(edges[2], edges[3] + 1))
        self.bench = bench
        u, v = bench.u[self.window] - np.float32(item.u), bench.v[self.window] - np.float32(item.v)
        cosine, sine = np.float32(np.cos(item.angle)), np.float32(np.sin(item.angle))
        self.a, self.b = u * cosine + v * sine, v * cosine - u * sine

    def turned(self) -> Self:
        """The same window, its axes turned by a right angle."""
        other = copy(self)
        other.a, other.b = self.b, -self.a
        return other

    def lay(
        self, distance: Array, height: Array | float, albedo: Array | float, gloss: Array | float, rim: float = 0.0
    ) -> None:
        """Lay a thing on the bench.

        Args:
            distance: Signed, to its outline.
            height: Of its top.
            albedo: Of its surface.
            gloss: Of its surface.
            rim: Width of its bevel.
        """
        bench, window = self.bench, self.window
        cover = coverage(distance, self.pitch)
        top = height * np.clip(-distance / np.float32(rim), 0, 1) if rim else height
        bench.height[window] = over(bench.height[window], top, cover)
        bench.albedo[window] = over(bench.albedo[window], albedo, cover)
        bench.gloss[window] = over(bench.gloss[window], gloss, cover)

    def ink(self, distance: Array, albedo: float, amount: float = 1.0) -> None:
        """Print on what is there already."""
        cover = coverage(distance, self.pitch) * np.float32(amount)
        self.bench.albedo[self.window] = over(self.bench.albedo[self.window], albedo, cover)

    def box(self, a: float, b: float, half_a: float, half_b: float, radius: float = 0.2) -> Array:
        """Signed distance to a rectangle."""
        return rounded_box(self.a - np.float32(a), self.b - np.float32(b), half_a, half_b, radius)

    def type(self, rng: np.random.Generator, count: int, cell: float, b: float, albedo: float) -> None:
        """A line of type, centred along ``a``."""
        wide = (count - 1) * cell * 5.2 + 4 * cell
        for x0, y0, x1, y1 in line_of_type(rng, -wide / 2, b - 2.5 * cell, count, cell):
            self.ink(self.box((x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) / 2, (y1 - y0) / 2, 0.05), albedo)


def put(bench: Bench, placed: Placed, solder: float) -> None:
    """Put a part on the bench.

    Args:
        bench: Is changed.
        placed: What and how.
        solder: Gloss of the solder, relative.
    """
    if not placed.there:
        return
    item = placed.item
    view = _Window(bench, item, float(np.hypot(item.length, item.width)) / 2 + LEAD + 6)
    _DRAWN[item.shape](view, placed, solder)


def _two_ended(view: _Window, placed: Placed, solder: float) -> None:
    """A body between two tinned ends; what stands up is seen from above its free end."""
    item = placed.item
    half_a, half_b = item.length / 2, item.width / 2
    up = abs(placed.raised)
    height = np.full_like(view.a, item.height)
    if up:
        # Raised about one end, which stays where it is: what is seen is shorter, and the free end stands high.
        side = float(np.sign(placed.raised))
        seen = item.length * np.cos(up) + item.height * np.sin(up)
        view.a = view.a - np.float32(side * (half_a - seen / 2))
        half_a = seen / 2
        rise = np.clip(np.float32(0.5) - np.float32(side / seen) * view.a, 0, 1)
        height += np.float32(item.length * np.sin(up) * 0.6) * rise
    end = min(0.22 * item.length, half_a * 0.8)
    view.lay(view.box(0, 0, half_a, half_b, 0.6), height, item.tone, _gloss(item), rim=0.9)
    for side in (-1, 1):
        cap = view.box(side * (half_a - end / 2), 0, end / 2, half_b, 0.5)
        lower = 0.8 if item.shape == "diode" else 1.0
        view.lay(cap, height * np.float32(lower), _TIN, 0.34 * solder, rim=0.8)
        if not up:
            # The fillet climbs from the pad to the end.
            fillet = view.box(side * (half_a + 0.7), 0, 0.7, half_b * 0.85, 0.4)
            view.lay(fillet, np.float32(0.55) * item.height * np.clip(-fillet + 0.3, 0, 1), _TIN, 0.5 * solder)
    if item.shape == "resistor" and up < 0.8:
        rng = np.random.default_rng(placed.marking)
        view.type(rng, 3, item.width * 0.085, 0.0, 0.42)
    if item.shape == "diode":
        light = item.tone > 0.3
        view.ink(view.box(-0.56 * half_a, 0, 0.11 * half_a, half_b * 0.92), 0.12 if light else 0.5)
    if item.shape == "coil":
        radius = np.hypot(view.a * np.float32(item.length / 2 / half_a), view.b) - np.float32(half_b * 0.72)
        view.ink(radius, item.tone * 0.6)
        view.ink(np.abs(radius) - np.float32(0.4), item.tone * 1.7)


def _gloss(item: Footprint) -> float:
    return {"capacitor": 0.12, "crystal": 0.4, "coil": 0.04}.get(item.shape, 0.07)


def _chip(view: _Window, placed: Placed, solder: float) -> None:
    """A moulded body with gull-wing leads, a dimple at its first pin, and type."""
    item = placed.item
    bends = {bend.lead: bend for bend in placed.bends}
    for number, (a, b, outward) in enumerate(leads(item)):
        _lead(view, (a, b, outward), lead_width(item) / 2, bends.get(number), solder)
    half_a, half_b = item.length / 2, item.width / 2
    view.lay(view.box(0, 0, half_a, half_b, 0.7), item.height, item.tone, 0.07, rim=1.6)
    dimple = np.hypot(view.a + np.float32(half_a * 0.72), view.b + np.float32(half_b * 0.78))
    radius = min(0.09 * min(item.length, item.width), 1.8)
    view.ink(dimple - np.float32(radius), item.tone * 2.1)
    rng = np.random.default_rng(placed.marking)
    upright = item.width > 1.4 * item.length
    if upright:
        view = view.turned()
    wide, tall = (item.width, item.length) if upright else (item.length, item.width)
    if min(wide, tall) < 12:
        view.type(rng, 2, 0.9, 0.0, 0.27)
        return
    cell = min(0.72 * wide / 40, 1.1)
    for line, count in enumerate((6, 7, 5) if tall > 30 else (5, 6)):
        rows = 3 if tall > 30 else 2
        view.type(rng, count, cell, (line - (rows - 1) / 2) * cell * 7.5, 0.27)


def _lead(view: _Window, at: tuple[float, float, float], half_width: float, bend: Bend | None, solder: float) -> None:
    """One gull wing: down from the body, then flat on its pad with solder around it."""
    a, b, outward = at
    length = LEAD * (bend.left if bend else 1.0)
    cosine, sine = np.float32(np.cos(outward)), np.float32(np.sin(outward))
    along = (view.a - np.float32(a)) * cosine + (view.b - np.float32(b)) * sine
    across = (view.b - np.float32(b)) * cosine - (view.a - np.float32(a)) * sine
    raised = 0.0
    if bend:
        across = across - np.float32(bend.aside / LEAD**2) * np.maximum(along, 0) ** 2
        raised = bend.up
    outline = np.maximum(np.abs(across) - np.float32(half_width), np.abs(along - np.float32(length / 2)) - length / 2)
    foot = np.clip((along - np.float32(0.25 * LEAD)) / np.float32(0.3 * LEAD), 0, 1)
    rounded = np.float32(0.4) * (across / np.float32(half_width)) ** 2
    height = 3.2 - 2.2 * foot + np.float32(raised / LEAD) * np.maximum(along, 0) - rounded
    view.lay(outline, height, _TIN + 0.04 * (1 - foot), np.float32(0.34 * solder) * (1 - np.float32(0.25) * foot))


def _can(view: _Window, placed: Placed, solder: float) -> None:
    """An electrolytic capacitor: an aluminium can on a square base, its negative side marked black."""
    item = placed.item
    half = item.length / 2
    base = np.maximum(view.box(0, 0, half, half, 1.5), (np.abs(view.b) - view.a - np.float32(1.62 * half)) * 0.7)
    view.lay(base, 2.5, 0.07, 0.06, rim=0.8)
    radius = np.hypot(view.a, view.b)
    rim = np.float32(half * 0.93)
    domed = np.clip((rim - radius) / 2.2, 0, 1)
    view.lay(radius - rim, item.height - 2.2 + 2.2 * np.sqrt(domed), item.tone, 0.2)
    view.ink(np.maximum(radius - rim * np.float32(0.86), view.a + np.float32(half * 0.42)), 0.05, 0.95)
    rng = np.random.default_rng(placed.marking)
    for line in (-1, 1):
        view.type(rng, 3, 0.95, line * 3.6, 0.1)


def _crystal(view: _Window, placed: Placed, solder: float) -> None:
    """A drawn metal can with a flange."""
    item = placed.item
    half_a, half_b = item.length / 2, item.width / 2
    view.lay(view.box(0, 0, half_a, half_b, half_b * 0.95), 1.2, item.tone, 0.3 * solder, rim=0.5)
    inner = view.box(0, 0, half_a - 1.3, half_b - 1.3, half_b * 0.7)
    view.lay(inner, item.height, item.tone * 0.95, 0.34 * solder, rim=1.6)
    view.type(np.random.default_rng(placed.marking), 4, 0.75, 0.0, 0.14)


def _connector(view: _Window, placed: Placed, solder: float) -> None:
    """A moulded housing with a slot, and pins in it."""
    item = placed.item
    half_a, half_b = item.length / 2, item.width / 2
    view.lay(view.box(0, 0, half_a, half_b, 1.0), item.height, item.tone, 0.06, rim=1.4)
    slot = view.box(0, 1.2, half_a - 4, half_b - 4.6, 0.8)
    view.lay(slot, item.height * 0.55, item.tone * 0.33, 0.03, rim=0.0)
    bends = {bend.lead: bend for bend in placed.bends}
    for number, (a, b, _) in enumerate(leads(item)):
        bend = bends.get(number)
        pin = view.box(a + (bend.aside if bend else 0), 1.2, 1.15, 1.15 * (bend.left if bend else 1), 0.2)
        view.lay(pin, item.height * 0.55 + 0.6, 0.55, 0.4 * solder)
        view.lay(view.box(a, b - 1.2, 1.2, 1.3, 0.4), 1.2, _TIN, 0.4 * solder, rim=0.8)
        view.ink(view.box(a + item.pitch / 2, half_b - 1.6, 0.3, 1.0), item.tone * 0.6)
    view.ink(view.box(-half_a + 2.2, -half_b + 2.4, 0.9, 0.9, 0.8), item.tone * 0.45)


def _sticker(view: _Window, placed: Placed, solder: float) -> None:
    """A paper label with a serial number."""
    item = placed.item
    view.lay(view.box(0, 0, item.length / 2, item.width / 2, 0.5), item.height, item.tone, 0.03)
    view.type(np.random.default_rng(placed.marking), 6, 1.1, 0.0, 0.07)


_DRAWN: Mapping[Shape, Callable[[_Window, Placed, float], None]] = {
    "resistor": _two_ended,
    "capacitor": _two_ended,
    "diode": _two_ended,
    "coil": _two_ended,
    "crystal": _crystal,
    "can": _can,
    "chip": _chip,
    "connector": _connector,
    "sticker": _sticker,
}
