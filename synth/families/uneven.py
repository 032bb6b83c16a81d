"""Unevenness: brightness that varies over large areas, as from bad light, coating or grinding."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from synth.draws import Draws
from synth.families.base import EVERYWHERE, Context, Family
from synth.masks import RegionParameters, draw_region, region, region_reach
from synth.noise import perlin
from synth.windows import Window


@dataclass(frozen=True, kw_only=True)
class UnevenParameters(RegionParameters):
    """One uneven field per image.

    Attributes:
        cells: ``[B, 2]`` bumps along height and width.
        amount: ``[B]`` relative change of brightness where the field is full; may be negative.
        hardness: ``[B]`` steepness of the field at its border: about 1 is soft, 20 a hard edge.
        level: ``[B]`` noise above which the field lies; what lies below keeps its brightness.
        local: ``[B]`` bool, the field is confined to a region.
    """

    cells: Tensor
    amount: Tensor
    hardness: Tensor
    level: Tensor
    local: Tensor


class Uneven(Family[UnevenParameters]):
    """Draws and applies multiplicative unevenness.

    Args:
        amount: Range of the relative change, without its sign.
        cells: Range of the number of bumps along a side.
    """

    name: ClassVar[str] = "uneven"
    parameters_class = UnevenParameters

    def __init__(self, amount: tuple[float, float] = (0.06, 0.45), cells: tuple[float, float] = (1.0, 5.0)) -> None:
        self.amount = amount
        self.cells = cells

    def draw(self, generator: Generator, count: int, severity: Tensor | None = None) -> UnevenParameters:
        """Draw a field per image; half of them are confined to a region."""
        draws = Draws(generator, count, severity)
        return UnevenParameters(
            **draw_region(draws, (0.1, 0.6), softness=(0.1, 1.0), square=0.3),
            cells=draws.log_uniform(*self.cells, 2),
            amount=draws.signed(*self.amount, negative=0.5),
            hardness=draws.log_uniform(1.5, 20.0),
            level=draws.uniform(-0.1, 0.5),
            local=draws.chance(0.5),
        )

    def reach(self, parameters: UnevenParameters, size: tuple[int, int]) -> Tensor:
        """As far as the region, or everywhere."""
        return torch.where(parameters.local[:, None], region_reach(parameters, size), EVERYWHERE)

    def paint(self, window: Window, parameters: UnevenParameters, context: Context) -> Tensor:
        """Multiply the images by the field."""
        noise = perlin(parameters.seed + 1, parameters.cells, window, octaves=2)
        field = noise.sub_(window.column(parameters.level)).mul_(window.column(parameters.hardness)).clamp_(0, 1)
        if parameters.local.any():
            inside = region(parameters, window) * (0.5 + 0.5 * field)
            field = torch.where(window.column(parameters.local) > 0, inside, field)
        return window.images * field.mul_(window.column(parameters.amount)).add_(1)
