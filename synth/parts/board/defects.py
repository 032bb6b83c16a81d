"""What goes wrong where boards are populated and soldered; see ``synth.parts.defects`` for what is asked of defects."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from synth.parts.board.layout import HALF, LEAD, lead_width, leads
from synth.parts.board.plan import Bend, Board, Placed
from synth.parts.board.scenery import copper
from synth.parts.marks import Defect, Part
from synth.parts.scene import Array, Scene, along_polyline, cloud, coverage, over, rounded_box

_TIN, _SHINE = 0.4, 0.42
"""Albedo and gloss of solder."""

_MARGIN = 6.0
"""Nothing begins to lie nearer to the board's edge, in units."""

_LOW = 1.6
"""Higher than this is no surface of the board any more, but something on it."""


def missing(part: Part, rng: np.random.Generator, severity: float) -> Scene:
    """A part that was never placed: its pads are there, and what it would have covered."""
    number = _choose(
        part.plan, rng, severity, lambda p: p.item.two_ended or p.item.shape == "crystal" or _small_chip(p)
    )
    return _changed(part, number, there=False)


def displaced(part: Part, rng: np.random.Generator, severity: float) -> Scene:
    """A part that lies beside its pads or askew, or that the solder has pulled upright on one end."""
    number = _choose(part.plan, rng, severity, _loose)
    placed = part.plan.parts[number]
    way, turn = rng.uniform(0, 2 * np.pi), float(rng.choice([-1, 1])) * rng.uniform(0.3, 1)
    if placed.item.two_ended and rng.random() < 0.4:
        return _changed(part, number, raised=float(rng.choice([-1, 1])) * (0.35 + 1.05 * severity))
    far = 0.9 + 2.9 * severity
    item = replace(
        placed.item,
        u=placed.item.u + far * np.cos(way),
        v=placed.item.v + far * np.sin(way),
        angle=placed.item.angle + turn * (0.06 + 0.5 * severity),
    )
    return _changed(part, number, item=item)


def wrong_part(part: Part, rng: np.random.Generator, severity: float) -> Scene:
    """A part of another value or sort, seen by its tone and type, or one that was placed the wrong way round."""
    if rng.random() < 0.35:
        number = _choose(part.plan, rng, severity, lambda p: p.item.shape in ("diode", "can") or _small_chip(p))
        item = part.plan.parts[number].item
        return _changed(part, number, item=replace(item, angle=item.angle + np.pi))
    number = _choose(part.plan, rng, severity, lambda p: p.item.shape in ("resistor", "capacitor"))
    placed = part.plan.parts[number]
    item = placed.item
    if item.shape == "resistor":
        tone, sort = item.tone * (1.5 + 2.5 * severity), "capacitor" if severity > 0.6 else "resistor"
    else:
        tone = item.tone * (0.8 - 0.6 * severity)
        sort = "resistor" if severity > 0.6 else "capacitor"
    shrunk = 1 - 0.12 * severity * rng.random()
    swapped = replace(item, shape=sort, tone=tone, length=item.length * shrunk, width=item.width * shrunk)
    return _changed(part, number, item=swapped, marking=int(rng.integers(2**32)))


def bridge(part: Part, rng: np.random.Generator, severity: float) -> Scene:
    """Solder that joins neighbouring leads of a chip."""
    scene = part.scene
    # A side has at least four leads here, so that two or three neighbours are on one side.
    number = _choose(part.plan, rng, rng.random(), lambda p: p.item.shape == "chip" and max(p.item.pins) >= 4)
    item = part.plan.parts[number].item
    places = leads(item)
    joined = 1 + int(severity > 0.6 and rng.random() < 0.6)
    firsts = [i for i in range(len(places) - joined) if places[i][2] == places[i + joined][2]]
    first = int(rng.choice(firsts))
    (a0, b0, outward), (a1, b1, _) = places[first], places[first + joined]
    along = LEAD * rng.uniform(0.5, 0.95)
    ends = [item.place(a + along * np.cos(outward), b + along * np.sin(outward)) for a, b in ((a0, b0), (a1, b1))]
    distance, at = along_polyline(scene.u, scene.v, np.array(ends))
    half = 0.6 + 1.6 * severity
    # Thinnest between the leads, and never quite even.
    waist = np.float32(half) * (1 - np.float32(0.35) * np.sin(at * np.float32(np.pi * joined)) ** 2)
    waist = waist + np.float32(0.12) * cloud(rng, scene.u.shape[0], 5) + np.float32(0.15 * lead_width(item))
    return _solder(scene, distance, waist)


