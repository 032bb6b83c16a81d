"""Scratches: thin grooves, straight or slightly bent, alone or several side by side."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Generator, Tensor

from synth.draws import Draws
from synth.families.base import Context, Family
from synth.families.shading import shade
from synth.masks import FlawParameters
from synth.noise import Numbers
from synth.spots import NO_FLAWS, Spots, paint
from synth.windows import Window, run


@dataclass(frozen=True, kw_only=True)
class ScratchParameters(FlawParameters):
    """One scratch, or a few side by side, per image.

    Attributes:
        middle: ``[B, 2]`` its middle, (x, y) in 0..1; see ``Ground.place``.
        angle: ``[B]`` direction of the chord, radians.
        length: ``[B]`` of the chord, as a fraction of the image's shorter side.
        bend: ``[B]`` height of the arc over the length of its chord; 0 is straight.
        width: ``[B]`` full width at half depth, as a fraction of the image's shorter side.
        depth: ``[B]`` change of brightness in the middle; negative is darker.
        number: ``[B]`` int64, grooves side by side, 1..3.
        pitch: ``[B]`` distance between them, in widths.
    """

    middle: Numbers
    angle: Numbers
    length: Numbers
    bend: Numbers
    width: Numbers
    depth: Numbers
    number: Numbers
    pitch: Numbers


class Scratch(Family[ScratchParameters]):
    """Draws and paints scratches.

    Args:
        length: Range of the chord, as a fraction of the image's shorter side.
        width: Range of the full width, in the same unit.
        depth: Range of the change of brightness, without its sign.
    """

    name: ClassVar[str] = "scratch"
    parameters_class = ScratchParameters

    def __init__(
        self,
        length: tuple[float, float] = (0.08, 1.2),
        width: tuple[float, float] = (0.003, 0.014),
        depth: tuple[float, float] = (0.1, 0.7),
    ) -> None:
        self.length = length
        self.width = width
        self.depth = depth

    def draw(self, generator: Generator, count: int, severity: Tensor | None = None) -> ScratchParameters:
        """Draw a scratch per image; as many dark as bright ones."""
        draws = Draws(generator, count, severity)
        return ScratchParameters(
            severity=draws.severity,
            middle=draws.uniform(0, 1, 2),
            angle=draws.uniform(0, np.pi),
            length=draws.sized(*self.length),
            bend=draws.uniform(-0.15, 0.15),
            width=draws.sized(*self.width),
            depth=draws.signed(*self.depth, negative=0.5),
            number=np.maximum(draws.integers(0, 6) - 3, 1),
            pitch=draws.uniform(3.0, 9.0),
        )

    def fractions(self, parameters: ScratchParameters) -> Numbers:
        """Middles of the chords."""
        return parameters.middle

    def reach(self, parameters: ScratchParameters, size: tuple[int, int]) -> Numbers:
        """As far as the ends of the chord, and the outermost groove beside it."""
        length, sigma = _pixels(parameters, size)
        grooves = (parameters.number - 1) * parameters.pitch * 2.355 * sigma
        aside = np.abs(parameters.bend) * length + grooves + 4 * sigma
        cos, sin = np.abs(np.cos(parameters.angle)), np.abs(np.sin(parameters.angle))
        return np.stack([0.5 * length * cos + aside * sin, 0.5 * length * sin + aside * cos], axis=1)

    def paint_in_place(self, spots: Spots, parameters: ScratchParameters, context: Context) -> Numbers:
        """In one loop over the pixels."""
        p = parameters
        length, sigma = _pixels(p, spots.size)
        lines = np.cos(p.angle), np.sin(p.angle), length, sigma, p.bend
        paint("paint_scratches", spots, spots.level, spots.table(*lines, p.depth, p.number, 2.355 * p.pitch))
        return NO_FLAWS

    def paint(self, window: Window, parameters: ScratchParameters, context: Context) -> Tensor:
        """Darken or brighten the images along the grooves."""
        cos, sin = np.cos(parameters.angle), np.sin(parameters.angle)
        length, sigma = _pixels(parameters, window.size)
        along = window.plane(cos / length, sin / length, np.full_like(length, 0.5))
        arch = (1 - along).mul_(along)
        # Across the groove, in standard deviations of its profile.
        across = window.plane(-sin / sigma, cos / sigma).addcmul_(
            arch, window.column(-4 * parameters.bend * length / sigma)
        )
        ends = arch.mul_(16).clamp_(0, 1)
        profile = across.square().mul_(-0.5).exp_()
        for i in range(1, int(parameters.number.max())):
            rows = np.flatnonzero(parameters.number > i)
            there, some = run(rows), window.rows(rows)
            beside = across[there] - some.column(i * parameters.pitch[rows] * 2.355)
            profile[there] = torch.maximum(profile[there], beside.square_().mul_(-0.5).exp_())
        return shade(window, profile.mul_(ends), parameters.depth)


def _pixels(parameters: ScratchParameters, size: tuple[int, int]) -> tuple[Numbers, Numbers]:
    """Length of the chord and standard deviation of a groove's profile in pixels, ``[B]`` both."""
    side = min(size)
    # Full width at half depth of a Gaussian is 2.355 standard deviations.
    return np.maximum(parameters.length * side, 3), np.maximum(parameters.width * side / 2.355, 0.45)
