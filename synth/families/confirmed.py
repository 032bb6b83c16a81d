"""Confirmed defects on other parts: what an inspector marked once is turned, scaled, bent and blended in anew."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Generator, Tensor

from synth.draws import Draws
from synth.families.base import EVERYWHERE, Content, Context, SolvedFamily
from synth.masks import FlawParameters
from synth.noise import Numbers
from synth.pieces import Pieces
from synth.sources.defects import DefectBank
from synth.sources.large import blend_pieces
from synth.sources.pasting import Pose, blend, frames, grain_of, lay, radii
from synth.windows import Window


@dataclass(frozen=True, kw_only=True)
class ConfirmedParameters(FlawParameters, Pose):
    """One confirmed defect per image, and how it is laid there; see ``Pose``.

    Attributes:
        centre: ``[B, 2]`` place on the part, (x, y) in 0..1; see ``Ground.place``.
        strength: ``[B]``, 0 is nothing, 1 as it was; see ``synth.sources.pasting.blend``.
    """

    centre: Numbers
    strength: Numbers


class Confirmed(SolvedFamily[ConfirmedParameters]):
    """Draws and blends confirmed defects; replaying takes the same bank.

    Args:
        scale: Range of the size over the confirmed one.
        strength: Range of how far it differs from its surroundings, 1 being as confirmed.
        bend: Greatest amplitude of the waves that bend it, as a share of its longer side.
    """

    name: ClassVar[str] = "confirmed"
    parameters_class = ConfirmedParameters
    needs_defects: ClassVar[bool] = True

    def __init__(
        self,
        scale: tuple[float, float] = (0.5, 1.6),
        strength: tuple[float, float] = (0.25, 1.3),
        bend: float = 0.06,
    ) -> None:
        self.scale = scale
        self.strength = strength
        self.bend = bend

    def draw(self, generator: Generator, count: int, severity: Tensor | None = None) -> ConfirmedParameters:
        """Draw a defect per image, each of the bank equally often, at any angle."""
        draws = Draws(generator, count, severity)
        return ConfirmedParameters(
            severity=draws.severity,
            centre=draws.uniform(0, 1, 2),
            which=draws.uniform(0, 1),
            angle=draws.uniform(0, 2 * np.pi),
            mirrored=draws.chance(0.5),
            scale=draws.sized(*self.scale),
            stretch=draws.log_uniform(0.8, 1.25),
            bend=draws.uniform(0, self.bend),
            seed=draws.seeds(),
            strength=draws.strong(*self.strength),
        )

    def reach(self, parameters: ConfirmedParameters, size: tuple[int, int]) -> Numbers:
        """Not known without the bank."""
        return np.full((len(parameters.severity), 2), EVERYWHERE)

    def reach_with(self, parameters: ConfirmedParameters, size: tuple[int, int], context: Context) -> Numbers:
        """As far as the defect and what it is matched to."""
        return radii(parameters, _bank(context), min(size))[:, None].repeat(2, axis=1)

    def shown(self, parameters: ConfirmedParameters, context: Context) -> list[Content]:
        """Confirmed defects."""
        return [Content("defect", place) for place in parameters.which.tolist()]

    def paint(self, window: Window, parameters: ConfirmedParameters, context: Context) -> Tensor:
        """Blend the defects in."""
        allowed = torch.ones_like(window.images[:, :1]) if window.allowed is None else window.allowed
        grain = grain_of(window.images, allowed)
        framed = frames(_bank(context), parameters, window.side, window.images)
        laid = lay(framed, parameters, *window.offsets, grain)
        return blend(window.images, laid, parameters.strength, allowed)

    def paint_pieces(
        self, pieces: Pieces, parameters: ConfirmedParameters, context: Context
    ) -> Iterator[tuple[list[int], Window, Tensor]]:
        """As ``paint``; see ``synth.sources.large``."""
        return blend_pieces(pieces, parameters, parameters.strength, _bank(context))


def _bank(context: Context) -> DefectBank:
    """The bank; ``Canvas`` has refused a context without one."""
    assert context.defects is not None
    return context.defects
