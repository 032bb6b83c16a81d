"""Bites: chips broken out of the border of the part or of the image."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from synth.draws import Draws
from synth.families.base import Family
from synth.masks import RegionParameters, border, column, draw_region, mean_inside, perlin, place, region_at


@dataclass(frozen=True, kw_only=True)
class BiteParameters(RegionParameters):
    """One bite per image; ``centre`` lies on the border of the part.

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

    def __init__(self, size: tuple[float, float] = (0.02, 0.3)) -> None:
        self.size = size

    def draw(self, generator: Generator, count: int) -> BiteParameters:
        """Draw a bite per image; three in four show something dark, one in four something bright."""
        draws = Draws(generator, count)
        dark = draws.chance(0.75)
        return BiteParameters(
            **draw_region(draws, self.size, aspect=(0.25, 1.0), softness=(0.02, 0.4), square=0.2),
            brightness=torch.where(dark, draws.uniform(0.0, 0.3), draws.uniform(0.5, 0.95)),
            background=draws.chance(0.6),
            grain=draws.uniform(0.0, 0.25),
            opacity=draws.uniform(0.35, 1.0),
        )

    def paint(self, images: Tensor, parameters: BiteParameters, foreground: Tensor, sources: Tensor | None) -> Tensor:
        """Replace what was broken out."""
        height, width = images.shape[-2:]
        inside = region_at(place(border(foreground), parameters.centre), parameters, images)
        fill = column(parameters.brightness, images).expand_as(images[:, :, :1, :1])
        behind = (column(parameters.background, images) > 0) & (foreground.amin(dim=(-2, -1), keepdim=True) == 0)
        fill = torch.where(behind, mean_inside(images, 1 - foreground), fill)
        cells = torch.full((len(images), 2), 20.0)
        grain = perlin(parameters.seed + 1, cells, (height, width), octaves=2).to(images)
        content = fill + column(parameters.grain, images) * grain
        return images + inside * column(parameters.opacity, images) * (content - images)
