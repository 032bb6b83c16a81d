"""Scratches: thin grooves, straight or slightly bent, alone or several side by side."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from synth.draws import Draws
from synth.families.base import Context, Family, shade
from synth.masks import FlawParameters
from synth.windows import Window


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

    middle: Tensor
    angle: Tensor
    length: Tensor
    bend: Tensor
    width: Tensor
    depth: Tensor
    number: Tensor
    pitch: Tensor


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
            angle=draws.uniform(0, torch.pi),
            length=draws.sized(*self.length),
            bend=draws.uniform(-0.15, 0.15),
            width=draws.sized(*self.width),
            depth=draws.signed(*self.depth, negative=0.5),
            number=(draws.integers(0, 6) - 3).clamp_min(1),
            pitch=draws.uniform(3.0, 9.0),
        )

    def fractions(self, parameters: ScratchParameters) -> Tensor:
        """Middles of the chords."""
        return parameters.middle

    def reach(self, parameters: ScratchParameters, size: tuple[int, int]) -> Tensor:
        """As far as the ends of the chord, and the outermost groove beside it."""
        length, sigma = _pixels(parameters, size)
        grooves = (parameters.number - 1) * parameters.pitch * 2.355 * sigma
        aside = parameters.bend.abs() * length + grooves + 4 * sigma
        cos, sin = parameters.angle.cos().abs(), parameters.angle.sin().abs()
        return torch.stack([0.5 * length * cos + aside * sin, 0.5 * length * sin + aside * cos], dim=1)

    def paint(self, window: Window, parameters: ScratchParameters, context: Context) -> Tensor:
        """Darken or brighten the images along the grooves."""
        x, y = window.offsets
        cos, sin = (window.column(f(parameters.angle)) for f in (torch.cos, torch.sin))
        length, sigma = (window.column(values) for values in _pixels(parameters, window.size))
        along = x * (cos / length) + (y * (sin / length) + 0.5)
        arch = along * (1 - along) * 4
        across = y * cos - x * sin - arch * (window.column(parameters.bend) * length)
        ends = (4 * arch).clamp_(0, 1)

        across = across.div_(sigma)
        profile = torch.exp(across.square() * -0.5)
        for i in range(1, int(parameters.number.max())):
            beside = across - window.column(i * parameters.pitch * 2.355)
            drawn = window.column(parameters.number > i)
            profile = torch.maximum(profile, drawn * torch.exp(beside.square() * -0.5))
        return shade(window, profile * ends, parameters.depth)


def _pixels(parameters: ScratchParameters, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Length of the chord and standard deviation of a groove's profile in pixels, ``[B]`` both."""
    side = min(size)
    # Full width at half depth of a Gaussian is 2.355 standard deviations.
    return (parameters.length * side).clamp_min(3), (parameters.width * side / 2.355).clamp_min(0.45)
