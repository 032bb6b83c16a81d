"""Patches of other good parts where they do not belong, as in CutPaste (Li et al., 2021, arXiv 2104.04015)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from synth.draws import Draws
from synth.families.base import Content, Context, Family
from synth.masks import RegionParameters, draw_region, region, region_reach
from synth.sources import shifted_sources, source_level
from synth.windows import Window


@dataclass(frozen=True, kw_only=True)
class PatchParameters(RegionParameters):
    """One patch per image.

    Attributes:
        source: ``[B]`` which source, 0..1 over all of them.
        shift: ``[B, 2]`` (x, y) by which the source is moved, as a fraction of width and height.
        turn: ``[B]`` int64, 0..3: mirrored along x (1), along y (2), both (3).
        opacity: ``[B]`` 0..1.
        matched: ``[B]`` bool, brought to the mean brightness of what it covers.
    """

    source: Tensor
    shift: Tensor
    turn: Tensor
    opacity: Tensor
    matched: Tensor


class Patch(Family[PatchParameters]):
    """Draws and pastes patches; without sources they come from elsewhere in the image itself.

    Args:
        size: Range of half the longer axis, as a fraction of the image's shorter side.
        opacity: Range of the opacity.
    """

    name: ClassVar[str] = "patch"
    parameters_class = PatchParameters

    def __init__(self, size: tuple[float, float] = (0.02, 0.4), opacity: tuple[float, float] = (0.4, 1.0)) -> None:
        self.size = size
        self.opacity = opacity

    def draw(self, generator: Generator, count: int, severity: Tensor | None = None) -> PatchParameters:
        """Draw a patch per image; half of them are matched in brightness."""
        draws = Draws(generator, count, severity)
        return PatchParameters(
            **draw_region(draws, self.size, softness=(0.02, 0.5), square=0.3),
            source=draws.uniform(0, 1),
            shift=draws.uniform(0.1, 0.9, 2),
            turn=draws.integers(0, 3),
            opacity=draws.strong(*self.opacity),
            matched=draws.chance(0.5),
        )

    def reach(self, parameters: PatchParameters, size: tuple[int, int]) -> Tensor:
        """As far as the region."""
        return region_reach(parameters, size)

    def shown(self, parameters: PatchParameters, context: Context) -> list[Content]:
        """Other parts."""
        return [Content("part", place) for place in parameters.source.tolist()]

    def paint(self, window: Window, parameters: PatchParameters, context: Context) -> Tensor:
        """Blend the patches in."""
        taken = context.sources, parameters.source, parameters.shift, parameters.turn
        content = shifted_sources(window, *taken)
        if parameters.matched.any():
            content += (window.level - source_level(window, *taken)) * window.column(parameters.matched)
        return torch.lerp(window.images, content, region(parameters, window) * window.column(parameters.opacity))
