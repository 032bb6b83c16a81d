"""Perlin: a texture shows through thresholded Perlin noise.

As in DRAEM (Zavrtanik et al., 2021, arXiv 2108.07610) and GLASS (Chen et al., 2024, arXiv 2407.09359), with
procedural textures and other good parts in place of a downloaded texture data set.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from synth.draws import Draws
from synth.families.base import EVERYWHERE, Context, Family, select
from synth.masks import RegionParameters, draw_region, region, region_reach
from synth.noise import perlin
from synth.sources import procedural_textures, shifted_sources
from synth.windows import Window


@dataclass(frozen=True, kw_only=True)
class PerlinParameters(RegionParameters):
    """One textured field per image.

    Attributes:
        cells: ``[B, 2]`` bumps of the mask along height and width.
        level: ``[B]`` noise above this belongs to the mask.
        local: ``[B]`` bool, the field is confined to a region.
        grain: ``[B]`` size of the texture's grain, as a fraction of the image's shorter side.
        stretch: ``[B]`` grain's length along x over its length along y.
        brightness: ``[B]`` mean of the texture, 0..1.
        contrast: ``[B]`` spread of the texture, 0..1.
        opacity: ``[B]`` 0..1.
        borrowed: ``[B]`` bool, the texture is another part and not procedural.
        source: ``[B]`` which source, 0..1 over all of them.
        shift: ``[B, 2]`` (x, y) by which the source is moved, as a fraction of width and height.
    """

    cells: Tensor
    level: Tensor
    local: Tensor
    grain: Tensor
    stretch: Tensor
    brightness: Tensor
    contrast: Tensor
    opacity: Tensor
    borrowed: Tensor
    source: Tensor
    shift: Tensor


class Perlin(Family[PerlinParameters]):
    """Draws and blends textures through Perlin masks.

    Args:
        cells: Range of the number of bumps along a side.
        opacity: Range of the opacity.
    """

    name: ClassVar[str] = "perlin"
    parameters_class = PerlinParameters

    def __init__(self, cells: tuple[float, float] = (1.5, 24.0), opacity: tuple[float, float] = (0.12, 1.0)) -> None:
        self.cells = cells
        self.opacity = opacity

    def draw(self, generator: Generator, count: int, severity: Tensor | None = None) -> PerlinParameters:
        """Draw a field per image; two in three are confined to a region, one in three borrows another part."""
        draws = Draws(generator, count, severity)
        return PerlinParameters(
            **draw_region(draws, (0.04, 0.5), softness=(0.05, 0.8), square=0.1),
            cells=draws.log_uniform(*self.cells, 2),
            level=draws.uniform(0.05, 0.35),
            local=draws.chance(0.67),
            grain=draws.log_uniform(0.004, 0.08),
            stretch=draws.log_uniform(0.2, 5.0),
            brightness=draws.uniform(0.05, 0.95),
            contrast=draws.uniform(0.05, 0.6),
            opacity=draws.strong(*self.opacity),
            borrowed=draws.chance(0.33),
            source=draws.uniform(0, 1),
            shift=draws.uniform(0.1, 0.9, 2),
        )

    def reach(self, parameters: PerlinParameters, size: tuple[int, int]) -> Tensor:
        """As far as the region, or everywhere."""
        return torch.where(parameters.local[:, None], region_reach(parameters, size), EVERYWHERE)

    def paint(self, window: Window, parameters: PerlinParameters, context: Context) -> Tensor:
        """Blend the textures in where the noise is high."""
        noise = perlin(parameters.seed + 1, _cells(parameters, window.size), window, octaves=2)
        mask = noise.sub_(window.column(parameters.level)).mul_(12).clamp_(0, 1).mul_(window.column(parameters.opacity))
        if parameters.local.any():
            mask = torch.where(window.column(parameters.local) > 0, mask * region(parameters, window), mask)
        content = torch.empty_like(window.images)
        for rows in (parameters.borrowed.nonzero().flatten(), (~parameters.borrowed).nonzero().flatten()):
            if len(rows):
                content[rows] = _content(window.rows(rows), select(parameters, rows), context)
        return torch.lerp(window.images, content, mask)


def _content(window: Window, parameters: PerlinParameters, context: Context) -> Tensor:
    """What shows through: all of these flaws borrow another part, or none does."""
    if parameters.borrowed[0]:
        unturned = torch.ones_like(parameters.seed)
        return shifted_sources(window, context.sources, parameters.source, parameters.shift, unturned)
    return procedural_textures(
        window,
        parameters.seed + 2,
        parameters.grain,
        parameters.stretch,
        parameters.brightness,
        parameters.contrast,
    )


def _cells(parameters: PerlinParameters, size: tuple[int, int]) -> Tensor:
    """Cells of the mask; at least about one bump in a confining region."""
    bumps = 0.5 / (parameters.size * min(size))[:, None] * torch.tensor(size)
    return torch.where(parameters.local[:, None], torch.maximum(parameters.cells, bumps), parameters.cells)
