"""Deformations: a bulge, a pinch, a twist or a shear moves the structure of the part and catches the light."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Generator, Tensor

from synth.draws import Draws
from synth.families.base import Context, Family
from synth.families.shading import shade
from synth.masks import RegionParameters, draw_region, half_axes
from synth.noise import Numbers
from synth.sources import sampled
from synth.windows import Window

BULGE, TWIST, SHEAR = 0, 1, 2

_SMALLEST = 3.0
"""Least half axis in pixels."""


@dataclass(frozen=True, kw_only=True)
class DeformParameters(RegionParameters):
    """One deformed ellipse per image; ``roughness``, ``softness`` and ``square`` of the region are not used.

    Attributes:
        kind: ``[B]`` int64: bulge or pinch (0), twist (1), shear (2).
        strength: ``[B]`` -1..1: a bulge is positive, a pinch negative; 1 moves what lies halfway as far as is possible
            without tearing.
        direction: ``[B]`` of a shear, and of the light, radians.
        light: ``[B]`` change of brightness of the side that faces the light; the other side changes the other way.
    """

    kind: Numbers
    strength: Numbers
    direction: Numbers
    light: Numbers


class Deform(Family[DeformParameters]):
    """Draws and warps deformations.

    Args:
        size: Range of half the longer axis, as a fraction of the image's shorter side.
        strength: Range of the strength, without its sign.
        light: Range of the change of brightness, without its sign.
    """

    name: ClassVar[str] = "deform"
    parameters_class = DeformParameters

    def __init__(
        self,
        size: tuple[float, float] = (0.025, 0.3),
        strength: tuple[float, float] = (0.15, 1.0),
        light: tuple[float, float] = (0.02, 0.18),
    ) -> None:
        self.size = size
        self.strength = strength
        self.light = light

    def draw(self, generator: Generator, count: int, severity: Tensor | None = None) -> DeformParameters:
        """Draw a deformation per image, each kind as often."""
        draws = Draws(generator, count, severity)
        return DeformParameters(
            **draw_region(draws, self.size, aspect=(0.4, 1.0)),
            kind=draws.integers(BULGE, SHEAR),
            strength=draws.signed(*self.strength, negative=0.5),
            direction=draws.uniform(0, 2 * np.pi),
            light=draws.signed(*self.light, negative=0.5),
        )

    def reach(self, parameters: DeformParameters, size: tuple[int, int]) -> Numbers:
        """As far as the ellipse."""
        longer, _ = half_axes(parameters, size, _SMALLEST)
        return longer[:, None].repeat(2, axis=1)

    def paint(self, window: Window, parameters: DeformParameters, context: Context) -> Tensor:
        """Add the difference between the good picture warped and as it was, so that earlier flaws stay; then shade."""
        longer, shorter = half_axes(parameters, window.size, _SMALLEST)
        cos, sin = np.cos(parameters.angle), np.sin(parameters.angle)
        u = window.plane(cos / longer, sin / longer)
        v = window.plane(-sin / shorter, cos / shorter)
        inside = (1 - u * u - v * v).clamp_(min=0)
        dx, dy = _displacement(window, parameters, u, v, inside * inside)
        x, y = window.offsets_from(np.zeros_like(window.centre))
        warped = sampled(window.batch, window.of, dx.add_(x), dy.add_(y)).sub_(window.good)
        moved = torch.where(inside > 0, window.images + warped, window.images)

        # The light follows the slope of a hill as high as the bump, which is 1.5 where it is steepest.
        facing = u * window.column(_along(parameters) * shorter / longer) + v * window.column(
            _along(parameters, turned=True)
        )
        facing = facing.mul_(inside).mul_(2.6)
        lit = shade(replace(window, images=moved), facing.clamp_min(0), parameters.light)
        return shade(replace(window, images=lit), facing.neg_().clamp_(min=0), -parameters.light)


def _displacement(
    window: Window, parameters: DeformParameters, u: Tensor, v: Tensor, bump: Tensor
) -> tuple[Tensor, Tensor]:
    """How far from each pixel its new content lies, along x and y, ``[B, 1, h, w]`` in pixels.

    Args:
        window: Where the pixels are.
        parameters: A row for each.
        u: ``[B, 1, h, w]`` distance from the centre along the longer axis, in halves of it.
        v: Along the shorter one.
        bump: 1 in the centre, falling to 0 at the ellipse.
    """
    kind, strength = parameters.kind, parameters.strength
    # The greatest that do not fold the surface over: it is steepest where the bump falls most quickly.
    swell = window.column(strength * 0.6 * (kind == BULGE))
    twist = window.column(strength * 1.2 * (kind == TWIST))
    longer, shorter = half_axes(parameters, window.size, _SMALLEST)
    shear = strength * 0.5 * shorter * (kind == SHEAR)
    along = (u * -swell - v * twist).mul_(window.column(longer))
    along += window.column(shear * _along(parameters))
    across = (v * -swell + u * twist).mul_(window.column(shorter))
    across += window.column(shear * _along(parameters, turned=True))
    cos, sin = (window.column(f(parameters.angle)) for f in (np.cos, np.sin))
    return (along * cos - across * sin).mul_(bump), (along * sin + across * cos).mul_(bump)


def _along(parameters: DeformParameters, *, turned: bool = False) -> Numbers:
    """Share of the light's direction along the longer axis, or along the shorter one, ``[B]``."""
    angle = parameters.direction - parameters.angle
    return np.sin(angle) if turned else np.cos(angle)
