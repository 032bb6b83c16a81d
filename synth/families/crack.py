"""Cracks: branching walks of varying width: dark or bright lines, or open, with walls that are lit or in shadow."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional

from synth.compiled import kernels
from synth.draws import Draws, subdued
from synth.families.base import Context, Family, select
from synth.families.shading import brightens, light, mixed, shade, sunken
from synth.masks import FlawParameters
from synth.noise import Numbers, directions, normals, perlin, uniforms
from synth.spots import Spots, paint
from synth.stamps import extent, stamp, stamp_cones
from synth.windows import Window, run

Put = Callable[[Tensor, Numbers, Numbers, Numbers], None]
"""Draws dots: canvas, layers, places and radii; see ``synth.stamps``."""

_KNOTS = 40
_BRANCHES = 3
_MOST_RADIUS = 6
"""Dots of a larger radius, in pixels, are drawn smaller and enlarged."""

_APART = 0.8
"""Distance of neighbouring dots in pixels, at most."""

_AROUND = 1.5
"""How far open cracks are known, in half widths: noise moves their rim by no more."""

_RIM = 2
"""Added to the seed for the noise of the rim."""

_OCTAVES = 3
"""Of that noise."""

_FINER = 2
_ASIDE = 0.12
"""How far knots in between are moved aside, over the distance of those beside them."""

_CRUMBS = 12
_LARGEST_CRUMB = 2.4
"""How far a piece that broke out of the rim reaches from the middle of the crack, in half widths."""

_LONG = 0.5
"""Lengths from which on half the cracks go on to the picture's border, as a fraction of its shorter side."""


@dataclass(frozen=True, kw_only=True)
class CrackParameters(FlawParameters):
    """One crack per image.

    Attributes:
        start: ``[B, 2]`` where it begins, (x, y) in 0..1; see ``Ground.place``.
        angle: ``[B]`` first direction, radians.
        length: ``[B]`` along the crack, as a fraction of the image's shorter side.
        wander: ``[B]`` how much the direction drifts from end to end, radians.
        jitter: ``[B]`` how much it changes at every knot, radians.
        width: ``[B]`` full width where it is widest, as a fraction of the image's shorter side.
        depth: ``[B]`` change of brightness; negative is darker.
        branches: ``[B]`` int64, 0..3.
        crossing: ``[B]`` bool, it goes on from its start both ways, beyond the picture's borders, whatever its length.
        wall: ``[B]`` width of the walls of an open crack, in half widths; 0 is a flat line, as a hairline crack is.
        light: ``[B]`` direction that the light comes from, radians; of open cracks, as what follows.
        relief: ``[B]`` change of brightness on the steepest walls, 0..1.
        ragged: ``[B]`` how far noise moves the rim, in half widths.
        crumbs: ``[B]`` int64, 0..12, pieces that broke out of the rim.
        seed: ``[B]`` int64, of the walk.
    """

    start: Numbers
    angle: Numbers
    length: Numbers
    wander: Numbers
    jitter: Numbers
    width: Numbers
    depth: Numbers
    branches: Numbers
    crossing: Numbers
    wall: Numbers
    light: Numbers
    relief: Numbers
    ragged: Numbers
    crumbs: Numbers
    seed: Numbers


