"""Hexagon bolts that lie on a conveyor belt at any angle, threads and all."""

from dataclasses import dataclass

import numpy as np

from synth.parts.lots import Lot
from synth.parts.scene import Array, Pose, Scene, cloud, coordinates, coverage, over


@dataclass(frozen=True)
class Fastener:
    """Plan of one bolt; ``u`` runs from its head to its tip. Lengths in units of 1/256 of the image's side.

    Attributes:
        pose: Where it lies.
        roll: Rotation about its own axis, in radians: which faces of the hexagon look up, where the thread starts.
        radius: Of the shaft.
        head: Circumradius of the hexagon.
        thread: Pitch and depth of the thread.
        tone: Albedo of the metal.
        finish: Strength of the turning marks.
        belt: Albedo of the conveyor belt.
        bend: Curvature of the shaft, in 1/units.
        worn: Damage to the thread: centre (u, v), extents (u, v), and how much of the depth is gone, 0..1.
        broken: Corners that are off the head: position of a cut (u, v), its direction and its raggedness.
        seed: Of the textures.
    """

    pose: Pose
    roll: float
    radius: float
    head: float
    thread: tuple[float, float]
    tone: float
    finish: float
    belt: float
    seed: int
    bend: float = 0.0
    worn: tuple[tuple[float, float, float, float, float], ...] = ()
    broken: tuple[tuple[float, float, float, float], ...] = ()


HEAD = (-78.0, -50.0)
"""From where to where the head reaches along the axis."""

FLANGE = -45.0
SHANK = -12.0
"""The plain part of the shaft ends here, the thread begins."""

TIP = 78.0


def draw(rng: np.random.Generator, lot: Lot) -> Fastener:
    """Draw a good bolt of a lot."""
    return Fastener(
        pose=Pose(rng.uniform(-14, 14), rng.uniform(-14, 14), rng.uniform(-np.pi, np.pi)),
        roll=rng.uniform(-np.pi, np.pi),
        radius=18.5 + rng.normal(0, 0.15),
        head=36 + rng.normal(0, 0.2),
        thread=(7.6, 2.3 + rng.normal(0, 0.06)),
        tone=0.3 * lot.tone * float(np.exp(rng.normal(0, 0.04))),
        finish=lot.contrast * float(np.exp(rng.normal(0, 0.1))),
        belt=0.13 * (1 + 0.25 * lot.wear),
        seed=int(rng.integers(2**32)),
    )


def build(plan: Fastener, size: int) -> Scene:
    """Put a bolt under the camera."""
    rng = np.random.default_rng(plan.seed)
    u, v = coordinates(size, plan.pose)
    pitch = 256 / size
    weave_u, weave_v = coordinates(size, Pose(rng.uniform(0, 8), rng.uniform(0, 8), 0.06))
    bent = v - np.float32(plan.bend / 2) * np.maximum(u - np.float32(FLANGE), 0) ** 2

    shaft, shaft_outline = _shaft(u, bent, plan)
    head, head_outline = _head(u, v, plan, size)
    flange_radius = np.float32(plan.head * 1.04)
    flange = np.sqrt(np.maximum(flange_radius**2 - v**2, 0))
    flange_outline = np.maximum(np.abs(u - np.float32((HEAD[1] + FLANGE) / 2)) - 2.5, np.abs(v) - flange_radius)

    height = np.zeros_like(u)
    cover = np.zeros_like(u)
    for piece, outline in ((shaft, shaft_outline), (head, head_outline), (flange, flange_outline)):
        piece_cover = coverage(outline, pitch)
        height = over(height, piece, piece_cover)
        cover = np.maximum(cover, piece_cover)

    turning = np.interp(u, np.linspace(-130, 130, 261), rng.standard_normal(261)).astype(np.float32)
    blotches = cloud(rng, size, 14)
    fine = cloud(rng, size, 3)
    metal = np.float32(plan.tone) * (1 + np.float32(0.04 * plan.finish) * (turning + fine) + 0.04 * blotches)
    gloss = np.float32(0.42) * (1 + np.float32(0.07 * plan.finish) * (turning + fine) + 0.05 * blotches)
    weave = np.sin(weave_u * np.float32(2.1)) * np.sin(weave_v * np.float32(2.1))
    dirt = cloud(rng, size, 45)
    belt = np.float32(plan.belt) * (1 + 0.16 * weave + 0.08 * dirt + 0.1 * fine)
    return Scene(
        height=height + np.float32(0.12) * weave * (1 - cover),
        albedo=over(belt, metal, cover),
        gloss=over(np.full_like(belt, 0.02), gloss, cover),
        cover=cover,
        u=u,
        v=bent,
        shine=11.0,
        lift=11.0,
    )


