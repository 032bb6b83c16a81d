"""Patches of other good parts where they do not belong, as in CutPaste (Li et al., 2021, arXiv 2104.04015)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Generator, Tensor

from synth.draws import Draws
from synth.families.base import Content, Context, Family, select
from synth.masks import RegionParameters, draw_region, region, region_reach
from synth.noise import Numbers
from synth.sources import shifted_sources, source_level, turned_sources
from synth.windows import Window, run


@dataclass(frozen=True, kw_only=True)
class PatchParameters(RegionParameters):
    """One patch per image.

    Attributes:
        scar: ``[B]`` bool, a thin straight strip, as CutPaste's scar; otherwise a patch of any shape.
        source: ``[B]`` which source, 0..1 over all of them.
        shift: ``[B, 2]`` (x, y) by which the source is moved, as a fraction of width and height.
        turn: ``[B]`` int64, 0..3: mirrored along x (1), along y (2), both (3).
        rotation: ``[B]`` by which the content is turned, radians.
        scale: ``[B]`` by which the content is enlarged.
        opacity: ``[B]`` 0..1.
        matched: ``[B]`` bool, brought to the mean brightness of what it covers.
    """

    scar: Numbers
    source: Numbers
    shift: Numbers
    turn: Numbers
    rotation: Numbers
    scale: Numbers
    opacity: Numbers
    matched: Numbers


class Patch(Family[PatchParameters]):
    """Draws and pastes patches; without sources they come from elsewhere in the image itself.

    Args:
        size: Range of half the longer axis, as a fraction of the image's shorter side.
        opacity: Range of the opacity.
        turned: Share of patches whose content is turned and scaled.
    """

    name: ClassVar[str] = "patch"
    parameters_class = PatchParameters

    def __init__(
        self,
        size: tuple[float, float] = (0.008, 0.4),
        opacity: tuple[float, float] = (0.25, 1.0),
        turned: float = 0.4,
    ) -> None:
        self.size = size
        self.opacity = opacity
        self.turned = turned

    def draw(self, generator: Generator, count: int, severity: Tensor | None = None) -> PatchParameters:
        """Draw a patch per image; one in four is a scar, half of all are matched in brightness."""
        draws = Draws(generator, count, severity)
        shape = draw_region(draws, self.size, softness=(0.02, 0.5), square=0.3)
        scar, turned = draws.chance(0.25), draws.chance(self.turned)
        shape.update(
            aspect=np.where(scar, draws.log_uniform(0.05, 0.2), shape["aspect"]),
            roughness=np.where(scar, draws.uniform(0.0, 0.05), shape["roughness"]),
            softness=np.where(scar, np.float32(0.05), shape["softness"]),
            square=shape["square"] | scar,
        )
        return PatchParameters(
            **shape,
            scar=scar,
            source=draws.uniform(0, 1),
            shift=draws.uniform(0.1, 0.9, 2),
            turn=draws.integers(0, 3),
            rotation=np.where(turned, draws.uniform(-np.pi, np.pi), np.float32(0)),
            scale=np.where(turned, draws.log_uniform(0.7, 1.5), np.float32(1)),
            opacity=draws.strong(*self.opacity),
            matched=draws.chance(0.5),
        )

    def reach(self, parameters: PatchParameters, size: tuple[int, int]) -> Numbers:
        """As far as the region."""
        return region_reach(parameters, size)

    def shown(self, parameters: PatchParameters, context: Context) -> list[Content]:
        """Other parts."""
        return [Content("part", place) for place in parameters.source.tolist()]

    def paint(self, window: Window, parameters: PatchParameters, context: Context) -> Tensor:
        """Blend the patches in."""
        content = _content(window, parameters, context)
        if parameters.matched.any():
            level = source_level(window, context.sources, parameters.source, parameters.shift, parameters.turn)
            content += window.colours((window.level - level) * parameters.matched[:, None])
        return torch.lerp(window.images, content, region(parameters, window) * window.column(parameters.opacity))


def _content(window: Window, parameters: PatchParameters, context: Context) -> Tensor:
    """What is pasted, ``[B, C, h, w]``: copied where it is only moved and mirrored, which is faster."""
    straight = (parameters.rotation == 0) & (parameters.scale == 1)
    turned = np.flatnonzero(~straight)
    taken = context.sources, parameters.source, parameters.shift, parameters.turn
    content = shifted_sources(window, *taken)
    if len(turned):
        some = select(parameters, turned)
        content[run(turned)] = turned_sources(
            window.rows(turned), context.sources, some.source, some.shift, some.turn, some.rotation, some.scale
        )
    return content