class Crack(Family[CrackParameters]):
    """Draws and paints cracks.

    Args:
        length: Range of the length, as a fraction of the image's shorter side.
        width: Range of the greatest width, in the same unit; open ones are up to three times as wide.
        depth: Range of the change of brightness, without its sign.
    """

    name: ClassVar[str] = "crack"
    parameters_class = CrackParameters

    def __init__(
        self,
        length: tuple[float, float] = (0.015, 1.2),
        width: tuple[float, float] = (0.004, 0.02),
        depth: tuple[float, float] = (0.06, 0.95),
    ) -> None:
        self.length = length
        self.width = width
        self.depth = depth

    def draw(self, generator: Generator, count: int, severity: Tensor | None = None) -> CrackParameters:
        """Draw a crack per image; four in five are dark, and so are the open ones, which are two in five."""
        draws = Draws(generator, count, severity)
        length, width, depth = draws.sized(*self.length, 0.6), draws.sized(*self.width), draws.signed(*self.depth, 0.8)
        is_open, crossing = draws.chance(0.4), draws.chance(0.5) & (length > _LONG)
        return CrackParameters(
            severity=draws.severity,
            start=draws.uniform(0, 1, 2),
            angle=draws.uniform(0, 2 * np.pi),
            length=length,
            wander=draws.uniform(0.1, 2.0) * np.where(crossing, np.float32(0.4), np.float32(1)),
            jitter=draws.uniform(0.05, 0.6),
            width=np.where(is_open, width * draws.sized(1.0, 3.0), width),
            depth=np.where(is_open, -np.abs(depth), subdued(depth, self.depth[0])),
            branches=np.maximum(draws.integers(0, 2 * _BRANCHES) - _BRANCHES, 0),
            crossing=crossing,
            wall=draws.uniform(0.15, 0.65) * is_open,
            light=draws.uniform(0, 2 * np.pi),
            relief=draws.strong(0.2, 0.9),
            ragged=draws.uniform(0.2, 0.6),
            crumbs=np.maximum(draws.integers(-_CRUMBS // 2, _CRUMBS), 0) * is_open,
            seed=draws.seeds(),
        )

    def fractions(self, parameters: CrackParameters) -> Numbers:
        """Where the cracks begin."""
        return parameters.start

    def reach(self, parameters: CrackParameters, size: tuple[int, int]) -> Numbers:
        """As far as the farthest point of the walks."""
        points, radii = _knots(parameters, size)
        across = radii * np.where(parameters.wall > 0, _LARGEST_CRUMB, 1)[:, None, None]
        far = [(np.abs(points[..., axis]) + across + 1) * (radii > 0) for axis in (0, 1)]
        return np.stack([line.max(axis=(1, 2)) for line in far], axis=1)

    def paint_in_place(self, spots: Spots, parameters: CrackParameters, context: Context) -> Numbers:
        """In one loop over the pixels for lines and one for open cracks, but for thick ones."""
        points, radii = _knots(parameters, spots.size)
        is_open = parameters.wall > 0
        thick = _shrinks(radii * np.where(is_open, np.float32(_AROUND), np.float32(1))[:, None, None]) > 1
        for kind, rows in ((_paint_lines, ~is_open & ~thick), (_paint_openings, is_open & ~thick)):
            here = np.flatnonzero(rows)
            if len(here):
                kind(spots.some(here), select(parameters, here), points[here], radii[here])
        return np.flatnonzero(thick)

    def paint(self, window: Window, parameters: CrackParameters, context: Context) -> Tensor:
        """Darken or brighten the images along the walks, or open them."""
        painted = torch.empty_like(window.images, memory_format=torch.contiguous_format)
        for kind, rows in ((_line, parameters.wall == 0), (_open, parameters.wall > 0)):
            some = np.flatnonzero(rows)
            if len(some):
                painted[run(some)] = kind(window.rows(some), select(parameters, some))
        return painted


def _paint_lines(spots: Spots, parameters: CrackParameters, points: Numbers, radii: Numbers) -> None:
    """As ``_line``, in place."""
    amount = parameters.depth
    laid, ends = _dots((points + spots.centre[:, None, None]).astype(np.float32), radii)
    dots = np.zeros((len(laid), 5), np.float32)
    dots[:, :2], dots[:, 2] = laid[:, :2], extent(laid[:, 2])
    dots[:, 3] = np.abs(amount).repeat(np.diff(ends, prepend=0))
    colours = np.repeat(brightens(spots, amount), spots.images.shape[1]).reshape(1, len(ends), -1).repeat(2, axis=0)
    paint("paint_dots", spots, ends, dots, colours.astype(np.float32))


def _paint_openings(spots: Spots, parameters: CrackParameters, points: Numbers, radii: Numbers) -> None:
    """As ``_open``, in place."""
    p = parameters
    crumbs = _crumbs(p, points, radii).astype(np.float32)
    laid, ends = _dots(points, radii)
    # Crumbs stand behind the dots of their crack.
    dots = np.insert(laid, ends.repeat(_CRUMBS), crumbs.reshape(-1, 3), axis=0)
    dots[:, 2] *= np.float32(_AROUND)
    ends = ends + _CRUMBS * np.arange(1, len(ends) + 1)
    table = spots.table(_half(radii), p.depth, p.wall, p.light, p.relief, p.ragged, p.seed + _RIM)
    paint("paint_openings", spots, spots.level, _AROUND, _OCTAVES, ends, dots, table, *directions())


def _line(window: Window, parameters: CrackParameters) -> Tensor:
    """A crack seen from above: nothing but its colour."""
    points, radii = _knots(parameters, window.size)
    return shade(window, _draw(window, points, radii, np.empty((len(points), 0, 3)), _stamp_flat), parameters.depth)


def _open(window: Window, parameters: CrackParameters) -> Tensor:
    """A crack that light falls into: what it does not reach is dark, one wall is lit and the other in shadow."""
    p = parameters
    points, radii = _knots(p, window.size)
    half = _half(radii)
    step = np.stack([np.cos(p.light), np.sin(p.light)], axis=1) * np.maximum(0.5 * p.wall * half, 0.75)[:, None]
    inside, towards = (_gap(there, p, points, radii, half) for there in (window, window.moved(step)))
    wall = window.column(p.wall)
    slope = sunken(towards, wall).sub_(sunken(inside, wall))
    # Beyond the walls no light gets in.
    dark = (inside / wall).sub_(0.4).clamp_(0, 1)
    target = brightens(window, p.depth).astype(np.float32)[:, None].repeat(window.level.shape[1], axis=1)
    broken = mixed(window, dark, target, np.minimum(1.3 * np.abs(p.depth), 0.97))
    broken = light(broken, slope.mul_(window.column(2 * p.relief)).mul_(1 - dark).clamp_(-1, 1))
    return torch.lerp(window.images, broken, inside.mul_(window.column(half)).add_(0.5).clamp_(0, 1))


def _gap(window: Window, parameters: CrackParameters, points: Numbers, radii: Numbers, half: Numbers) -> Tensor:
    """How far inside the rim pixels are, in half widths: 1 in the middle, below 0 outside; ``[B, 1, h, w]``."""
    crumbs = _crumbs(parameters, points, radii)
    crumbs[..., 2] *= _AROUND
    around = _draw(window, points, _AROUND * radii, crumbs, stamp_cones)
    cells = np.array(window.size) / (1.2 * half)[:, None]
    rough = perlin(parameters.seed + _RIM, cells, window, _OCTAVES).mul_(window.column(parameters.ragged))
    # Noise takes hold towards the rim, so that nothing opens where no crack is near.
    return rough.mul_((3 * around).clamp_(max=1)).add_(around.mul_(_AROUND)).sub_(_AROUND - 1)


def _half(radii: Numbers) -> Numbers:
    """Half the greatest width of cracks ``[B]``, in pixels; at least 1."""
    return np.maximum(radii.max(axis=(1, 2)), 1)


def _crumbs(parameters: CrackParameters, points: Numbers, radii: Numbers) -> Numbers:
    """Pieces that broke out of the rim of main walks: (x, y) from their start and radius, in pixels, ``[B, C, 3]``."""
    rolls = uniforms(parameters.seed + 3, 3 * _CRUMBS).reshape(-1, _CRUMBS, 3)
    rows, knot = np.arange(len(points))[:, None], (rolls[..., 0] * (points.shape[2] - 1)).astype(np.int64)
    here, there, wide = points[:, 0][rows, knot], points[:, 0][rows, knot + 1], radii[:, 0][rows, knot]
    along = (there - here) / np.maximum(np.linalg.norm(there - here, axis=-1, keepdims=True), 1e-6)
    side = np.stack([-along[..., 1], along[..., 0]], axis=-1) * np.sign(rolls[..., 1:2] - 0.5)
    drawn = np.arange(_CRUMBS) < parameters.crumbs[:, None]
    radius = wide * (0.4 + 0.5 * rolls[..., 2]) * drawn
    return np.concatenate([here + side * wide[..., None], radius[..., None]], axis=-1)


@dataclass(frozen=True)
class _Walks:
    """Cracks in pictures of a size; equal if their numbers are."""

    numbers: tuple[bytes, ...]
    size: tuple[int, int]
    parameters: CrackParameters = field(compare=False)


def _knots(parameters: CrackParameters, size: tuple[int, int]) -> tuple[Numbers, Numbers]:
    """Walks as knots, the first of each crack from its start, then its branches; not to be written to.

    Returns:
        ``[B, W, K, 2]`` (x, y) in pixels from the start, and the radius ``[B, W, K]`` there; 0 draws nothing.
    """
    return _walked(_Walks(tuple(values.tobytes() for values in vars(parameters).values()), size, parameters))


@lru_cache(maxsize=2)
def _walked(walks: _Walks) -> tuple[Numbers, Numbers]:
    """As ``_knots``; kept, as where flaws reach is asked for just before they are painted."""
    parameters, size = walks.parameters, walks.size
    count = (_BRANCHES + 1) * 3 * _KNOTS
    rolls = normals(parameters.seed, count).reshape(-1, _BRANCHES + 1, 3, _KNOTS)
    chances = uniforms(parameters.seed + 1, _BRANCHES * 3).reshape(-1, _BRANCHES, 3)
    drift = parameters.wander[:, None, None] * rolls[:, :, 0].cumsum(axis=2) / np.float32(_KNOTS**0.5)
    turns = drift + parameters.jitter[:, None, None] * rolls[:, :, 1]

    side = min(size)
    length = np.where(parameters.crossing, 2 * math.hypot(*size), parameters.length * side)
    start = np.zeros((len(length), 1, 2), np.float32)
    main = _walk(start, (parameters.angle[:, None] + turns[:, 0])[:, None], length[:, None])
    main -= main[:, :, _KNOTS // 2, None] * parameters.crossing[:, None, None, None]
    widths = (parameters.width * side)[:, None, None] * _uneven(rolls[:, :, 2])
    # One that goes on beyond the picture has its ends there.
    widths[:, 1:] *= _opening()
    widths[:, 0] *= np.where(parameters.crossing[:, None], 1, _opening())

    where, aside, share = chances.transpose(2, 0, 1)
    knot = (where * np.float32(0.8 * _KNOTS)).astype(np.int64)
    rows = np.arange(len(length))[:, None]
    across = np.sign(rolls[:, 1:, 0, 0]) * (0.4 + 0.8 * aside)
    angle = parameters.angle[:, None] + drift[:, 0][rows, knot] + across
    far = np.minimum(length, 1.2 * side)[:, None] * (0.15 + 0.4 * share)
    branches = _walk(main[:, 0][rows, knot], angle[..., None] + turns[:, 1:], far)
    thinner = 0.8 * widths[:, 0][rows, knot] / (parameters.width * side)[:, None]
    drawn = np.arange(_BRANCHES) < parameters.branches[:, None]
    radii = np.concatenate([widths[:, :1], widths[:, 1:] * (thinner * drawn)[..., None]], axis=1) / 2
    return _broken(np.concatenate([main, branches], axis=1), radii, parameters.seed + 4)


def _broken(points: Numbers, radii: Numbers, seeds: Numbers) -> tuple[Numbers, Numbers]:
    """Walks with knots in between, moved aside at random: a crack is crooked at every scale (midpoint displacement)."""
    for finer in range(_FINER):
        steps = np.diff(points, axis=2)
        aside = np.stack([-steps[..., 1], steps[..., 0]], axis=-1)
        rolls = normals(seeds + finer, math.prod(radii.shape[1:])).reshape(radii.shape)[:, :, 1:, None]
        points = _with_middles(points, (points[:, :, :-1] + points[:, :, 1:]) / 2 + _ASIDE * rolls * aside)
        radii = _with_middles(radii, (radii[:, :, :-1] + radii[:, :, 1:]) / 2)
    return points, radii


def _with_middles(values: Numbers, middles: Numbers) -> Numbers:
    """Values ``[B, W, K, ...]`` of knots, and those in between them."""
    both = np.empty((*values.shape[:2], 2 * values.shape[2] - 1, *values.shape[3:]), np.float32)
    both[:, :, ::2], both[:, :, 1::2] = values, middles
    return both


def _walk(start: Numbers, angles: Numbers, length: Numbers) -> Numbers:
    """Knots ``[B, W, K, 2]`` of walks of a length ``[B, W]`` from ``[B, W, 2]`` along directions ``[B, W, K]``."""
    steps = np.stack([np.cos(angles), np.sin(angles)], axis=-1) * (length / _KNOTS)[..., None, None]
    return start[:, :, None] + steps.cumsum(axis=2)


@lru_cache
def _opening() -> Numbers:
    """A crack opens within a few knots from its start, is widest there, and runs out slowly."""
    along = np.linspace(0, 1, _KNOTS, dtype=np.float32)
    return np.minimum(0.4 + 6 * along, 1) * (1 - 0.75 * along**2)


def _uneven(rolls: Numbers) -> Numbers:
    """Relative width along walks ``[B, W, K]``."""
    padded = np.concatenate([rolls[..., :1], rolls[..., :1], rolls, rolls[..., -1:], rolls[..., -1:]], axis=-1)
    smooth = sum(padded[..., i : i + _KNOTS] for i in range(5)) / 5
    return np.asarray((0.75 + 0.6 * smooth).clip(0.25, 1.4))


def _draw(window: Window, points: Numbers, radii: Numbers, crumbs: Numbers, put: Put) -> Tensor:
    """Draw walks and dots beside them, the highest counting where they meet; ``[B, 1, h, w]`` in 0..1.

    Thick ones are drawn smaller and enlarged, as dots of many pixels cost too much; on lines and columns that are
    the same for the whole picture, so that tiles fit.
    """
    height, width = window.shape
    corner = np.stack([window.left, window.top], axis=1)
    shrinks = _shrinks(radii)
    drawn = window.images.new_empty(len(points), 1, height, width)
    for shrink in np.unique(shrinks).tolist():
        rows = np.flatnonzero(shrinks == shrink)
        margin = shrink > 1
        whole = np.floor(corner[rows])
        cells = np.floor(whole / shrink) - margin
        # What is between whole pixels moves the dots.
        origin = (cells * shrink + (corner[rows] - whole) - window.centre[rows])[:, None]
        places = ((points[rows] - origin[:, None] + 0.5) / shrink - 0.5).astype(np.float32)
        dots, ends = _dots(places, radii[rows] / np.float32(shrink))
        crumb, of = crumbs[rows], np.arange(len(rows))
        beside = np.concatenate([(crumb[..., :2] - origin + 0.5) / shrink - 0.5, crumb[..., 2:] / shrink], axis=-1)
        there = beside[..., 2] > 0
        layers = np.concatenate([of.repeat(np.diff(ends, prepend=0)), of.repeat(there.sum(axis=1))])
        dots = np.concatenate([dots, beside[there].astype(np.float32)])
        sides = (-(-length // shrink) + 3 * margin for length in (height, width))
        canvas = window.images.new_zeros(len(rows), *sides)
        put(canvas, layers, dots[:, :2], dots[:, 2])
        if not margin:
            drawn[run(rows)] = canvas[:, None]
            continue
        for row, plane, (left, top) in zip(rows, canvas, (whole - cells * shrink).astype(int).tolist(), strict=True):
            large = functional.interpolate(plane[None, None], scale_factor=float(shrink), mode="bilinear")
            drawn[row] = large[0, :, top : top + height, left : left + width]
    return drawn


def _shrinks(radii: Numbers) -> Numbers:
    """By how much smaller cracks are drawn, ``[B]`` int64."""
    return np.maximum(radii.max(axis=(1, 2)).astype(np.int64) // _MOST_RADIUS, 1)


def _stamp_flat(canvas: Tensor, layers: Numbers, points: Numbers, radii: Numbers) -> None:
    """Dots that are 1 inside."""
    stamp(canvas, layers, points, radii, np.ones(len(radii), np.float32))


def _dots(points: Numbers, radii: Numbers) -> tuple[Numbers, Numbers]:
    """Dots along walks ``[B, W, K, 2]`` with radii ``[B, W, K]``, in pixels, float32; those of a crack are as dense.

    Returns:
        Places and radii ``[D, 3]``, and where those of each crack end, ``[B]`` int64.
    """
    drawn = radii[:, :, 0] > 0
    steps = np.diff(points, axis=2)
    squares = steps[..., 0] ** 2 + steps[..., 1] ** 2
    farthest = np.sqrt((squares.max(axis=2) * drawn).max(axis=1)).astype(np.float64)
    between = np.maximum(np.ceil(farthest / _APART), 2).astype(np.int64)
    ends = (drawn.sum(axis=1) * steps.shape[2] * between).cumsum()
    dots = np.empty((ends[-1], 3), np.float32)
    kernels().lay_dots(np.concatenate([points, radii[..., None]], axis=-1), between, dots)
    return dots, ends