def _shaft(u: Array, v: Array, plan: Fastener) -> tuple[Array, Array]:
    """Height of the shaft, and signed distance to its outline."""
    pitch, depth = plan.thread
    around = np.arcsin(np.clip(v / np.float32(plan.radius), -1, 1))
    turn = u / np.float32(pitch) + (around + np.float32(plan.roll)) / np.float32(2 * np.pi)
    valley = np.clip(np.abs(turn - np.floor(turn) - 0.5) * 2.8 - 0.3, 0, 1)
    # The thread runs out over one turn, towards the shank and towards the tip.
    begun = np.clip((u - np.float32(SHANK)) / np.float32(pitch), 0, 1)
    cut = np.float32(depth) * valley * begun
    for at_u, at_v, extent_u, extent_v, gone in plan.worn:
        spot = np.exp(-(((u - np.float32(at_u)) / np.float32(extent_u)) ** 4))
        spot *= np.exp(-(((v - np.float32(at_v)) / np.float32(extent_v)) ** 4))
        cut += (np.float32(0.6 * depth) - cut) * spot * np.float32(gone) * begun
    chamfer = np.maximum(u - np.float32(TIP - 7), 0) * np.float32(0.6)
    radius = np.maximum(np.float32(plan.radius) - cut - chamfer, 0)
    outline = np.maximum(np.abs(v) - radius, np.maximum(u - np.float32(TIP), np.float32(FLANGE) - u))
    return np.sqrt(np.maximum(radius**2 - v**2, 0)), outline


def _head(u: Array, v: Array, plan: Fastener, size: int) -> tuple[Array, Array]:
    """Height of the head, the upper faces of a hexagonal prism, and signed distance to its outline."""
    apothem = plan.head * np.cos(np.pi / 6)
    height = np.full_like(u, np.inf)
    for k in range(6):
        normal = plan.roll + k * np.pi / 3
        if np.sin(normal) > 0.05:
            face = (np.float32(apothem) - v * np.float32(np.cos(normal))) / np.float32(np.sin(normal))
            height = np.minimum(height, face)
    corners = plan.head * np.cos(plan.roll + np.pi / 6 + np.arange(6) * np.pi / 3)
    half = np.float32(np.abs(corners).max())
    # The outer end is chamfered by a cone, as turned heads are.
    cone = np.float32(plan.head * 0.9) + (u - np.float32(HEAD[0])) * np.float32(0.75)
    height = np.minimum(height, np.sqrt(np.maximum(cone**2 - v**2, 0)))
    outline = np.maximum(
        np.abs(v) - np.minimum(half, cone), np.maximum(np.float32(HEAD[0]) - u, u - np.float32(HEAD[1]))
    )
    for cut_u, cut_v, direction, ragged in plan.broken:
        edge = (u - cut_u) * np.float32(np.cos(direction)) + (v - cut_v) * np.float32(np.sin(direction))
        rough = np.float32(ragged) * cloud(np.random.default_rng(plan.seed + 1), size, 7)
        outline = np.maximum(outline, edge + rough)
    return np.maximum(height, 0), outline
