"""Bites: chips broken out of the border of the part or of the image, down to facets of the broken surface."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Generator, Tensor

from synth.draws import Draws
from synth.families.base import Context, Family
from synth.families.shading import relative
from synth.masks import PlacedParameters, bumps, draw_place, half_axes, place_columns
from synth.noise import Numbers, directions, flat_table, grain, perlin, uniforms
from synth.spots import NO_FLAWS, Spots, paint
from synth.windows import Window

_FACETS = 5

_GRAINS = 8.0
"""Cells of the broken surface's grain along the shorter half axis."""

_SOONER = 0.6
"""Of the severity, so that more than a notch is seen of middling bites: half of each lies outside the part."""

_UNEVEN = 0.12
"""How far the grain moves the outline of what goes right through, in half axes."""

_PALER = (0.3, 0.1)
"""Share of the part's level, and of white, by which a broken surface is brighter at most, but for half of the way to
white: it is of the part's material."""

_GLOSS = 0.6
"""How far what faces the light rises, over how far what turns away sinks."""

_FACING = 0.7
"""Share of a facet's brightness that comes from where it faces; the rest is drawn."""

_OCTAVES = 4
"""Of the noise that the outline is broken by."""

_GRAIN_OCTAVES = 2
"""Of the noise of the broken surface's grain."""

_GRIT = 0.006
"""Size of what is finest in the grain, as a fraction of the image's shorter side; at least 1.5 pixels."""


@dataclass(frozen=True, kw_only=True)
class BiteParameters(PlacedParameters):
    """One bite per image; its centre lies on the border of the part.

    Attributes:
        brightness: ``[B]`` of the broken surface, over the level around it: -1 (black) to 1 (white).
        facets: ``[B]`` how far the facets differ in brightness, 0..1.
        grain: ``[B]`` contrast of the broken surface's grain, 0..1.
        through: ``[B]`` how far from its outline the bite goes right through, in half axes; there the background
            shows, where the image has some, and a dark hollow elsewhere. Beyond 1 it never does.
        opacity: ``[B]`` 0..1.
    """

    brightness: Numbers
    facets: Numbers
    grain: Numbers
    through: Numbers
    opacity: Numbers


