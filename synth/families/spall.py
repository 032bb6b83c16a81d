"""Spalls: pieces broken out of a surface, down to a matte, granular floor behind a ragged rim."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Generator, Tensor

from synth.draws import Draws
from synth.families.base import Context, Family
from synth.families.shading import light, relative, sunken
from synth.masks import RegionParameters, draw_region, half_axes, inwardness, region_columns, region_reach
from synth.noise import Numbers, directions, flat_table, grain
from synth.spots import NO_FLAWS, Spots, paint
from synth.windows import Window

_OCTAVES = 5
"""Of the noise that the rim is broken by."""

_COARSER = 3.0
"""Size of the coarse grains of the floor over that of the fine ones."""


_STEEPEST = 2.0
"""Depths that the steepest walls fall or rise within a step, of which this many would be a whole one."""


@dataclass(frozen=True, kw_only=True)
class SpallParameters(RegionParameters):
    """One spall per image; ``softness`` is the width of its wall, in half axes.

    Attributes:
        brightness: ``[B]`` of the floor, over the level around it: -1 (black) to 1 (white).
        fade: ``[B]`` how much of the surface's colour the floor has lost, 0..1.
        grain: ``[B]`` contrast of the floor's grains, 0..1.
        grit: ``[B]`` size of the fine grains, as a fraction of the image's shorter side; at least 1.5 pixels.
        light: ``[B]`` direction that the light comes from, radians.
        relief: ``[B]`` change of brightness on the steepest walls, 0..1.
        opacity: ``[B]`` 0..1.
    """

    brightness: Numbers
    fade: Numbers
    grain: Numbers
    grit: Numbers
    light: Numbers
    relief: Numbers
    opacity: Numbers


class Spall(Family[SpallParameters]):
    """Draws spalls and breaks them out.

    Args:
        size: Range of half the longer axis, as a fraction of the image's shorter side.
        brightness: Range of the floor's brightness over the level around it, without its sign.
    """

    name: ClassVar[str] = "spall"
    parameters_class = SpallParameters

    def __init__(
        self, size: tuple[float, float] = (0.008, 0.3), brightness: tuple[float, float] = (0.06, 0.55)
    ) -> None:
        self.size = size
        self.brightness = brightness

    def draw(self, generator: Generator, count: int, severity: Tensor | None = None) -> SpallParameters:
        """Draw a spall per image; three in five are darker than the surface, and a quarter reach the part's border."""
        draws = Draws(generator, count, severity)
        region = draw_region(
            draws, self.size, aspect=(0.35, 1.0), softness=(0.06, 0.45), square=0.1, roughness=(0.25, 0.8)
        )
        at_border, side, end = draws.chance(0.25), draws.integers(0, 1), draws.integers(0, 1)
        moved = at_border[:, None] & (side[:, None] == [0, 1])
        brightness = draws.signed(*self.brightness, negative=0.6)
        # On a bright floor grains are lit all around, so that they stand out less.
        dull = np.where(brightness > 0, np.float32(0.5), np.float32(1))
        return SpallParameters(
            **{**region, "centre": np.where(moved, end[:, None].astype(np.float32), region["centre"])},
            brightness=brightness,
            fade=draws.uniform(0.0, 0.8),
            grain=draws.strong(0.1, 0.55) * dull,
            grit=draws.log_uniform(0.004, 0.012),
            light=draws.uniform(0, 2 * np.pi),
            relief=draws.strong(0.25, 1.0),
            opacity=np.minimum(draws.strong(0.3, 2.0), 1),
        )

    def reach(self, parameters: SpallParameters, size: tuple[int, int]) -> Numbers:
        """As far as the rim."""
        return region_reach(parameters, size) * (1 + 0.3 * parameters.roughness)[:, None] + 1

    def paint_in_place(self, spots: Spots, parameters: SpallParameters, context: Context) -> Numbers:
        """In one loop over the pixels."""
        p = parameters
        table = spots.table(*region_columns(p), p.grain, p.grit, p.light, p.relief, p.opacity)
        constants = _OCTAVES, _COARSER, _STEEPEST
        paint("paint_spalls", spots, _floors(spots, p), *constants, table, flat_table(), *directions())
        return NO_FLAWS

    def paint(self, window: Window, parameters: SpallParameters, context: Context) -> Tensor:
        """Replace what was broken out by the floor and its walls."""
        p = parameters
        _, shorter = half_axes(p, window.size)
        inside = inwardness(p, window, octaves=_OCTAVES)
        # As long as a wall is wide, the step lays the near wall's shadow on the floor too.
        step = np.maximum(0.6 * p.softness * shorter, 1)[:, None]
        sun = np.stack([np.cos(p.light), np.sin(p.light)], axis=1)
        towards = inwardness(p, window.moved(sun * step), octaves=_OCTAVES)
        wall = window.column(p.softness)
        slope = sunken(towards, wall).sub_(sunken(inside, wall))

        floor = window.colours(_floors(window, p)) * _grains(window, p)
        floor = light(floor.clamp_(0, 1), slope.mul_(window.column(_STEEPEST * p.relief)).clamp_(-1, 1))
        return torch.lerp(
            window.images,
            floor,
            inside.mul_(window.column(shorter)).add_(0.5).clamp_(0, 1).mul_(window.column(p.opacity)),
        )


def _floors(window: Window | Spots, parameters: SpallParameters) -> Numbers:
    """Colours of the floors, ``[B, C]`` float32."""
    colours = relative(window, parameters.brightness)
    grey = colours.mean(axis=1, keepdims=True)
    return (colours + parameters.fade[:, None] * (grey - colours)).astype(np.float32, copy=False)


def _grains(window: Window, parameters: SpallParameters) -> Tensor:
    """By how much the floor's grains are brighter or darker, about 1; ``[B, 1, h, w]``."""
    fine = np.maximum(parameters.grit * window.side, 1.5)[:, None].repeat(2, axis=1)
    grains = grain(parameters.seed + 1, fine, window).add_(grain(parameters.seed + 2, _COARSER * fine, window))
    return grains.mul_(window.column(parameters.grain)).add_(1)
