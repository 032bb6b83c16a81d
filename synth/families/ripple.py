"""Ripples: chatter marks of a tool, marks of rollers, corrugation, weave that shows through."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Generator, Tensor

from synth.draws import Draws
from synth.families.base import Context, Family
from synth.masks import RegionParameters, draw_region, region, region_columns, region_reach
from synth.noise import Numbers, directions, flat_table, perlin, profile
from synth.spots import NO_FLAWS, Spots, paint
from synth.windows import Window

_LEAST_PERIOD = 2.5
"""Pixels; finer waves would alias."""

_TURN = 2 * np.pi

_MATTER = 0.4
"""Pixels that are darker or brighter than the surface by this share of its brightness ripple half as much: pores,
joints and inlays are of another height or matter."""


@dataclass(frozen=True, kw_only=True)
class RippleParameters(RegionParameters):
    """One rippled area per image.

    Attributes:
        amount: ``[B]`` relative change of brightness on the crests; in the troughs it is the opposite.
        direction: ``[B]`` across the crests, radians.
        period: ``[B]`` distance of the crests, as a fraction of the image's shorter side; at least 2.5 pixels.
        bend: ``[B]`` how far crests are bent, in periods: 0 is straight, above 1 they run like veins in wood.
        uneven: ``[B]`` how far crests differ in height and distance, 0..1.
        fading: ``[B]`` how far the waves fade in places, 0..1.
        crest: ``[B]`` how much narrower crests are than troughs, -1..1.
        crossed: ``[B]`` bool, with waves of the same period across them.
    """

    amount: Numbers
    direction: Numbers
    period: Numbers
    bend: Numbers
    uneven: Numbers
    fading: Numbers
    crest: Numbers
    crossed: Numbers


class Ripple(Family[RippleParameters]):
    """Draws waves and multiplies images by them.

    Args:
        amount: Range of the relative change.
        size: Range of half the longer axis of the area, as a fraction of the image's shorter side.
    """

    name: ClassVar[str] = "ripple"
    parameters_class = RippleParameters

    def __init__(self, amount: tuple[float, float] = (0.05, 0.38), size: tuple[float, float] = (0.04, 0.5)) -> None:
        self.amount = amount
        self.size = size

    def draw(self, generator: Generator, count: int, severity: Tensor | None = None) -> RippleParameters:
        """Draw an area per image; one in twenty is crossed."""
        draws = Draws(generator, count, severity)
        return RippleParameters(
            **draw_region(draws, self.size, softness=(0.2, 1.2), square=0.3),
            amount=draws.strong(*self.amount),
            direction=draws.uniform(0, np.pi),
            period=draws.log_uniform(0.012, 0.1),
            bend=draws.log_uniform(0.05, 1.5),
            uneven=draws.uniform(0.3, 1.0),
            fading=draws.uniform(0.2, 0.8),
            crest=draws.uniform(-0.8, 0.8),
            crossed=draws.chance(0.05),
        )

    def reach(self, parameters: RippleParameters, size: tuple[int, int]) -> Numbers:
        """As far as the area."""
        return region_reach(parameters, size)

    def paint_in_place(self, spots: Spots, parameters: RippleParameters, context: Context) -> Numbers:
        """In one loop over the pixels."""
        p = parameters
        turns = _turns(p, spots.size)
        table = spots.table(
            *region_columns(p), p.amount, turns, p.direction, p.bend, p.crossed, p.uneven, p.fading, p.crest
        )
        paint("paint_ripples", spots, spots.level, _MATTER, table, flat_table(), *directions())
        return NO_FLAWS

    def paint(self, window: Window, parameters: RippleParameters, context: Context) -> Tensor:
        """Multiply the images by the waves."""
        p = parameters
        turns = _turns(p, window.size)
        cos, sin = np.cos(p.direction) * turns, np.sin(p.direction) * turns
        # The bends are some periods long, whatever the period is.
        cells = np.array(window.size) * (turns / _TURN / 4)[:, None]
        bend = perlin(p.seed + 1, cells, window, octaves=2).mul_(window.column(p.bend))
        along = window.plane(cos / _TURN, sin / _TURN).add_(bend)
        uneven = window.column(p.uneven)
        height = profile(p.seed + 3, along, np.full(len(turns), 2.0)).mul_(1.6 * uneven).add_(1)
        along.add_(profile(p.seed + 2, along, np.full(len(turns), 1.5)).mul_(0.7 * uneven))
        waves = along.mul_(_TURN).sin_()
        if p.crossed.any():
            other = window.plane(-sin, cos).sub_(bend.mul_(_TURN)).sin_()
            waves.lerp_(waves * other, window.column(p.crossed))
        waves.add_((waves * waves).sub_(0.5).mul_(window.column(p.crest)))
        fading = window.column(p.fading)
        faded = perlin(p.seed + 4, cells / 1.5, window, octaves=2).mul_(2.5).sub_(0.3).mul_(fading).add_(1)
        waves.mul_(height).mul_(faded.clamp_(0, 1.5)).mul_(_matter(window))
        waves.mul_(region(p, window)).mul_(window.column(p.amount))
        return window.images * waves.add_(1)


def _turns(parameters: RippleParameters, size: tuple[int, int]) -> Numbers:
    """What the waves turn by from one pixel to the next, radians, ``[B]``."""
    return _TURN / np.maximum(parameters.period * min(size), _LEAST_PERIOD)


def _matter(window: Window) -> Tensor:
    """How far waves take hold: less in what is darker or brighter than most of the surface; ``[B, 1, h, w]``, 0..1."""
    level = window.column(window.level.mean(axis=1))
    other = (window.images.mean(dim=1, keepdim=True) - level).div_(_MATTER * level.clamp_min(0.05))
    return other.square_().add_(1).reciprocal_()
