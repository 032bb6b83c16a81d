"""Defects as production makes them: changes of shape and material, photographed like the part itself.

They are for measuring detectors on, so none of this is shared with the flaw families that detectors are trained with.
Each takes a part and a severity between 0 (hardly visible) and 1 (clear), and gives the scene with the defect in it.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from scipy.ndimage import uniform_filter1d

from synth.parts import fastener, label
from synth.parts.board.defects import BOARD_DEFECTS
from synth.parts.marks import Defect, Part, hairline, spot, stroke, walk
from synth.parts.scene import Scene, cloud, over


def scratch(part: Part, rng: np.random.Generator, severity: float) -> Scene:
    """A groove with raised sides, slightly bent; how bright it is depends on where the light comes from."""
    scene = part.scene
    length, width = 20 + 80 * severity * rng.uniform(0.5, 1), 1.1 + 1.4 * severity
    distance, along = stroke(scene, rng, length, bend=0.12)
    ends = np.clip(np.minimum(along, 1 - along) * 6, 0, 1) * scene.cover
    across = distance / np.float32(width)
    groove = (np.exp(-(across**2)) - 0.45 * np.exp(-((across - 1.7) ** 2))) * ends
    depth = np.float32(0.6 + 1.4 * severity)
    bare = np.exp(-(across**2)) * ends * np.float32(0.2 + 0.4 * severity)
    return replace(scene, height=scene.height - depth * groove, albedo=scene.albedo * (1 + bare))


def pits(part: Part, rng: np.random.Generator, severity: float) -> Scene:
    """One to three blowholes: dark hollows with a rim that glints."""
    scene = part.scene
    height, albedo, gloss = scene.height.copy(), scene.albedo.copy(), scene.gloss.copy()
    at_u, at_v = spot(scene, rng, margin=8)
    for _ in range(int(rng.integers(1, 4))):
        radius = np.float32(2.2 + 4.5 * severity * rng.uniform(0.4, 1))
        u, v = scene.u - np.float32(at_u), scene.v - np.float32(at_v)
        distance = np.hypot(u, v * np.float32(rng.uniform(0.8, 1.25))) / radius
        hollow = np.clip(1 - distance**2, 0, 1) * scene.cover
        height -= np.float32(0.5 + 0.7 * severity) * radius * 0.6 * hollow
        albedo *= 1 - np.float32(0.4 + 0.45 * severity) * hollow
        gloss *= 1 + np.float32(1.2) * np.exp(-(((distance - 1.15) / 0.25) ** 2)) - 0.7 * hollow
        at_u, at_v = at_u + rng.normal(0, 9), at_v + rng.normal(0, 9)
    return replace(scene, height=height, albedo=albedo, gloss=gloss)


def crack(part: Part, rng: np.random.Generator, severity: float) -> Scene:
    """A hairline that wanders and forks, narrow and dark."""
    scene = part.scene
    length, width = 24 + 70 * severity * rng.uniform(0.5, 1), 0.7 + 0.8 * severity
    start = spot(scene, rng, margin=5)
    heading = rng.uniform(0, 2 * np.pi)
    trunk = walk(rng, start, heading, length)
    dark = hairline(scene, trunk, width)
    if rng.random() < 0.6:
        fork = trunk[len(trunk) // 2]
        branch = walk(rng, (fork[0], fork[1]), heading + rng.choice([-0.8, 0.8]), length * 0.4)
        dark = np.maximum(dark, hairline(scene, branch, width * 0.8))
    dark *= np.float32(0.5 + 0.45 * severity) * scene.cover
    return replace(scene, albedo=scene.albedo * (1 - dark), gloss=scene.gloss * (1 - dark))


def stain(part: Part, rng: np.random.Generator, severity: float) -> Scene:
    """Oil that has run: a blot with an edge darker than its middle, drawn out in the direction of flow."""
    scene = part.scene
    radius = 10 + 20 * severity * rng.uniform(0.5, 1)
    flow = rng.uniform(0, 2 * np.pi)
    at_u, at_v = spot(scene, rng, margin=6)
    u, v = scene.u - np.float32(at_u), scene.v - np.float32(at_v)
    down = u * np.float32(np.cos(flow)) + v * np.float32(np.sin(flow))
    across = v * np.float32(np.cos(flow)) - u * np.float32(np.sin(flow))
    down = np.where(down > 0, down / np.float32(rng.uniform(1.4, 2.6)), down)
    size = scene.u.shape[0]
    distance = np.hypot(down, across) / np.float32(radius) + np.float32(0.16) * cloud(rng, size, 16)
    film = 1 / (1 + np.exp(np.clip((distance - 1) * 14, -30, 30)))
    rim = np.exp(-(((distance - 0.95) / 0.1) ** 2))
    strength = np.float32(0.15 + 0.3 * severity)
    darker = strength * (film + 0.6 * rim) * scene.cover
    return replace(scene, albedo=scene.albedo * (1 - darker), gloss=scene.gloss * (1 - 1.4 * darker))


def inclusion(part: Part, rng: np.random.Generator, severity: float) -> Scene:
    """A speck of foreign material: angular, dull, a little darker or lighter than what is around it."""
    scene = part.scene
    at_u, at_v = spot(scene, rng, margin=6)
    radius = 3.0 + 6.0 * severity * rng.uniform(0.5, 1)
    u, v = scene.u - np.float32(at_u), scene.v - np.float32(at_v)
    sides = [
        (u * np.float32(np.cos(a)) + v * np.float32(np.sin(a))) / np.float32(radius * rng.uniform(0.6, 1.3))
        for a in rng.uniform(0, 1) + np.arange(5) * 2 * np.pi / 5
    ]
    inside = np.clip((1 - np.max(sides, axis=0)) * np.float32(radius), 0, 1) * scene.cover
    change = np.float32(rng.choice([-1, 1]) * (0.25 + 0.4 * severity))
    return replace(
        scene,
        albedo=scene.albedo * (1 + change * inside),
        gloss=scene.gloss * (1 - np.float32(0.5 + 0.4 * severity) * inside),
    )


def chatter(part: Part, rng: np.random.Generator, severity: float) -> Scene:
    """The wheel has vibrated: a patch of ripples across its tracks."""
    scene = part.scene
    at_u, at_v = spot(scene, rng, margin=20)
    extent_u, extent_v = 18 + 34 * severity * rng.uniform(0.5, 1), 14 + 18 * severity
    u, v = scene.u - np.float32(at_u), scene.v - np.float32(at_v)
    patch = np.exp(-((u / np.float32(extent_u)) ** 4) - (v / np.float32(extent_v)) ** 4) * scene.cover
    wave = np.sin((u + 0.2 * v) * np.float32(2 * np.pi / rng.uniform(4.5, 8)))
    return replace(scene, height=scene.height + np.float32(0.08 + 0.2 * severity) * wave * patch)


def chip(part: Part, rng: np.random.Generator, severity: float) -> Scene:
    """A corner that has broken off, with a ragged edge."""
    half_u, half_v, centre = _body(part)
    corner_u, corner_v = rng.choice([-1, 1]), rng.choice([-1, 1])
    direction = float(np.arctan2(corner_v, corner_u) + rng.normal(0, 0.25))
    depth = 5 + 12 * severity
    cut = (centre + corner_u * half_u - depth * np.cos(direction), corner_v * half_v - depth * np.sin(direction))
    plan = replace(part.plan, broken=((*cut, direction, 0.5 + 0.7 * severity),))
    return part.build(plan)


def missing_thread(part: Part, rng: np.random.Generator, severity: float) -> Scene:
    """A stretch of thread that was not cut, or was rolled flat, wholly or in part."""
    at = rng.uniform(fastener.SHANK + 14, fastener.TIP - 16)
    extent = 6 + 12 * severity
    across = rng.uniform(-0.4, 0.4) * part.plan.radius
    worn = (at, across, extent, part.plan.radius * (0.7 + 0.9 * severity), 0.6 + 0.4 * severity)
    return part.build(replace(part.plan, worn=(worn,)))


def burr(part: Part, rng: np.random.Generator, severity: float) -> Scene:
    """Metal that was pushed up by a tool: a sharp bright lip, often at an edge."""
    scene = part.scene
    distance, along = stroke(scene, rng, 9 + 18 * severity, bend=0.4)
    lip = np.exp(-((distance / np.float32(1.4 + 1.6 * severity)) ** 2)) * np.clip(np.sin(along * np.pi), 0, 1)
    lip *= scene.cover
    return replace(
        scene,
        height=scene.height + np.float32(1.5 + 2.5 * severity) * lip,
        gloss=scene.gloss * (1 + 1.4 * lip),
    )


def bent(part: Part, rng: np.random.Generator, severity: float) -> Scene:
    """A shaft that is not straight."""
    return part.build(replace(part.plan, bend=float(rng.choice([-1, 1])) * (0.001 + 0.0024 * severity)))


def missing_print(part: Part, rng: np.random.Generator, severity: float) -> Scene:
    """Two to six neighbouring marks that came out thin or not at all."""
    marks = part.plan.marks.copy()
    inner = np.arange(6, len(marks))
    areas = (marks[inner, 2] - marks[inner, 0]) * (marks[inner, 3] - marks[inner, 1])
    first = int(rng.choice(inner, p=areas / areas.sum()))
    centres = (marks[:, :2] + marks[:, 2:4]) / 2
    nearest = inner[np.argsort(np.hypot(*(centres[inner] - centres[first]).T))][: 2 + int(4 * severity)]
    marks[nearest, 4] *= 0.6 * (1 - severity) ** 1.5
    return part.build(replace(part.plan, marks=marks))


def shifted_print(part: Part, rng: np.random.Generator, severity: float) -> Scene:
    """The print lies askew on the paper, further than the printer's own play."""
    sign = rng.choice([-1, 1], size=3)
    pose = replace(
        part.plan.print,
        x=part.plan.print.x + sign[0] * (1 + 5 * severity),
        y=part.plan.print.y + sign[1] * (1 + 5 * severity),
        angle=part.plan.print.angle + sign[2] * (0.03 + 0.07 * severity),
    )
    return part.build(replace(part.plan, print=pose))


