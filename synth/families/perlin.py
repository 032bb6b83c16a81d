"""Perlin: a texture shows through thresholded Perlin noise.

As in DRAEM (Zavrtanik et al., 2021, arXiv 2108.07610) and GLASS (Chen et al., 2024, arXiv 2407.09359), with
procedural textures and other good parts in place of a downloaded texture data set.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from synth.draws import Draws
from synth.families.base import Family
from synth.masks import RegionParameters, column, draw_region, perlin, region
from synth.sources import procedural_textures, shifted_sources


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

    def draw(self, generator: Generator, count: int) -> PerlinParameters:
        """Draw a field per image; two in three are confined to a region, one in three borrows another part."""
        draws = Draws(generator, count)
        return PerlinParameters(
            **draw_region(draws, (0.04, 0.5), softness=(0.05, 0.8), square=0.1),
            cells=draws.log_uniform(*self.cells, 2),
            level=draws.uniform(0.05, 0.35),
            local=draws.chance(0.67),
            grain=draws.log_uniform(0.004, 0.08),
            stretch=draws.log_uniform(0.2, 5.0),
            brightness=draws.uniform(0.05, 0.95),
            contrast=draws.uniform(0.05, 0.6),
            opacity=draws.log_uniform(*self.opacity),
            borrowed=draws.chance(0.33),
            source=draws.uniform(0, 1),
            shift=draws.uniform(0.1, 0.9, 2),
        )

    def paint(self, images: Tensor, parameters: PerlinParameters, foreground: Tensor, sources: Tensor | None) -> Tensor:
        """Blend the textures in where the noise is high."""
        height, width = images.shape[-2:]
        inside = torch.where(column(parameters.local, images) > 0, region(parameters, images, foreground), 1.0)
        noise = perlin(parameters.seed + 1, self._cells(parameters, height, width), (height, width), octaves=2)
        mask = ((noise.to(images) - column(parameters.level, images)) * 12).clamp(0, 1) * inside
        texture = procedural_textures(
            parameters.seed + 2,
            parameters.grain,
            parameters.stretch,
            parameters.brightness,
            parameters.contrast,
            images,
        )
        others = shifted_sources(images, sources, parameters.source, parameters.shift, torch.ones_like(parameters.seed))
        content = torch.where(column(parameters.borrowed, images) > 0, others, texture)
        return images + mask * column(parameters.opacity, images) * (content - images)

    @staticmethod
    def _cells(parameters: PerlinParameters, height: int, width: int) -> Tensor:
        """Cells of the mask; at least about one bump in a confining region."""
        bumps = 0.5 / (parameters.size * min(height, width))[:, None] * torch.tensor([height, width])
        return torch.where(parameters.local[:, None], torch.maximum(parameters.cells, bumps), parameters.cells)
