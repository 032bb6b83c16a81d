"""From the plan of a board to what lies under the camera."""

import numpy as np

from synth.parts.board.artwork import Artwork, artwork
from synth.parts.board.bodies import Bench, put
from synth.parts.board.layout import HALF, HOLE, HOLES, footprints
from synth.parts.board.plan import Board
from synth.parts.scene import SIDE, Array, Scene, cloud, coordinates, coverage, over, rounded_box

_POUR = 1.3
"""Copper fills the board up to so far from the traces."""


def build(plan: Board, size: int) -> Scene:
    """Put a board under the camera."""
    rng = np.random.default_rng(plan.seed)
    u, v = coordinates(size, plan.pose)
    pitch = SIDE / size
    outline = rounded_box(u, v, *HALF, 4)
    for hole_u, hole_v in HOLES:
        outline = np.maximum(outline, np.float32(HOLE) - np.hypot(u - np.float32(hole_u), v - np.float32(hole_v)))
    cover = coverage(outline, pitch)

    bench = _bare_board(plan, u, v, rng)
    ground = np.float32(0.05) + np.float32(0.006) * cloud(rng, size, 30)
    bench.height *= cover
    bench.albedo = over(ground, bench.albedo, cover)
    bench.gloss = bench.gloss * cover
    for placed in plan.parts:
        put(bench, placed, plan.solder)
    return Scene(
        height=bench.height,
        albedo=bench.albedo,
        gloss=bench.gloss,
        cover=cover,
        u=u,
        v=v,
        shine=13.0,
        lift=3.0,
        tallest=max(item.height for item in footprints()),
    )


def _bare_board(plan: Board, u: Array, v: Array, rng: np.random.Generator) -> Bench:
    """Copper under solder mask, tinned pads with solder on them, and print."""
    size = u.shape[0]
    pitch = SIDE / size
    art = _art(size)
    traces, pads, vias = (art.at(picture, u, v) for picture in (art.traces, art.pads, art.vias))
    silk = art.at(art.silk, u - np.float32(plan.print[0]), v - np.float32(plan.print[1]))

    cloudy = np.float32(plan.cloudy) * cloud(rng, size, 40)
    fine = cloud(rng, size, 3)
    metal = _copper(traces, u, v)
    glass = np.sin(u * np.float32(2.6)) * np.sin(v * np.float32(2.6)) * (1 - metal)
    mask = np.float32(plan.mask) * (1 + np.float32(0.04) * cloudy + np.float32(0.02) * fine + np.float32(0.03) * glass)
    albedo = mask * (np.float32(0.62) + np.float32(0.5) * metal)
    gloss = np.float32(0.09) * (1 + np.float32(0.06) * cloudy + np.float32(0.05) * fine)
    height = np.float32(0.35) * np.clip(0.5 - traces, 0, 1) + np.float32(0.05) * cloud(rng, size, 60)

    printed = coverage(np.maximum(silk, np.float32(0.4) - pads), pitch)
    albedo = over(albedo, np.float32(0.58) * (1 + np.float32(0.04) * fine), printed * np.float32(0.94))
    gloss = over(gloss, 0.03, printed)

    drilled = coverage(vias - np.float32(0.9), pitch)
    albedo = over(albedo, 0.03, drilled)
    gloss = over(gloss, 0.0, drilled)

    # How the solder has run differs from pad to pad: its dome, and how it glints.
    run = cloud(rng, size, 7)
    bare = coverage(pads, pitch)
    dome = np.sqrt(np.clip(-pads, 0, 2.5)) * (np.float32(0.55) + np.float32(0.08) * run)
    albedo = over(albedo, np.float32(0.33) * (1 + np.float32(0.06) * run + np.float32(0.03) * fine), bare)
    gloss = over(gloss, np.float32(0.42 * plan.solder) * (1 + np.float32(0.08) * run), bare)
    return Bench(height + dome * bare, albedo, gloss, u, v, plan.pose)


def copper(u: Array, v: Array) -> Array:
    """Share of each pixel under which there is copper, at positions on the board."""
    art = _art(u.shape[0])
    return _copper(art.at(art.traces, u, v), u, v)


def _copper(traces: Array, u: Array, v: Array) -> Array:
    # The pour keeps its distance from traces, and from the board's edge.
    edge = rounded_box(u, v, HALF[0] - 3, HALF[1] - 3, 3)
    pitch = SIDE / u.shape[0]
    return np.maximum(coverage(traces, pitch), coverage(np.maximum(np.float32(_POUR) - traces, edge), pitch))


def _art(size: int) -> Artwork:
    """The artwork, finely enough for pictures of that size."""
    return artwork(2 * max(1, -(-size // int(SIDE))))
