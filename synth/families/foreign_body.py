"""Foreign bodies: things that lie on a part, with a surface of their own, a lit edge and a shadow beside them."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Generator, Tensor

from synth.draws import Draws
from synth.families.base import Content, Context, Family, select
from synth.families.shading import light, relative
from synth.masks import RegionParameters, draw_region, half_axes, inwardness, region_reach
from synth.noise import Numbers
from synth.sources import procedural_textures, shifted_sources
from synth.windows import Window, run


@dataclass(frozen=True, kw_only=True)
class ForeignBodyParameters(RegionParameters):
    """One foreign body per image; ``softness`` is the width of its rounded edge, in half axes.

    Attributes:
        light: ``[B]`` direction that the light comes from, radians.
        relief: ``[B]`` change of brightness where the edge is steepest, 0..1.
        height: ``[B]`` length of the shadow, in half axes.
        shadow: ``[B]`` share of the brightness that is lost in it, 0..1.
        borrowed: ``[B]`` bool, its surface is one of the context's textures, or of its sources if it has none.
        source: ``[B]`` which of them, 0..1 over all.
        shift: ``[B, 2]`` (x, y) by which that is moved, as a fraction of width and height.
        brightness: ``[B]`` of the body, over the level around it: -1 (black) to 1 (white).
        grain: ``[B]`` size of the grain of its surface, as a fraction of the image's shorter side.
        stretch: ``[B]`` the grain's length along x over its length along y.
        contrast: ``[B]`` of the grain, 0..1.
        opacity: ``[B]`` 0..1.
    """

    light: Numbers
    relief: Numbers
    height: Numbers
    shadow: Numbers
    borrowed: Numbers
    source: Numbers
    shift: Numbers
    brightness: Numbers
    grain: Numbers
    stretch: Numbers
    contrast: Numbers
    opacity: Numbers


class ForeignBody(Family[ForeignBodyParameters]):
    """Draws foreign bodies and lays them on parts.

    Args:
        size: Range of half the longer axis, as a fraction of the image's shorter side.
        brightness: Range of its brightness over the level around it, without its sign.
    """

    name: ClassVar[str] = "foreign_body"
    parameters_class = ForeignBodyParameters

    def __init__(
        self, size: tuple[float, float] = (0.006, 0.2), brightness: tuple[float, float] = (0.06, 0.85)
    ) -> None:
        self.size = size
        self.brightness = brightness

    def draw(self, generator: Generator, count: int, severity: Tensor | None = None) -> ForeignBodyParameters:
        """Draw a body per image, from flakes to splinters; one in three has a surface taken from elsewhere."""
        draws = Draws(generator, count, severity)
        splinter = np.where(draws.chance(0.35), np.float32(0.25), np.float32(1))
        region = draw_region(draws, self.size, (0.4, 1.0), (0.15, 0.8), square=0.4, roughness=(0.05, 0.4))
        region["aspect"] = region["aspect"] * splinter
        return ForeignBodyParameters(
            **region,
            light=draws.uniform(0, 2 * np.pi),
            relief=draws.strong(0.08, 0.9),
            height=draws.uniform(0.1, 0.6),
            shadow=draws.strong(0.06, 0.7),
            borrowed=draws.chance(0.33),
            source=draws.uniform(0, 1),
            shift=draws.uniform(0.1, 0.9, 2),
            brightness=draws.signed(*self.brightness, negative=0.5),
            grain=draws.log_uniform(0.004, 0.04),
            stretch=draws.log_uniform(0.2, 5.0),
            contrast=draws.uniform(0.02, 0.25),
            opacity=np.minimum(draws.strong(0.25, 4.0), 1),
        )

    def reach(self, parameters: ForeignBodyParameters, size: tuple[int, int]) -> Numbers:
        """As far as the shadow."""
        return region_reach(parameters, size) + (2 * _shadow(parameters, size))[:, None] + 2

    def shown(self, parameters: ForeignBodyParameters, context: Context) -> list[Content]:
        """Pictures of textures, or parts where there are none, or procedural textures."""
        if context.sources is None and context.textures is None:
            return [Content("procedural") for _ in parameters.severity]
        kind: Literal["part", "texture"] = "part" if context.textures is None else "texture"
        chosen = zip(parameters.borrowed.tolist(), parameters.source.tolist(), strict=True)
        return [Content(kind, place) if borrowed else Content("procedural") for borrowed, place in chosen]

    def paint(self, window: Window, parameters: ForeignBodyParameters, context: Context) -> Tensor:
        """Cast the shadow, then lay the body over it."""
        _, shorter = half_axes(parameters, window.size)
        sun = np.stack([np.cos(parameters.light), np.sin(parameters.light)], axis=1)
        length = _shadow(parameters, window.size)
        edge = window.column(1 / shorter)
        # A shadow is sharp where the body touches the part and soft at its end.
        blur = window.column(np.maximum(length, 1) / shorter)
        cast = inwardness(parameters, window.moved(sun * length[:, None])).div_(blur).add_(0.5).clamp_(0, 1)
        opacity = window.column(parameters.opacity)
        shaded = window.images * cast.mul_(opacity * -window.column(parameters.shadow)).add_(1)

        inside = inwardness(parameters, window)
        step = np.maximum(0.12 * shorter, 0.75)
        beside = inwardness(parameters, window.moved(sun * step[:, None]))
        round_, steep = window.column(parameters.softness), window.column(shorter * parameters.softness / step)
        slope = _dome(inside / round_).sub_(_dome(beside.div_(round_)))
        slope.mul_(steep * window.column(0.5 * parameters.relief)).clamp_(-1, 1)
        body = light(_surface(window, parameters, context).clamp_(0, 1), slope)
        return torch.lerp(shaded, body, inside.div_(edge).add_(0.5).clamp_(0, 1).mul_(opacity))


def _shadow(parameters: ForeignBodyParameters, size: tuple[int, int]) -> Numbers:
    """Length of the shadow in pixels, ``[B]``."""
    _, shorter = half_axes(parameters, size)
    return parameters.height * shorter


def _dome(inside: Tensor) -> Tensor:
    """Height of a rounded edge: steep on the outline, flat further in."""
    t = inside.clamp_(0, 1).neg_().add_(1)
    return t.square_().neg_().add_(1)


def _surface(window: Window, parameters: ForeignBodyParameters, context: Context) -> Tensor:
    """What the body looks like, lit from above; ``[B, C, h, w]``."""
    pictures = context.sources if context.textures is None else context.textures
    brightness = relative(window, parameters.brightness).mean(axis=1)
    surface = torch.empty_like(window.images)
    borrowed = parameters.borrowed if pictures is not None else np.zeros_like(parameters.borrowed)
    for rows in (np.flatnonzero(borrowed), np.flatnonzero(~borrowed)):
        if len(rows):
            some, of = window.rows(rows), select(parameters, rows)
            if borrowed[rows[0]]:
                taken = shifted_sources(some, pictures, of.source, of.shift, np.zeros_like(of.seed), rolled=True)
                # Half way to its own brightness, as what another part shows here may be as dark as this one.
                taken = taken.lerp(some.column(brightness[rows]).expand_as(taken), 0.5)
            else:
                taken = procedural_textures(some, of.seed + 2, of.grain, of.stretch, brightness[rows], of.contrast)
                # Half as colourful as textures are, as most of what falls on parts is.
                taken = taken.lerp(taken.mean(dim=1, keepdim=True), 0.5)
            surface[run(rows)] = taken
    return surface
