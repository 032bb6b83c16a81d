"""Dents: hollows and bumps, seen by the light they catch on one side and lose on the other."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Generator, Tensor

from synth.draws import Draws
from synth.families.base import Context, Family, select
from synth.families.shading import light
from synth.masks import RegionParameters, draw_region, half_axes, inwardness, region_columns, region_reach
from synth.noise import Numbers, directions
from synth.sources import sampled
from synth.spots import NO_FLAWS, Spots, paint
from synth.windows import Window, run

_RIM = 0.45
"""Width of the rim that material is pushed up into, in half axes."""


@dataclass(frozen=True, kw_only=True)
class DentParameters(RegionParameters):
    """One dent per image; ``softness`` is the width of its wall, in half axes.

    Attributes:
        depth: ``[B]`` change of brightness where the wall is steepest; negative is a bump.
        light: ``[B]`` direction that the light comes from, radians.
        rim: ``[B]`` height of the rim over the depth of the hollow, 0..1.
        warp: ``[B]`` share by which the texture is drawn together (above 0) or apart inside; 0 leaves it.
    """

    depth: Numbers
    light: Numbers
    rim: Numbers
    warp: Numbers


class Dent(Family[DentParameters]):
    """Draws and shades dents.

    Args:
        size: Range of half the longer axis, as a fraction of the image's shorter side.
        depth: Range of the change of brightness, without its sign.
    """

    name: ClassVar[str] = "dent"
    parameters_class = DentParameters

    def __init__(self, size: tuple[float, float] = (0.012, 0.22), depth: tuple[float, float] = (0.06, 0.55)) -> None:
        self.size = size
        self.depth = depth

    def draw(self, generator: Generator, count: int, severity: Tensor | None = None) -> DentParameters:
        """Draw a dent per image; one in four is a bump, and four in ten bend the texture."""
        draws = Draws(generator, count, severity)
        return DentParameters(
            **draw_region(
                draws, self.size, aspect=(0.3, 1.0), softness=(0.35, 1.0), square=0.1, roughness=(0.05, 0.35)
            ),
            depth=draws.signed(*self.depth, negative=0.25),
            light=draws.uniform(0, 2 * np.pi),
            rim=draws.uniform(0.0, 0.5),
            warp=draws.uniform(-0.25, 0.25) * draws.chance(0.4),
        )

    def reach(self, parameters: DentParameters, size: tuple[int, int]) -> Numbers:
        """As far as the rim."""
        return region_reach(parameters, size) * (1 + _RIM) + 2

    def margin(self, parameters: DentParameters, size: tuple[int, int]) -> int:
        """As far as the texture is bent."""
        return math.ceil((np.abs(parameters.warp) * region_reach(parameters, size).max(axis=1)).max()) + 1

    def paint_in_place(self, spots: Spots, parameters: DentParameters, context: Context) -> Numbers:
        """In one loop over the pixels."""
        p = parameters
        table = spots.table(*region_columns(p), p.depth, p.light, p.rim, p.warp)
        paint("paint_dents", spots, _RIM, table, *directions())
        return NO_FLAWS

    def paint(self, window: Window, parameters: DentParameters, context: Context) -> Tensor:
        """Light the images by the slope of the dent, and bend their texture."""
        _, shorter = half_axes(parameters, window.size)
        # The slope is a difference over a step that is short beside the wall.
        step = np.maximum(0.15 * shorter, 0.75)
        towards = np.stack([np.cos(parameters.light), np.sin(parameters.light)], axis=1) * step[:, None]
        near, far = (_height(parameters, window.moved(by)) for by in (towards, -towards))
        # A smoothstep is at most 1.5 times as steep as its mean.
        steepest = shorter * parameters.softness / (3 * step)
        slope = near.sub_(far).mul_(window.column(parameters.depth * steepest)).clamp_(-1, 1)
        bent = np.flatnonzero(parameters.warp)
        images = window.images
        if len(bent):
            images = images.clone()
            images[run(bent)] = _bend(window.rows(bent), select(parameters, bent))
        return light(images, slope)


def _height(parameters: DentParameters, window: Window) -> Tensor:
    """Height of the surface, -1 on the floor and above 0 on the rim, ``[B, 1, h, w]``."""
    inside = inwardness(parameters, window)
    wall = _smoothstep(inside / window.column(parameters.softness))
    height = _smoothstep(inside.div_(_RIM).add_(1)).mul_(window.column(parameters.rim))
    return height.sub_(wall.mul_(window.column(1 + parameters.rim)))


def _smoothstep(values: Tensor) -> Tensor:
    t = values.clamp_(0, 1)
    return t.square().mul_(t.mul_(-2).add_(3))


def _bend(window: Window, parameters: DentParameters) -> Tensor:
    """Draw the texture towards the middle or away from it, most inside and not at all on the outline."""
    height, width = window.shape
    inside = inwardness(parameters, window)
    share = _smoothstep(inside.div_(window.column(parameters.softness))).mul_(window.column(parameters.warp))
    x, y = window.offsets
    columns, rows = (torch.arange(count, dtype=share.dtype, device=share.device) for count in (width, height))
    return sampled(window.images, np.arange(len(share)), x * share + columns, y * share + rows[:, None])
