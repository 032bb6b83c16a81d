"""Smooth spots: texture is lost, as by wear, smearing or polishing, often with a change of gloss."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from synth.draws import Draws
from synth.families.base import Family, shade
from synth.masks import RegionParameters, box_blur, column, draw_region, region


@dataclass(frozen=True, kw_only=True)
class SmoothParameters(RegionParameters):
    """One smooth spot per image.

    Attributes:
        reach: ``[B]`` radius of the blur, as a fraction of the image's shorter side.
        strength: ``[B]`` how much of the texture is lost, 0..1.
        gloss: ``[B]`` change of brightness; negative is darker.
    """

    reach: Tensor
    strength: Tensor
    gloss: Tensor


class Smooth(Family[SmoothParameters]):
    """Draws and smooths spots.

    Args:
        size: Range of half the longer axis, as a fraction of the image's shorter side.
        gloss: Range of the change of brightness, without its sign.
    """

    name: ClassVar[str] = "smooth"
    parameters_class = SmoothParameters

    def __init__(self, size: tuple[float, float] = (0.02, 0.35), gloss: tuple[float, float] = (0.03, 0.15)) -> None:
        self.size = size
        self.gloss = gloss

    def draw(self, generator: Generator, count: int) -> SmoothParameters:
        """Draw a spot per image; as many darker as brighter ones."""
        draws = Draws(generator, count)
        return SmoothParameters(
            **draw_region(draws, self.size, softness=(0.05, 0.6)),
            reach=draws.log_uniform(0.008, 0.05),
            strength=draws.uniform(0.6, 1.0),
            gloss=draws.signed(*self.gloss, negative=0.5),
        )

    def paint(self, images: Tensor, parameters: SmoothParameters, foreground: Tensor, sources: Tensor | None) -> Tensor:
        """Blur the images inside the spots."""
        side = min(images.shape[-2:])
        radii = (parameters.reach * side).round().clamp(1, side // 3).long().tolist()
        blurred = torch.stack([box_blur(image[None], radius)[0] for image, radius in zip(images, radii, strict=True)])
        inside = region(parameters, images, foreground)
        smooth = images + inside * column(parameters.strength, images) * (blurred - images)
        return shade(smooth, inside, parameters.gloss)
