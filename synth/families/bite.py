"""Bites: chips broken out of the border of the part or of the image."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from synth.draws import Draws
from synth.families.base import Context, Family
from synth.masks import RegionParameters, draw_region, region, region_reach
from synth.noise import perlin
from synth.windows import Window


@dataclass(frozen=True, kw_only=True)
class BiteParameters(RegionParameters):
    """One bite per image; its centre lies on the border of the part.

    Attributes:
        brightness: ``[B]`` of what shows where material is missing, 0..1.
        background: ``[B]`` bool, the mean of the background shows instead, where the image has some.
        grain: ``[B]`` contrast of the broken surface.
        opacity: ``[B]`` 0..1.
    """

    brightness: Tensor
    background: Tensor
    grain: Tensor
    opacity: Tensor


class Bite(Family[BiteParameters]):
    """Draws and breaks chips out of borders.

    Args:
        size: Range of half the longer axis, as a fraction of the image's shorter side.
    """

    name: ClassVar[str] = "bite"
    parameters_class = BiteParameters
    at_contour = True

    def __init__(self, size: tuple[float, float] = (0.02, 0.3)) -> None:
        self.size = size

    def draw(self, generator: Generator, count: int, severity: Tensor | None = None) -> BiteParameters:
        """Draw a bite per image; three in four show something dark, one in four something bright."""
        draws = Draws(generator, count, severity)
        dark = draws.chance(0.75)
        return BiteParameters(
            **draw_region(draws, self.size, aspect=(0.25, 1.0), softness=(0.02, 0.4), square=0.2),
            brightness=torch.where(dark, draws.uniform(0.0, 0.3), draws.uniform(0.5, 0.95)),
            background=draws.chance(0.6),
            grain=draws.uniform(0.0, 0.25),
            opacity=draws.strong(0.35, 1.0),
        )

    def reach(self, parameters: BiteParameters, size: tuple[int, int]) -> Tensor:
        """As far as the region."""
        return region_reach(parameters, size)

    def paint(self, window: Window, parameters: BiteParameters, context: Context) -> Tensor:
        """Replace what was broken out."""
        behind = (window.column(parameters.background) > 0) & window.has_background
        fill = torch.where(behind, window.background, window.column(parameters.brightness))
        grain = perlin(parameters.seed + 1, torch.full((len(parameters.seed), 2), 20.0), window, octaves=2)
        content = fill + grain.mul_(window.column(parameters.grain))
        inside = region(parameters, window).mul_(window.column(parameters.opacity))
        return torch.lerp(window.images, content, inside)