class Bite(Family[BiteParameters]):
    """Draws and breaks chips out of borders.

    Args:
        size: Range of half the longer axis, as a fraction of the image's shorter side.
        brightness: Range of the broken surface's brightness over the level around it, without its sign.
    """

    name: ClassVar[str] = "bite"
    parameters_class = BiteParameters
    at_contour = True

    def __init__(self, size: tuple[float, float] = (0.008, 0.3), brightness: tuple[float, float] = (0.07, 0.6)) -> None:
        self.size = size
        self.brightness = brightness

    def draw(self, generator: Generator, count: int, severity: Tensor | None = None) -> BiteParameters:
        """Draw a bite per image; half are brighter than the part, as fresh breaks are, and half go right through."""
        draws = Draws(generator, count, severity)
        place = draw_place(draws, self.size, aspect=(0.3, 1.0), roughness=(0.12, 0.45))
        return BiteParameters(
            **{**place, "size": draws.sized(*self.size, _SOONER)},
            brightness=draws.signed(*self.brightness, 0.5, _SOONER),
            facets=draws.strong(0.08, 0.45, _SOONER),
            grain=draws.uniform(0.1, 0.4),
            through=np.where(draws.chance(0.5), draws.uniform(0.15, 0.6), draws.uniform(1.0, 2.0)),
            opacity=np.minimum(draws.strong(0.2, 12.0), 1),
        )

    def reach(self, parameters: BiteParameters, size: tuple[int, int]) -> Numbers:
        """As far as the corners between the facets."""
        longer, _ = half_axes(parameters, size)
        # Neighbouring facets are at most 1.3 fifths of a turn apart: corners lie within 0.85 / cos(47°) half axes.
        return (longer * (1.25 + 1.2 * parameters.roughness) + 2)[:, None].repeat(2, axis=1)

    def paint_in_place(self, spots: Spots, parameters: BiteParameters, context: Context) -> Numbers:
        """In one loop over the pixels."""
        p = parameters
        background, there = spots.ground.background(spots.images, spots.rows)
        hollow = np.where(there[:, None], background, spots.level * np.float32(0.15))
        surface = _broken(spots, p)
        table = spots.table(*place_columns(p), p.facets, p.grain, p.through, p.opacity)
        surfaces = surface, hollow, _FACETS, _OCTAVES, _GRAIN_OCTAVES, _GRAINS, _GRIT, _UNEVEN, _GLOSS, _FACING
        paint("paint_bites", spots, *surfaces, table, flat_table(), *directions())
        return NO_FLAWS

    def paint(self, window: Window, parameters: BiteParameters, context: Context) -> Tensor:
        """Replace what was broken out."""
        inside, shade = _facets(window, parameters)
        _, shorter = half_axes(parameters, window.size)
        rough = perlin(parameters.seed + 1, _GRAINS * np.array(window.size) / shorter[:, None], window, _GRAIN_OCTAVES)
        rough.add_(grain(parameters.seed + 3, np.full((len(shorter), 2), _GRIT * window.side), window))
        shade.mul_(window.column(parameters.facets)).addcmul_(rough, window.column(parameters.grain))
        # Deep places get less light; the edge that the break runs out in catches some.
        shade.sub_(inside.clamp(0, 1).mul_(0.4))
        gone = rough.mul_(_UNEVEN).add_(inside).sub_(window.column(parameters.through))
        surface = window.colours(_broken(window, parameters))
        # By shares of the brightness, so that grain is seen alike on bright and dark facets; not beyond white.
        content = surface + shade * torch.where(shade > 0, torch.minimum(surface, 1 - surface) * _GLOSS, surface)
        hollow = window.colours(np.where(window.has_background[:, None], window.background, window.level * 0.15))
        # As soft as a pixel, in half axes.
        edge = window.column(1 / shorter)
        content = torch.lerp(content, hollow, gone.div_(edge).add_(0.5).clamp_(0, 1))
        return torch.lerp(
            window.images, content, inside.div_(edge).add_(0.5).clamp_(0, 1).mul_(window.column(parameters.opacity))
        )


def _broken(window: Window | Spots, parameters: BiteParameters) -> Numbers:
    """Colours of the broken surfaces, ``[B, C]`` float32."""
    share, least = _PALER
    brightest = np.minimum(window.level * (1 + share) + least, (1 + window.level) / 2)
    return relative(window, parameters.brightness, brightest).astype(np.float32, copy=False)


def _facets(window: Window, parameters: BiteParameters) -> tuple[Tensor, Tensor]:
    """The bite as a hollow between planes: how far inside, in half axes, and how bright the facet is, -1..1."""
    longer, shorter = half_axes(parameters, window.size)
    cos, sin = np.cos(parameters.angle), np.sin(parameters.angle)
    uneven = bumps(parameters, window, octaves=_OCTAVES).mul_(window.column(parameters.roughness))
    rolls = uniforms(parameters.seed + 2, 3 * (_FACETS + 1)).reshape(-1, _FACETS + 1, 3)
    sun = 2 * np.pi * rolls[:, _FACETS, 0]
    inside = shade = None
    for i in range(_FACETS):
        turn, apart, bright = rolls[:, i].T
        angle = 2 * np.pi / _FACETS * (i + 0.3 * (turn - 0.5))
        along, across = np.cos(angle) / longer, np.sin(angle) / shorter
        slope_x, slope_y = cos * along - sin * across, sin * along + cos * across
        plane = window.plane(-slope_x, -slope_y, 0.55 + 0.3 * apart)
        # A break is rougher across some facets than others.
        plane.addcmul_(uneven, window.column(0.6 + 0.8 * bright))
        facet = window.column(_FACING * np.cos(angle - sun) + (1 - _FACING) * (2 * bright - 1))
        if inside is None or shade is None:
            inside, shade = plane, facet.expand_as(plane).clone()
        else:
            shade = torch.where(plane < inside, facet, shade)
            inside = torch.minimum(inside, plane)
    assert inside is not None
    assert shade is not None
    return inside, shade
