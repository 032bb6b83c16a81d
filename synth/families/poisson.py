"""Patches of other good parts whose light goes over into the part's: nothing betrays them but their structure.

As in NSA (Schlüter et al., "Natural Synthetic Anomalies", 2021, arXiv 2109.15222), by ``synth.blending``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from synth.blending import PiecewiseMembrane, poisson_blend
from synth.draws import Draws
from synth.families.base import Content, Context, SolvedFamily
from synth.masks import RegionParameters, draw_region, region, region_reach
from synth.noise import Numbers
from synth.pieces import Pieces
from synth.sources import shifted_sources
from synth.windows import Window

_RIM = 3
"""Pixels around the patch that its light is fitted to."""

_LEAST = 1e-6
"""Of a region whose pixels are pasted: what is less may be 0 on another device, and its light another."""


@dataclass(frozen=True, kw_only=True)
class PoissonParameters(RegionParameters):
    """One patch per image.

    Attributes:
        source: ``[B]`` which source, 0..1 over all of them.
        shift: ``[B, 2]`` (x, y) by which the source is moved, as a fraction of width and height.
        turn: ``[B]`` int64, 0..3: mirrored along x (1), along y (2), both (3).
        opacity: ``[B]`` 0..1.
    """

    source: Numbers
    shift: Numbers
    turn: Numbers
    opacity: Numbers


class Poisson(SolvedFamily[PoissonParameters]):
    """Draws and blends patches; without sources they come from elsewhere in the image itself.

    Args:
        size: Range of half the longer axis, as a fraction of the image's shorter side.
        opacity: Range of the opacity.
    """

    name: ClassVar[str] = "poisson"
    parameters_class = PoissonParameters

    def __init__(self, size: tuple[float, float] = (0.02, 0.35), opacity: tuple[float, float] = (0.35, 1.0)) -> None:
        self.size = size
        self.opacity = opacity

    def draw(self, generator: Generator, count: int, severity: Tensor | None = None) -> PoissonParameters:
        """Draw a patch per image."""
        draws = Draws(generator, count, severity)
        return PoissonParameters(
            **draw_region(draws, self.size, softness=(0.05, 0.4), square=0.3),
            source=draws.uniform(0, 1),
            shift=draws.uniform(0.1, 0.9, 2),
            turn=draws.integers(0, 3),
            opacity=draws.strong(*self.opacity),
        )

    def reach(self, parameters: PoissonParameters, size: tuple[int, int]) -> Numbers:
        """As far as the region, and the rim that it is fitted to."""
        return region_reach(parameters, size) + _RIM

    def shown(self, parameters: PoissonParameters, context: Context) -> list[Content]:
        """Other parts."""
        return [Content("part", place) for place in parameters.source.tolist()]

    def paint(self, window: Window, parameters: PoissonParameters, context: Context) -> Tensor:
        """Blend the patches in; the soft edge of the region hides what is left of the seam."""
        content, soft, inside, allowed = _pasted(window, parameters, context)
        blended = poisson_blend(window.images, content, inside, allowed)
        return torch.lerp(window.images, blended, soft * window.column(parameters.opacity))

    def paint_pieces(
        self, pieces: Pieces, parameters: PoissonParameters, context: Context
    ) -> Iterator[tuple[list[int], Window, Tensor]]:
        """As ``paint``: the light is looked at in all pieces, and then they are blended one by one."""
        light = PiecewiseMembrane(pieces.channels, pieces.size, pieces.cutter.images)
        pasted: list[list[int]] = []
        for box in pieces.boxes():
            window = pieces.window(box)
            content, _, inside, allowed = _pasted(window, parameters, context)
            light.add(window.images - content, (allowed & ~inside).to(content), *pieces.place(box))
            if inside.any():
                pasted.append(box)
        light.solve()
        for box in pasted:
            window = pieces.window(box)
            content, soft, inside, _ = _pasted(window, parameters, context)
            blended = torch.where(inside, content + light.at(*pieces.place(box), *window.shape), window.images)
            yield box, window, torch.lerp(window.images, blended, soft * window.column(parameters.opacity))


def _pasted(window: Window, parameters: PoissonParameters, context: Context) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Content, how far it shows, where it is pasted and where flaws may be, the latter two bool."""
    content = shifted_sources(window, context.sources, parameters.source, parameters.shift, parameters.turn)
    soft = region(parameters, window)
    allowed = torch.ones_like(soft) if window.allowed is None else window.allowed
    return content, soft, (soft > _LEAST) & (allowed > 0), allowed > 0
