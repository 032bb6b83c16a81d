"""Stains: what a liquid leaves behind, darker or paler, often tinted, with a drying rim and runs."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Generator, Tensor

from synth.draws import Draws, subdued
from synth.families.base import Context, Family, select
from synth.families.shading import brightens
from synth.masks import RegionParameters, draw_region, half_axes, inwardness, region_columns, region_reach
from synth.noise import Numbers, directions, flat_table, perlin, uniforms
from synth.spots import NO_FLAWS, Spots, paint
from synth.windows import Window, run

_MOST_RUNS = 3
_RIM = 0.05
"""Standard deviation of the drying rim, in half axes; it is at least half a pixel."""

_OCTAVES = 4
"""Of the noise that the outline is bent by."""

_CREEP = 0.3
"""How much farther a stain creeps where the surface is black, in half axes; where it is bright, as much less far."""

_SOAKED = 0.8
"""How much denser it is there."""


@dataclass(frozen=True, kw_only=True)
class StainParameters(RegionParameters):
    """One stain per image.

    Attributes:
        density: ``[B]`` share of the brightness taken (below 0), or of what is missing to white (above 0).
        rim: ``[B]`` density of the drying rim, over ``density``.
        cloud: ``[B]`` how far the density varies inside, 0..1.
        soak: ``[B]`` how far outline and density follow the surface, 0..1: dark places, as pores and joints, take more
            of the liquid, and bright ones less.
        tint: ``[B, 3]`` share of the density in red, green and blue, 0..1; grey images take the strongest.
        runs: ``[B]`` int64, drips that run out of it, 0..3.
        down: ``[B]`` direction in which they run, radians; pi / 2 is down the picture.
        length: ``[B]`` of the longest run, in half axes.
    """

    density: Numbers
    rim: Numbers
    cloud: Numbers
    soak: Numbers
    tint: Numbers
    runs: Numbers
    down: Numbers
    length: Numbers


class Stain(Family[StainParameters]):
    """Draws and soaks in stains.

    Args:
        size: Range of half the longer axis, as a fraction of the image's shorter side.
        density: Range of the density, without its sign.
    """

    name: ClassVar[str] = "stain"
    parameters_class = StainParameters

    def __init__(self, size: tuple[float, float] = (0.012, 0.25), density: tuple[float, float] = (0.06, 0.75)) -> None:
        self.size = size
        self.density = density

    def draw(self, generator: Generator, count: int, severity: Tensor | None = None) -> StainParameters:
        """Draw a stain per image; three in four are darker than the part, one in three has runs."""
        draws = Draws(generator, count, severity)
        # Oil, rust and glue take blue first; other liquids have any colour, but seldom a strong one.
        brown = np.array([0.8, 0.5, 0.0], dtype=np.float32)
        paler = np.where(draws.chance(0.6)[:, None], brown, draws.uniform(0.0, 0.6, 3))
        tint = 1 - draws.uniform(0.0, 1.0, 1) * paler
        density = subdued(draws.signed(*self.density, negative=0.75), self.density[0])
        # What dries bright, as lime and glue, hardly gathers at the rim.
        gathers = np.where(density > 0, np.float32(0.3), np.float32(1))
        return StainParameters(
            **draw_region(draws, self.size, aspect=(0.4, 1.0), softness=(0.1, 0.9), square=0.0),
            density=density,
            rim=draws.uniform(0.2, 1.2) * draws.chance(0.7) * gathers,
            cloud=draws.uniform(0.2, 1.0),
            soak=draws.uniform(0.2, 1.0),
            tint=tint / tint.max(axis=1, keepdims=True),
            runs=np.maximum(draws.integers(0, 3 * _MOST_RUNS - 1) - 2 * _MOST_RUNS + 1, 0),
            down=draws.uniform(-0.4, 0.4) + np.float32(np.pi / 2) * (1 + _turns(draws)),
            length=draws.uniform(1.2, 3.5),
        )

    def reach(self, parameters: StainParameters, size: tuple[int, int]) -> Numbers:
        """As far as the rim and the ends of the runs."""
        longer, _ = half_axes(parameters, size)
        far = longer * (parameters.length + 0.5) * (parameters.runs > 0)
        grown = 1 + 3 * _RIM + 0.3 * parameters.roughness + _CREEP * parameters.soak
        return np.maximum(region_reach(parameters, size) * grown[:, None] + 2, far[:, None])

    def paint_in_place(self, spots: Spots, parameters: StainParameters, context: Context) -> Numbers:
        """In one loop over the pixels."""
        p = parameters
        table = spots.table(*region_columns(p), p.density, p.rim, p.cloud, p.tint, p.runs, p.down, p.length, p.soak)
        constants = _OCTAVES, _RIM, _CREEP, _SOAKED
        paint("paint_stains", spots, spots.level, *constants, table, flat_table(), *directions())
        return NO_FLAWS

    def paint(self, window: Window, parameters: StainParameters, context: Context) -> Tensor:
        """Take light away, or add some, as far as the stain is dense."""
        inside = inwardness(parameters, window, octaves=_OCTAVES)
        running = np.flatnonzero(parameters.runs)
        if len(running):
            there = run(running)
            runs = _runs(window.rows(running), select(parameters, running))
            inside[there] = torch.maximum(inside[there], runs)

        soaked = _darker(window).mul_(window.column(parameters.soak))
        inside.add_(soaked, alpha=_CREEP)
        _, shorter = half_axes(parameters, window.size)
        cells = 1.6 * np.array(window.size) / shorter[:, None]
        cloud = perlin(parameters.seed + 1, cells, window, octaves=2).mul_(window.column(0.7 * parameters.cloud))
        edge = window.column(np.maximum(parameters.softness, 1 / shorter))
        body = (inside / edge).add_(0.5).clamp_(0, 1).mul_(cloud.add_(1 - window.column(0.5 * parameters.cloud)))
        # The rim dries just inside the outline, and is broken where the cloud is thin.
        width = window.column(np.maximum(0.6 / shorter, _RIM))
        rim = inside.sub_(width).div_(width).square_().mul_(-0.5).exp_().mul_(cloud)
        share = body.addcmul_(rim, window.column(parameters.rim)).mul_(window.column(np.abs(parameters.density)))
        share = share.mul_(soaked.mul_(_SOAKED).add_(1)).clamp_(0, 0.97)
        if window.images.shape[1] == 3:
            share = share * window.tensor(parameters.tint[:, :, None, None])
        return torch.lerp(window.images, window.column(brightens(window, parameters.density)), share)


def _darker(window: Window) -> Tensor:
    """By which share pixels are darker than what is around the stain, -1..1; ``[B, 1, h, w]``."""
    level = window.column(window.level.mean(axis=1))
    return (level - window.images.mean(dim=1, keepdim=True)).div_(level.clamp_min(0.05)).clamp_(-1, 1)


def _turns(draws: Draws) -> Numbers:
    """Quarters of a turn by which runs leave the picture's vertical, ``[B]``: mostly 0."""
    return (draws.integers(0, 3) * draws.chance(0.3)).astype(np.float32)


