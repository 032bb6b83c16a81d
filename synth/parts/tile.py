"""Ground metal tiles: a bevelled plate with the tracks of the grinding wheel on it."""

from dataclasses import dataclass

import numpy as np

from synth.parts.lots import Lot
from synth.parts.scene import Array, Pose, Scene, cloud, coordinates, coverage, over, rounded_box


@dataclass(frozen=True)
class Tile:
    """Plan of one tile; lengths in units of 1/256 of the image's side.

    Attributes:
        pose: Where it lies.
        half: Half of its side.
        bevel: Width of the bevel.
        wheel: Centre of the grinding tracks; far away they are straight.
        tone: Albedo.
        contrast: Strength of the tracks.
        grain: Width of the tracks, relative.
        broken: Corners that are broken off: position of a cut (u, v), its direction and its raggedness.
        seed: Of the texture.
    """

    pose: Pose
    half: float
    bevel: float
    wheel: tuple[float, float]
    tone: float
    contrast: float
    grain: float
    seed: int
    broken: tuple[tuple[float, float, float, float], ...] = ()


def draw(rng: np.random.Generator, lot: Lot) -> Tile:
    """Draw a good tile of a lot."""
    return Tile(
        pose=Pose(rng.normal(0, 2.5), rng.normal(0, 2.5), rng.normal(0, 0.015)),
        half=113 + rng.normal(0, 0.5),
        bevel=6 + rng.normal(0, 0.4),
        wheel=(rng.normal(0, 60), 420 + 220 * lot.wear + rng.normal(0, 20)),
        tone=0.36 * lot.tone * float(np.exp(rng.normal(0, 0.03))),
        contrast=lot.contrast * float(np.exp(rng.normal(0, 0.1))),
        grain=lot.grain,
        seed=int(rng.integers(2**32)),
    )


def build(plan: Tile, size: int) -> Scene:
    """Put a tile under the camera."""
    rng = np.random.default_rng(plan.seed)
    u, v = coordinates(size, plan.pose)
    pitch = 256 / size
    outline = rounded_box(u, v, plan.half, plan.half, 7)
    for cut_u, cut_v, direction, ragged in plan.broken:
        noise = np.random.default_rng(plan.seed + 1)
        edge = (u - cut_u) * np.float32(np.cos(direction)) + (v - cut_v) * np.float32(np.sin(direction))
        outline = np.maximum(outline, edge + np.float32(ragged) * cloud(noise, size, 9))
    cover = coverage(outline, pitch)
    bevel = np.minimum(np.maximum(outline + np.float32(plan.bevel), 0), np.float32(plan.bevel))

    tracks = _tracks(rng, u, v, plan)
    patchy = cloud(rng, size, 70)
    albedo = np.float32(plan.tone) * (1 + np.float32(0.05 * plan.contrast) * tracks + np.float32(0.025) * patchy)
    gloss = 0.2 * (1 + np.float32(0.16 * plan.contrast) * tracks + np.float32(0.05) * patchy)
    ground = np.float32(0.05) + np.float32(0.006) * cloud(rng, size, 30)
    return Scene(
        height=np.float32(-0.42) * bevel + np.float32(0.03 * plan.contrast) * tracks * cover,
        albedo=over(ground, albedo, cover),
        gloss=over(np.zeros_like(cover), gloss, cover),
        cover=cover,
        u=u,
        v=v,
        shine=14.0,
        lift=4.0,
    )


def _tracks(rng: np.random.Generator, u: Array, v: Array, plan: Tile) -> Array:
    """Arcs of the wheel: noise over the radius, in layers that come and go along the arc."""
    across = np.hypot(u - np.float32(plan.wheel[0]), v - np.float32(plan.wheel[1]))
    first = float(across.min())
    total = np.zeros_like(across)
    for width, weight in ((1.0, 0.55), (2.2, 0.55), (6.0, 0.5), (18.0, 0.35)):
        knots = rng.standard_normal(int((across.max() - first) / (width * plan.grain)) + 3).astype(np.float32)
        place = (across - np.float32(first)) / np.float32(width * plan.grain)
        below = place.astype(np.int32)
        part = place - below
        line = knots[below] * (1 - part) + knots[below + 1] * part
        total += np.float32(weight) * line * (1 + np.float32(0.45) * cloud(rng, u.shape[0], 40))
    return total