def scratch(part: Part, rng: np.random.Generator, severity: float) -> Scene:
    """A tool that slipped through the mask: bright where it bared copper, pale where only laminate lay below."""
    scene = part.scene
    at_u, at_v = _bare_place(scene, rng)
    length, half = 20 + 80 * severity * rng.uniform(0.5, 1), 0.45 + 0.75 * severity
    heading, t = rng.uniform(0, 2 * np.pi), np.linspace(-0.5, 0.5, 11)
    bow = 0.1 * length * rng.uniform(-1, 1) * (1 - 4 * t**2)
    u = at_u + t * length * np.cos(heading) - bow * np.sin(heading)
    v = at_v + t * length * np.sin(heading) + bow * np.cos(heading)
    distance, along = along_polyline(scene.u, scene.v, np.stack([u, v], axis=1))
    # It jumps over what stands on the board, and presses harder here and there.
    pressed = np.clip(np.minimum(along, 1 - along) * 8, 0, 1) * (1 + 0.3 * cloud(rng, scene.u.shape[0], 9))
    width = np.float32(half) * np.clip(pressed, 0.2, 1.3)
    cut = np.clip((width - distance) / np.float32(scene.pitch) + 0.5, 0, 1) * _low(scene)
    cut *= np.float32(0.4 + 0.55 * severity) * np.minimum(1, 2 * width / np.float32(scene.pitch))
    metal = copper(scene.u, scene.v)
    return replace(
        scene,
        height=scene.height - np.float32(0.2 + 0.5 * severity) * cut,
        albedo=over(scene.albedo, np.float32(0.22) + np.float32(0.12) * metal, cut),
        gloss=over(scene.gloss, np.float32(0.03) + np.float32(0.3) * metal, cut),
    )


def debris(part: Part, rng: np.random.Generator, severity: float) -> Scene:
    """What does not belong there: balls of solder, a clipping of wire, or a fibre."""
    scene = part.scene
    at_u, at_v = _bare_place(scene, rng)
    sort = rng.random()
    if sort < 0.5:
        for _ in range(1 + int(rng.integers(0, 3))):
            radius = (1.3 + 2.4 * severity) * rng.uniform(0.7, 1)
            distance = np.hypot(scene.u - np.float32(at_u), scene.v - np.float32(at_v))
            scene = _solder(scene, distance, np.full_like(distance, radius), steep=1.0)
            at_u, at_v = at_u + rng.normal(0, 4), at_v + rng.normal(0, 4)
        return scene
    wire = sort < 0.75
    length = (6 + 12 * severity) if wire else (14 + 34 * severity)
    count = 2 if wire else 9
    headings = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.12 if wire else 0.4, count))
    steps = length / count * np.stack([np.cos(headings), np.sin(headings)], axis=1)
    points = np.array([[at_u, at_v], *(np.array([at_u, at_v]) + np.cumsum(steps, axis=0))])
    distance, _ = along_polyline(scene.u, scene.v, points)
    if wire:
        return _solder(scene, distance, np.full_like(distance, 0.75 + 0.65 * severity), steep=1.0)
    half = np.float32(0.35 + 0.25 * severity)
    thread = np.clip((half - distance) / np.float32(scene.pitch) + 0.5, 0, 1)
    thread *= np.minimum(1, 2 * half / scene.pitch) * scene.cover * np.float32(0.45 + 0.5 * severity)
    return replace(
        scene,
        height=scene.height + np.float32(0.6) * thread,
        albedo=over(scene.albedo, 0.42, thread),
        gloss=over(scene.gloss, 0.03, thread),
    )


def lifted_lead(part: Part, rng: np.random.Generator, severity: float) -> Scene:
    """Leads of a chip that are bent aside, stand up from their pads or have broken off."""
    number = _choose(part.plan, rng, rng.random(), lambda p: p.item.shape == "chip")
    item = part.plan.parts[number].item
    places = leads(item)
    first, hurt = int(rng.integers(len(places))), 1 + int(rng.random() * 3 * severity)
    sort, sign = int(rng.integers(3)), float(rng.choice([-1, 1]))
    bends = []
    for lead in range(first, min(first + hurt, len(places))):
        if places[lead][2] != places[first][2]:
            break  # the next side
        uneven = rng.uniform(0.7, 1)
        aside = sign * uneven * (0.8 + 2.4 * severity) if sort == 0 else sign * 0.3 * severity
        left = 0.8 - 0.75 * severity if sort == 1 else 1.0 - 0.35 * severity * uneven
        bends.append(Bend(lead, aside, left, up=uneven * (1.2 + 6 * severity) if sort == 2 else 0.0))
    scene = _changed(part, number, bends=tuple(bends))
    torn = np.zeros_like(scene.cover)
    for bend in bends:
        a, b, outward = places[bend.lead]
        pad = item.place(a + 0.66 * LEAD * np.cos(outward), b + 0.66 * LEAD * np.sin(outward))
        heading = np.float32(outward + item.angle)
        u, v = scene.u - np.float32(pad[0]), scene.v - np.float32(pad[1])
        along, across = u * np.cos(heading) + v * np.sin(heading), v * np.cos(heading) - u * np.sin(heading)
        pad_outline = rounded_box(along, across, 4.4, lead_width(item) * 0.72, 0.6)
        torn = np.maximum(torn, coverage(pad_outline, scene.pitch))
    # Where the joint has let go, the solder is dull and rough.
    torn *= _low(scene) * np.float32(0.3 + 0.6 * severity)
    return replace(scene, albedo=over(scene.albedo, 0.17, torn), gloss=over(scene.gloss, 0.04, torn))


