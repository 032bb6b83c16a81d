"""Smooth spots: texture is lost, as by wear, smearing or polishing, often with a change of gloss."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Generator, Tensor

from synth.draws import Draws
from synth.families.base import Context, Family
from synth.families.shading import shade
from synth.masks import RegionParameters, box_blur, draw_region, region, region_reach
from synth.noise import Numbers
from synth.windows import Window


@dataclass(frozen=True, kw_only=True)
class SmoothParameters(RegionParameters):
    """One smooth spot per image.

    Attributes:
        reach: ``[B]`` radius of the blur, as a fraction of the image's shorter side.
        strength: ``[B]`` how much of the texture is lost, 0..1.
        gloss: ``[B]`` change of brightness; negative is darker.
    """

    reach: Numbers
    strength: Numbers
    gloss: Numbers


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

    def draw(self, generator: Generator, count: int, severity: Tensor | None = None) -> SmoothParameters:
        """Draw a spot per image; as many darker as brighter ones."""
        draws = Draws(generator, count, severity)
        return SmoothParameters(
            **draw_region(draws, self.size, softness=(0.05, 0.6)),
            reach=draws.log_uniform(0.008, 0.05),
            strength=draws.uniform(0.6, 1.0),
            gloss=draws.signed(*self.gloss, negative=0.5),
        )

    def reach(self, parameters: SmoothParameters, size: tuple[int, int]) -> Numbers:
        """As far as the region, and what is blurred into it."""
        return region_reach(parameters, size) + _radii(parameters, size)[:, None]

    def margin(self, parameters: SmoothParameters, size: tuple[int, int]) -> int:
        """The largest blur."""
        return int(_radii(parameters, size).max())

    def paint(self, window: Window, parameters: SmoothParameters, context: Context) -> Tensor:
        """Blur the images inside the spots."""
        largest = (min(window.shape) - 1) // 2
        blurred = box_blur(window.images, np.minimum(_radii(parameters, window.size), largest).astype(int))
        inside = region(parameters, window)
        smooth = torch.lerp(window.images, blurred, inside * window.column(parameters.strength))
        return shade(replace(window, images=smooth), inside, parameters.gloss)


def _radii(parameters: SmoothParameters, size: tuple[int, int]) -> Numbers:
    """Radius of the blur in pixels, ``[B]``."""
    return np.maximum((parameters.reach * min(size)).round(), 1)
