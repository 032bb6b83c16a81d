"""Contamination: dust, grit and fibres, many small things spread over a part, denser here than there."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Generator, Tensor

from synth.draws import Draws
from synth.families.base import Context, Family
from synth.families.shading import brightens
from synth.masks import FlawParameters
from synth.noise import Numbers, normals, uniforms
from synth.spots import NO_FLAWS, Spots, paint
from synth.stamps import extent, stamp
from synth.windows import Window

_MOST_SPECKS = 160
_GRAINS = 4
"""Dots that a speck is made of."""
_MOST_FIBRES = 6
_KNOTS = 12
_HEAPS = 4
"""Places around which specks gather."""


@dataclass(frozen=True, kw_only=True)
class ContaminationParameters(FlawParameters):
    """One contaminated region per image.

    Attributes:
        centre: ``[B, 2]`` place on the part, (x, y) in 0..1; see ``Ground.place``.
        spread: ``[B]`` radius of the region, as a fraction of the image's shorter side.
        specks: ``[B]`` int64, how many, 1..160.
        grain: ``[B]`` radius of a middling speck, as a fraction of the image's shorter side; at least half a pixel.
        gathered: ``[B]`` share of the specks that lie in heaps.
        fibres: ``[B]`` int64, hair-like ones, 0..6.
        length: ``[B]`` of the fibres, as a fraction of the image's shorter side.
        curl: ``[B]`` how far a fibre turns along its length, radians.
        contrast: ``[B]`` share of the way to the colour of the dirt; negative is dark dirt.
        mixed: ``[B]`` share of the specks that are of the other brightness.
        colour: ``[B, 3]`` of dark dirt, 0..0.3; bright dirt is as far from white.
        seed: ``[B]`` int64, of all places and shapes.
    """

    centre: Numbers
    spread: Numbers
    specks: Numbers
    grain: Numbers
    gathered: Numbers
    fibres: Numbers
    length: Numbers
    curl: Numbers
    contrast: Numbers
    mixed: Numbers
    colour: Numbers
    seed: Numbers


class Contamination(Family[ContaminationParameters]):
    """Draws and scatters dirt.

    Args:
        spread: Range of the region's radius, as a fraction of the image's shorter side.
        grain: Range of the radius of a middling speck, in the same unit.
        contrast: Range of the contrast, without its sign.
    """

    name: ClassVar[str] = "contamination"
    parameters_class = ContaminationParameters

    def __init__(
        self,
        spread: tuple[float, float] = (0.01, 0.5),
        grain: tuple[float, float] = (0.0025, 0.009),
        contrast: tuple[float, float] = (0.15, 0.95),
    ) -> None:
        self.spread = spread
        self.grain = grain
        self.contrast = contrast

    def draw(self, generator: Generator, count: int, severity: Tensor | None = None) -> ContaminationParameters:
        """Draw a region per image; half of the dirt is dark, and four in ten regions have fibres."""
        draws = Draws(generator, count, severity)
        return ContaminationParameters(
            severity=draws.severity,
            centre=draws.uniform(0, 1, 2),
            spread=draws.sized(*self.spread),
            specks=np.maximum((draws.sized(1.0, _MOST_SPECKS) * draws.log_uniform(0.5, 1.0)).round(), 1).astype(
                np.int64
            ),
            grain=draws.sized(*self.grain),
            gathered=draws.uniform(0.0, 0.8),
            fibres=(draws.sized(0.7, _MOST_FIBRES) * draws.chance(0.4)).round().astype(np.int64),
            length=draws.uniform(0.04, 0.3),
            curl=draws.log_uniform(0.3, 4.0),
            contrast=draws.signed(*self.contrast, negative=0.5),
            mixed=draws.uniform(0.0, 0.4) * draws.chance(0.3),
            colour=draws.uniform(0.0, 0.2, 1) + draws.uniform(0.0, 0.1, 3),
            seed=draws.seeds(),
        )

    def reach(self, parameters: ContaminationParameters, size: tuple[int, int]) -> Numbers:
        """As far as the outermost dot."""
        points, radii, _ = _dots(parameters, size)
        return ((np.abs(points) + radii[..., None] + 1) * (radii > 0)[..., None]).max(axis=1)

    def paint_in_place(self, spots: Spots, parameters: ContaminationParameters, context: Context) -> Numbers:
        """In one loop over the pixels."""
        points, radii, strength = _dots(parameters, spots.size)
        dirt = parameters.contrast[:, None] * strength
        drawn = radii > 0
        dots = np.empty((np.count_nonzero(drawn), 5), np.float32)
        dots[:, :2] = (points + spots.centre[:, None])[drawn]
        dots[:, 2], dots[:, 3], dots[:, 4] = extent(radii[drawn]), np.abs(dirt[drawn]), brightens(spots, dirt)[drawn]
        colour = _colours(parameters, spots.images)
        both = np.stack([colour, 1 - colour]).astype(np.float32, copy=False)
        paint("paint_dots", spots, drawn.sum(axis=1).cumsum(), dots, both)
        return NO_FLAWS

    def paint(self, window: Window, parameters: ContaminationParameters, context: Context) -> Tensor:
        """Cover the images with specks and fibres."""
        points, radii, strength = _dots(parameters, window.size)
        dirt = parameters.contrast[:, None] * strength
        bright = brightens(window, dirt)
        origin = np.stack([window.left, window.top], axis=1) - window.centre
        places = (points - origin[:, None]).astype(np.float32)
        drawn = radii > 0
        layers = np.arange(len(points))[:, None] * 2 + bright
        canvas = window.images.new_zeros(2 * len(points), *window.shape)
        stamp(canvas, layers[drawn], places[drawn], radii[drawn], np.abs(dirt[drawn]))
        shadows, lights = canvas.view(-1, 2, *window.shape).split(1, dim=1)
        colours = window.tensor(_colours(parameters, window.images)[:, :, None, None])
        return torch.lerp(torch.lerp(window.images, colours, shadows), 1 - colours, lights)


def _colours(parameters: ContaminationParameters, images: Tensor) -> Numbers:
    """Of dark dirt, ``[B, C]``."""
    return parameters.colour if images.shape[1] == 3 else parameters.colour.mean(axis=1, keepdims=True)


def _dots(parameters: ContaminationParameters, size: tuple[int, int]) -> tuple[Numbers, Numbers, Numbers]:
    """All dots of each image.

    Returns:
        Places from the centre ``[B, N, 2]`` and radii ``[B, N]`` in pixels, where 0 draws nothing, and strengths
        ``[B, N]``, -1..1, negative for dirt of the other brightness.
    """
    speck, fibre = _specks(parameters, size), _fibres(parameters, size)
    points, radii, strength = (np.concatenate(both, axis=1) for both in zip(speck, fibre, strict=True))
    return points, radii, strength


def _specks(parameters: ContaminationParameters, size: tuple[int, int]) -> tuple[Numbers, Numbers, Numbers]:
    most = int(parameters.specks.max())
    rolls = normals(parameters.seed, most * 3).reshape(-1, most, 3)
    chances = uniforms(parameters.seed + 1, most * 4).reshape(-1, most, 4)
    heaps = normals(parameters.seed + 2, _HEAPS * 3).reshape(-1, _HEAPS, 3)
    heap = heaps[np.arange(len(heaps))[:, None], (chances[:, :, 0] * _HEAPS).astype(np.int64)]
    gathered = (chances[:, :, 1] < parameters.gathered[:, None])[..., None]
    scattered = 0.5 * rolls[..., :2]
    heaped = 0.5 * heap[..., :2] + 0.12 * np.exp(heap[..., 2:]) * rolls[..., :2]
    places = np.where(gathered, heaped, scattered)
    places = places.clip(-1.5, 1.5) * (parameters.spread * min(size))[:, None, None]
    places[:, 0] = 0

    # Most are small and few are large, as crushed matter is.
    radius = (parameters.grain * min(size))[:, None] * np.clip(0.8 * np.exp(0.7 * rolls[..., 2]), 0.2, 2.2)
    number = np.arange(most) < parameters.specks[:, None]
    grains = normals(parameters.seed + 3, most * _GRAINS * 3).reshape(-1, most, _GRAINS, 3)
    # Chips and slivers: dots along a direction of the speck's own, thick here and thin there, not all as dense.
    turn = np.float32(2 * np.pi) * chances[:, :, 0, None] * _HEAPS
    along, across = grains[..., 0].clip(-2, 2), 0.35 * grains[..., 1].clip(-2, 2)
    cos, sin = np.cos(turn), np.sin(turn)
    shape = np.stack([along * cos - across * sin, along * sin + across * cos], axis=-1)
    points = places[:, :, None] + 0.8 * radius[..., None, None] * shape
    radii = radius[..., None] * (0.5 + 0.2 * grains[..., 2]).clip(0.2, 0.9)
    # What is smaller than a pixel is fainter, not larger.
    dense = (0.5 + 0.5 * chances[:, :, 2, None]) * (0.85 + 0.2 * grains[..., 1]).clip(0.5, 1)
    strength = dense * np.minimum(radii, 0.6) / np.float32(0.6)
    other = (chances[:, :, 3] < parameters.mixed[:, None])[..., None]
    strength = np.where(other, -strength, strength)
    count = len(points)
    return points.reshape(count, -1, 2), (radii * number[..., None]).reshape(count, -1), strength.reshape(count, -1)


def _fibres(parameters: ContaminationParameters, size: tuple[int, int]) -> tuple[Numbers, Numbers, Numbers]:
    most, rows = int(parameters.fibres.max()), len(parameters.seed)
    if not most:
        nothing = np.zeros((rows, 0), np.float32)
        return np.zeros((rows, 0, 2), np.float32), nothing, nothing
    rolls = normals(parameters.seed + 4, most * (_KNOTS + 4)).reshape(-1, most, _KNOTS + 4)
    length = (parameters.length * min(size))[:, None] * np.exp(0.4 * rolls[..., 0]).clip(0.4, 2.0)
    radius = np.maximum(0.3 * parameters.grain * min(size), 0.3)
    # Dots lie closer than they are thick; fibres that need fewer than the longest draw nothing with the rest.
    count = np.maximum(np.ceil(length / (0.6 * np.maximum(radius, 0.8)[:, None])), 2)
    dots = np.arange(int(count.max()))
    turns = (parameters.curl[:, None, None] * rolls[..., 4:] / np.float32(_KNOTS**0.5)).cumsum(axis=2)
    turns += 3 * rolls[..., 1:2]
    knot = np.minimum(dots / count[..., None], 1) * (_KNOTS - 1)
    before = np.minimum(knot.astype(np.int64), _KNOTS - 2)
    start, end = (np.take_along_axis(turns, before + further, axis=2) for further in (0, 1))
    angles = start + (end - start) * (knot - before).astype(np.float32)
    steps = np.stack([np.cos(angles), np.sin(angles)], axis=-1) * (length / count)[..., None, None]
    first = 0.5 * rolls[..., 2:4].clip(-2, 2) * (parameters.spread * min(size))[:, None, None]
    points = first[:, :, None] + steps.cumsum(axis=2)
    drawn = (np.arange(most) < parameters.fibres[:, None])[..., None] & (dots < count[..., None])
    radii = (radius[:, None, None] * drawn).reshape(rows, -1)
    # A fibre is seen where it catches light or casts a shadow, and less in between.
    turn = knot * (0.5 + np.abs(rolls[..., 3:4])) + 3 * rolls[..., 2:3]
    strength = (0.6 + 0.25 * np.sin(turn)).astype(np.float32).reshape(rows, -1)
    return points.reshape(rows, -1, 2), radii, strength
