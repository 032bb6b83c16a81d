"""Ripples: chatter marks of a tool, marks of rollers, corrugation, weave that shows through."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Generator, Tensor

from synth.draws import Draws
from synth.families.base import Context, Family
from synth.masks import RegionParameters, draw_region, region, region_columns, region_reach
from synth.noise import Numbers, directions, perlin
from synth.spots import NO_FLAWS, Spots, paint
from synth.windows import Window

_LEAST_PERIOD = 2.5
"""Pixels; finer waves would alias."""


@dataclass(frozen=True, kw_only=True)
class RippleParameters(RegionParameters):
    """One rippled area per image.

    Attributes:
        amount: ``[B]`` relative change of brightness on the crests; in the troughs it is the opposite.
        direction: ``[B]`` across the crests, radians.
        period: ``[B]`` distance of the crests, as a fraction of the image's shorter side; at least 2.5 pixels.
        bend: ``[B]`` how far crests are bent, in periods: 0 is straight, above 1 they run like veins in wood.
        crossed: ``[B]`` bool, with waves of the same period across them.
    """

    amount: Numbers
    direction: Numbers
    period: Numbers
    bend: Numbers
    crossed: Numbers


class Ripple(Family[RippleParameters]):
    """Draws waves and multiplies images by them.

    Args:
        amount: Range of the relative change.
        size: Range of half the longer axis of the area, as a fraction of the image's shorter side.
    """

    name: ClassVar[str] = "ripple"
    parameters_class = RippleParameters

    def __init__(self, amount: tuple[float, float] = (0.04, 0.4), size: tuple[float, float] = (0.04, 0.5)) -> None:
        self.amount = amount
        self.size = size

    def draw(self, generator: Generator, count: int, severity: Tensor | None = None) -> RippleParameters:
        """Draw an area per image; a fifth of them are crossed."""
        draws = Draws(generator, count, severity)
        return RippleParameters(
            **draw_region(draws, self.size, softness=(0.2, 1.2), square=0.3),
            amount=draws.strong(*self.amount),
            direction=draws.uniform(0, np.pi),
            period=draws.log_uniform(0.012, 0.1),
            bend=draws.log_uniform(0.05, 1.5),
            crossed=draws.chance(0.2),
        )

    def reach(self, parameters: RippleParameters, size: tuple[int, int]) -> Numbers:
        """As far as the area."""
        return region_reach(parameters, size)

    def paint_in_place(self, spots: Spots, parameters: RippleParameters, context: Context) -> Numbers:
        """In one loop over the pixels."""
        p = parameters
        turns = 2 * np.pi / np.maximum(p.period * min(spots.size), _LEAST_PERIOD)
        table = spots.table(*region_columns(p), p.amount, turns, p.direction, p.bend, p.crossed)
        paint("paint_ripples", spots, table, *directions())
        return NO_FLAWS

    def paint(self, window: Window, parameters: RippleParameters, context: Context) -> Tensor:
        """Multiply the images by the waves."""
        turns = 2 * np.pi / np.maximum(parameters.period * window.side, _LEAST_PERIOD)
        cos, sin = np.cos(parameters.direction) * turns, np.sin(parameters.direction) * turns
        # The bends are some periods long, whatever the period is.
        cells = np.array(window.size) * (turns / (2 * np.pi) / 4)[:, None]
        bend = perlin(parameters.seed + 1, cells, window).mul_(window.column(2 * np.pi * parameters.bend))
        waves = window.plane(cos, sin).add_(bend).sin_()
        if parameters.crossed.any():
            other = window.plane(-sin, cos).sub_(bend).sin_()
            waves.lerp_(waves * other, window.column(parameters.crossed))
        waves.mul_(region(parameters, window)).mul_(window.column(parameters.amount))
        return window.images * waves.add_(1)