def smear(part: Part, rng: np.random.Generator, severity: float) -> Scene:
    """Ink that was wiped before it was dry."""
    scene = part.scene
    pixels = max(3, int((6 + 12 * severity) / scene.pitch))
    # The whole printed field can be wiped, so the place is one where there is ink.
    for _ in range(8):
        at_u, at_v = rng.uniform(-78, 78), rng.uniform(-55, 52)
        u, v = scene.u - np.float32(at_u), scene.v - np.float32(at_v)
        patch = np.exp(-((u / np.float32(12 + 16 * severity)) ** 4) - (v / np.float32(8 + 11 * severity)) ** 4)
        if float(scene.albedo[patch > 0.5].std()) > 0.08:
            break
    dragged = np.minimum(scene.albedo, uniform_filter1d(scene.albedo, pixels, axis=1, origin=-(pixels // 2) + 1))
    wiped = 0.75 * dragged + 0.25 * uniform_filter1d(scene.albedo, pixels, axis=1)
    mixed = over(scene.albedo, wiped, patch * scene.cover * np.float32(0.45 + 0.5 * severity))
    return replace(scene, albedo=mixed)


def ink_spots(part: Part, rng: np.random.Generator, severity: float) -> Scene:
    """A drop of ink and the splashes around it."""
    scene = part.scene
    at_u, at_v = spot(scene, rng, margin=6)
    albedo = scene.albedo.copy()
    for i in range(1 + int(rng.integers(0, 5))):
        far = 0.0 if i == 0 else rng.uniform(4, 14)
        where = rng.uniform(0, 2 * np.pi)
        radius = (2 + 4 * severity) * (1 if i == 0 else rng.uniform(0.3, 0.6))
        distance = np.hypot(
            scene.u - np.float32(at_u + far * np.cos(where)), scene.v - np.float32(at_v + far * np.sin(where))
        )
        drop = np.clip((np.float32(radius) - distance) / 1.2 + 0.5, 0, 1) * scene.cover
        albedo *= 1 - np.float32(0.4 + 0.5 * severity) * drop
    return replace(scene, albedo=albedo)


def wrinkle(part: Part, rng: np.random.Generator, severity: float) -> Scene:
    """A fold in the paper, seen by its shading only."""
    scene = part.scene
    distance, along = stroke(scene, rng, 30 + 60 * severity, bend=0.08)
    ridge = np.exp(-((distance / np.float32(2.4)) ** 2)) * np.clip(np.sin(along * np.pi), 0, 1)
    return replace(scene, height=scene.height + np.float32(0.8 + 2.0 * severity) * ridge * scene.cover)


DEFECTS: Mapping[str, Mapping[str, Defect]] = {
    "tile": {
        "scratch": scratch,
        "pits": pits,
        "crack": crack,
        "stain": stain,
        "inclusion": inclusion,
        "chatter": chatter,
        "chip": chip,
    },
    "fastener": {
        "missing_thread": missing_thread,
        "burr": burr,
        "bent": bent,
        "chip": chip,
        "scratch": scratch,
        "crack": crack,
        "stain": stain,
    },
    "label": {
        "missing_print": missing_print,
        "shifted_print": shifted_print,
        "smear": smear,
        "ink_spots": ink_spots,
        "wrinkle": wrinkle,
        "scratch": scratch,
        "chip": chip,
    },
    "board": BOARD_DEFECTS,
}
"""What can go wrong with each kind of part."""


MOSTLY_CLEAR = 3.5
"""Severities of a line whose inspectors overlook hardly anything: most are clear, some middling, few hardly visible."""


def draw_severity(rng: np.random.Generator, clarity: float = MOSTLY_CLEAR) -> float:
    """Severity of a defect, 0..1, of Beta(``clarity``, 1): of 1, hardly visible ones are as many as clear ones."""
    return float(rng.beta(clarity, 1.0))


def _body(part: Part) -> tuple[float, float, float]:
    """Half length and half width of what has corners to lose, and its centre along ``u``."""
    if isinstance(part.plan, fastener.Fastener):
        near, far = fastener.HEAD
        half = part.plan.head * np.abs(np.cos(part.plan.roll + np.pi / 6 + np.arange(6) * np.pi / 3)).max()
        return (far - near) / 2, float(half) - 2, (near + far) / 2
    if isinstance(part.plan, label.Label):
        return label.HALF[0] - 2, label.HALF[1] - 2, 0.0
    return part.plan.half - 2, part.plan.half - 2, 0.0
