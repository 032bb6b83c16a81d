"""Scratches: thin grooves, straight or slightly bent, alone or several side by side."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from synth.draws import Draws
from synth.families.base import Family, shade
from synth.masks import column, offsets, place


@dataclass(frozen=True)
class ScratchParameters:
    """One scratch, or a few side by side, per image.

    Attributes:
        middle: ``[B, 2]`` its middle, (x, y) in 0..1; see ``synth.masks.place``.
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

    def draw(self, generator: Generator, count: int) -> ScratchParameters:
        """Draw a scratch per image; as many dark as bright ones."""
        draws = Draws(generator, count)
        return ScratchParameters(
            middle=draws.uniform(0, 1, 2),
            angle=draws.uniform(0, torch.pi),
            length=draws.log_uniform(*self.length),
            bend=draws.uniform(-0.15, 0.15),
            width=draws.log_uniform(*self.width),
            depth=draws.signed(*self.depth, negative=0.5),
            number=(draws.integers(0, 6) - 3).clamp_min(1),
            pitch=draws.uniform(3.0, 9.0),
        )

    def paint(
        self, images: Tensor, parameters: ScratchParameters, foreground: Tensor, sources: Tensor | None
    ) -> Tensor:
        """Darken or brighten the images along the grooves."""
        x, y = offsets(images, place(foreground, parameters.middle))
        side = min(images.shape[-2:])
        cos, sin = (column(f(parameters.angle), images) for f in (torch.cos, torch.sin))
        length = column((parameters.length * side).clamp_min(3), images)
        along = (x * cos + y * sin) / length + 0.5
        arch = 4 * along * (1 - along)
        across = y * cos - x * sin - column(parameters.bend, images) * length * arch
        ends = (4 * arch).clamp(0, 1)

        # Full width at half depth of a Gaussian is 2.355 standard deviations.
        sigma = column((parameters.width * side / 2.355).clamp_min(0.45), images)
        profile = torch.exp(-0.5 * (across / sigma) ** 2)
        for i in range(1, int(parameters.number.max())):
            beside = across - i * column(parameters.pitch, images) * 2.355 * sigma
            drawn = column(parameters.number > i, images)
            profile = torch.maximum(profile, drawn * torch.exp(-0.5 * (beside / sigma) ** 2))
        return shade(images, profile * ends, parameters.depth)