def _runs(window: Window, parameters: StainParameters) -> Tensor:
    """As ``inwardness``, of the runs alone; ``[B, 1, h, w]``."""
    longer, shorter = half_axes(parameters, window.size)
    cos, sin = np.cos(parameters.down), np.sin(parameters.down)
    along, across = window.plane(cos, sin), window.plane(-sin, cos)
    rolls = uniforms(parameters.seed + 2, 3 * _MOST_RUNS).reshape(-1, _MOST_RUNS, 3)
    wave = perlin(parameters.seed + 3, np.array(window.size) / longer[:, None], window)
    across.add_(wave.mul_(window.column(0.15 * shorter)))
    field = torch.full_like(across, -1e3)
    for i in range(int(parameters.runs.max())):
        place, thick, length = rolls[:, i].T
        width = window.column(np.maximum((0.08 + 0.14 * thick) * shorter, 0.8))
        end = window.column(longer * parameters.length * (1 if i == 0 else 0.4 + 0.6 * length))
        aside = across - window.column((place - 0.5) * shorter)
        beyond = (along - end).clamp_min_(0).add_((-along).clamp_min_(0))
        # A drop hangs at the end.
        drop = ((along - end) / (3 * width)).square_().mul_(-1).exp_().mul_(0.6).add_(1)
        distance = torch.hypot(aside.div_(drop), beyond).div_(width)
        # As steep, in half axes, as the outline of the stain, so that rim and edge are as wide.
        run = distance.neg_().add_(1).mul_(width / window.column(shorter))
        field = torch.where(window.column(parameters.runs > i) > 0, torch.maximum(field, run), field)
    return field