def flux(part: Part, rng: np.random.Generator, severity: float) -> Scene:
    """Flux that was not washed off: a film around solder joints, with a pale, crusted rim."""
    scene = part.scene
    joints = [p for p in part.plan.parts if p.item.two_ended or p.item.shape == "chip"]
    item = joints[int(rng.integers(len(joints)))].item
    side = float(rng.choice([-1, 1]))
    at_u, at_v = item.place(side * (item.length / 2 + 3), rng.uniform(-0.4, 0.4) * item.width)
    size = scene.u.shape[0]
    radius = 6 + 15 * severity * rng.uniform(0.5, 1)
    stretch = rng.uniform(0.75, 1.3)
    u, v = (scene.u - np.float32(at_u)) * np.float32(stretch), (scene.v - np.float32(at_v)) / np.float32(stretch)
    distance = np.hypot(u, v) / np.float32(radius) + np.float32(0.13) * cloud(rng, size, 9)
    film = np.clip((1 - distance) * 6, 0, 1) * _low(scene)
    rim = np.exp(-(((distance - 0.93) / 0.09) ** 2)) * _low(scene)
    crust = rim * np.clip(0.6 + 0.4 * cloud(rng, size, 3), 0, 1) * np.float32(0.15 + 0.4 * severity)
    film = film * np.float32(0.18 + 0.3 * severity)
    return replace(
        scene,
        albedo=over(scene.albedo * (1 - film), 0.4, crust),
        gloss=scene.gloss * (1 - film) + np.float32(0.05) * film * (1 - crust),
    )


BOARD_DEFECTS: Mapping[str, Defect] = {
    "missing": missing,
    "displaced": displaced,
    "wrong_part": wrong_part,
    "bridge": bridge,
    "scratch": scratch,
    "debris": debris,
    "lifted_lead": lifted_lead,
    "flux": flux,
}
"""What can go wrong with a board."""


def _loose(placed: Placed) -> bool:
    """Whether it is light enough for molten solder to move."""
    return placed.item.two_ended or placed.item.shape == "crystal"


def _small_chip(placed: Placed) -> bool:
    return placed.item.shape == "chip" and placed.item.width < 30


def _choose(plan: Board, rng: np.random.Generator, severity: float, fits: Callable[[Placed], bool]) -> int:
    """Number of a part on the board that fits; of worse defects, a larger one."""
    found = [number for number, placed in enumerate(plan.parts) if fits(placed)]
    found.sort(key=lambda number: plan.parts[number].item.length * plan.parts[number].item.width)
    place = severity * (len(found) - 1) + rng.normal(0, 0.2 * len(found))
    return found[int(np.clip(round(place), 0, len(found) - 1))]


def _changed(part: Part, number: int, **changes: object) -> Scene:
    """The board with one of its parts changed."""
    parts = list(part.plan.parts)
    parts[number] = replace(parts[number], **changes)
    return part.build(replace(part.plan, parts=tuple(parts)))


def _low(scene: Scene) -> Array:
    """1 on the board's own surface, 0 on what stands on it and beside it."""
    return np.clip((np.float32(_LOW) - scene.height) / np.float32(0.5), 0, 1) * scene.cover


def _bare_place(scene: Scene, rng: np.random.Generator) -> tuple[float, float]:
    """A place on the board's own surface, away from its edge, over which nothing lies."""
    inside = rounded_box(scene.u, scene.v, HALF[0] - _MARGIN, HALF[1] - _MARGIN, 0) < 0
    place = int(rng.choice(np.flatnonzero((_low(scene) > 0.9) & inside)))
    return float(scene.u.flat[place]), float(scene.v.flat[place])


def _solder(scene: Scene, distance: Array, half: Array, steep: float = 0.6) -> Scene:
    """Solder as far as ``half`` from a line or a point, round on its upper side."""
    inside = np.clip((half - distance) / np.float32(scene.pitch) + 0.5, 0, 1) * scene.cover
    dome = np.sqrt(np.maximum(half**2 - distance**2, 0)) * np.float32(steep)
    return replace(
        scene,
        height=over(scene.height, np.maximum(scene.height, 0.8) + dome, inside),
        albedo=over(scene.albedo, _TIN, inside),
        gloss=over(scene.gloss, _SHINE, inside),
    )
