"""Unevenness over large areas: streaks as from grinding, and light that falls unevenly."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Generator, Tensor

from synth.draws import Draws
from synth.families.base import Context, Family, select
from synth.masks import RegionParameters, draw_region, region, region_columns, region_reach
from synth.noise import Numbers, directions, flat_table, profile
from synth.spots import NO_FLAWS, Spots, paint
from synth.windows import Window, run


@dataclass(frozen=True, kw_only=True)
class UnevenParameters(RegionParameters):
    """One uneven area per image.

    Attributes:
        ground: ``[B]`` bool, streaks of grinding; otherwise light.
        amount: ``[B]`` relative change of brightness where it is greatest; may be negative.
        direction: ``[B]`` in which the streaks run or the light changes, radians.
        band: ``[B]`` width of a band of streaks, as a fraction of the image's shorter side.
        streak: ``[B]`` width of a streak, in the same unit; at least 1.5 pixels.
        slope: ``[B]`` how much the light changes across the area: 0 is a round spot, 1 a spot that is bright on one
            side and dark on the other.
    """

    ground: Numbers
    amount: Numbers
    direction: Numbers
    band: Numbers
    streak: Numbers
    slope: Numbers


class Uneven(Family[UnevenParameters]):
    """Draws and applies multiplicative unevenness.

    Args:
        amount: Range of the relative change, without its sign.
        size: Range of half the longer axis of the area, as a fraction of the image's shorter side.
    """

    name: ClassVar[str] = "uneven"
    parameters_class = UnevenParameters

    def __init__(self, amount: tuple[float, float] = (0.06, 0.5), size: tuple[float, float] = (0.1, 0.7)) -> None:
        self.amount = amount
        self.size = size

    def draw(self, generator: Generator, count: int, severity: Tensor | None = None) -> UnevenParameters:
        """Draw an area per image; half of them are ground."""
        draws = Draws(generator, count, severity)
        return UnevenParameters(
            **draw_region(draws, self.size, softness=(0.4, 1.6), square=0.2),
            ground=draws.chance(0.5),
            amount=draws.signed(*self.amount, negative=0.5),
            direction=draws.uniform(0, 2 * np.pi),
            band=draws.log_uniform(0.03, 0.2),
            streak=draws.log_uniform(0.004, 0.03),
            slope=draws.uniform(0, 1),
        )

    def reach(self, parameters: UnevenParameters, size: tuple[int, int]) -> Numbers:
        """As far as the area."""
        return region_reach(parameters, size)

    def paint_in_place(self, spots: Spots, parameters: UnevenParameters, context: Context) -> Numbers:
        """In one loop over the pixels."""
        p = parameters
        table = spots.table(*region_columns(p), p.ground, p.amount, p.direction, p.band, p.streak, p.slope)
        paint("paint_unevenness", spots, table, flat_table(), *directions())
        return NO_FLAWS

    def paint(self, window: Window, parameters: UnevenParameters, context: Context) -> Tensor:
        """Multiply the images by the field."""
        inside = region(parameters, window)
        # Light has no edges.
        inside = inside.square().mul_(inside.mul_(-2).add_(3))
        field = torch.empty_like(inside)
        for field_of, ground in ((_streaks, True), (_light, False)):
            rows = np.flatnonzero(parameters.ground == ground)
            if len(rows):
                field[run(rows)] = field_of(window.rows(rows), select(parameters, rows))
        return window.images * field.mul_(inside).mul_(window.column(parameters.amount)).add_(1)


def _streaks(window: Window, parameters: UnevenParameters) -> Tensor:
    """Bands of fine streaks, ``[B, 1, h, w]`` in about -1..1: they change across the direction of grinding only."""
    across = window.plane(-np.sin(parameters.direction), np.cos(parameters.direction))
    bands = profile(parameters.seed + 1, across, parameters.band * window.side)
    fine = profile(parameters.seed + 2, across, np.maximum(parameters.streak * window.side, 1.5))
    return bands.add_(0.5).mul_(fine.mul_(1.6).add_(0.4))


def _light(window: Window, parameters: UnevenParameters) -> Tensor:
    """A round spot, or one that is bright on one side only; ``[B, 1, h, w]`` in about -1..1."""
    size = parameters.size * window.side
    along = window.plane(np.cos(parameters.direction) / size, np.sin(parameters.direction) / size)
    slope = window.column(parameters.slope)
    return along.clamp_(-1, 1).mul_(slope).add_(1 - slope)
