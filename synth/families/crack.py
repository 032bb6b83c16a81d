"""Cracks: branching walks of varying width, mostly darker than the surface."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
from torch import Generator, Tensor
from torch.nn import functional

from synth.draws import Draws
from synth.families.base import Context, Family
from synth.families.shading import brightens, shade
from synth.masks import FlawParameters
from synth.noise import Numbers, normals, uniforms
from synth.spots import Spots, paint
from synth.stamps import extent, stamp
from synth.windows import Window, run

_KNOTS = 40
_BRANCHES = 3
_MOST_RADIUS = 6
"""Dots of a larger radius, in pixels, are drawn smaller and enlarged."""

_APART = 0.8
"""Distance of neighbouring dots in pixels, at most."""


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
    seed: Numbers


class Crack(Family[CrackParameters]):
    """Draws and paints cracks.

    Args:
        length: Range of the length, as a fraction of the image's shorter side.
        width: Range of the greatest width, in the same unit.
        depth: Range of the change of brightness, without its sign.
    """

    name: ClassVar[str] = "crack"
    parameters_class = CrackParameters

    def __init__(
        self,
        length: tuple[float, float] = (0.08, 1.2),
        width: tuple[float, float] = (0.004, 0.02),
        depth: tuple[float, float] = (0.2, 0.95),
    ) -> None:
        self.length = length
        self.width = width
        self.depth = depth

    def draw(self, generator: Generator, count: int, severity: Tensor | None = None) -> CrackParameters:
        """Draw a crack per image; four in five are dark."""
        draws = Draws(generator, count, severity)
        return CrackParameters(
            severity=draws.severity,
            start=draws.uniform(0, 1, 2),
            angle=draws.uniform(0, 2 * np.pi),
            length=draws.sized(*self.length),
            wander=draws.uniform(0.1, 2.0),
            jitter=draws.uniform(0.05, 0.6),
            width=draws.sized(*self.width),
            depth=draws.signed(*self.depth, negative=0.8),
            branches=np.maximum(draws.integers(0, 2 * _BRANCHES) - _BRANCHES, 0),
            seed=draws.seeds(),
        )

    def fractions(self, parameters: CrackParameters) -> Numbers:
        """Where the cracks begin."""
        return parameters.start

    def reach(self, parameters: CrackParameters, size: tuple[int, int]) -> Numbers:
        """As far as the farthest point of the walks."""
        points, radii = _knots(parameters, size)
        return ((np.abs(points) + radii[..., None] + 1) * (radii > 0)[..., None]).max(axis=(1, 2))

    def paint_in_place(self, spots: Spots, parameters: CrackParameters, context: Context) -> Numbers:
        """In one loop over the pixels."""
        points, radii = _knots(parameters, spots.size)
        thick = radii.max(axis=(1, 2)).astype(int) // _MOST_RADIUS > 1
        left, here = np.flatnonzero(thick), np.flatnonzero(~thick)
        if not len(here):
            return left
        some, amount = spots.some(here), parameters.depth[here]
        places = (points + spots.centre[:, None, None]).astype(np.float32)
        walks = zip(places[here], radii[here], np.abs(amount).tolist(), strict=True)
        dots = [_dots(knots[width[:, 0] > 0], width[width[:, 0] > 0], depth) for knots, width, depth in walks]
        colours = np.repeat(brightens(some, amount), spots.images.shape[1]).reshape(1, len(here), -1).repeat(2, axis=0)
        ends = np.cumsum([len(some_dots) for some_dots in dots])
        paint("paint_dots", some, ends, np.concatenate(dots), colours.astype(np.float32))
        return left

    def paint(self, window: Window, parameters: CrackParameters, context: Context) -> Tensor:
        """Darken or brighten the images along the walks."""
        return shade(window, _draw(window, *_knots(parameters, window.size)), parameters.depth)


def _knots(parameters: CrackParameters, size: tuple[int, int]) -> tuple[Numbers, Numbers]:
    """Walks as knots, the first of each crack from its start, then its branches.

    Returns:
        ``[B, W, K, 2]`` (x, y) in pixels from the start, and the radius ``[B, W, K]`` there; 0 draws nothing.
    """
    count = (_BRANCHES + 1) * 3 * _KNOTS
    rolls = normals(parameters.seed, count).reshape(-1, _BRANCHES + 1, 3, _KNOTS)
    chances = uniforms(parameters.seed + 1, _BRANCHES * 3).reshape(-1, _BRANCHES, 3)
    drift = parameters.wander[:, None, None] * rolls[:, :, 0].cumsum(axis=2) / np.float32(_KNOTS**0.5)
    turns = drift + parameters.jitter[:, None, None] * rolls[:, :, 1]

    length = parameters.length * min(size)
    start = np.zeros((len(length), 1, 2), np.float32)
    main = _walk(start, (parameters.angle[:, None] + turns[:, 0])[:, None], length[:, None])
    widths = (parameters.width * min(size))[:, None, None] * _taper(rolls[:, :, 2])

    where, aside, share = chances.transpose(2, 0, 1)
    knot = (where * np.float32(0.8 * _KNOTS)).astype(np.int64)
    rows = np.arange(len(length))[:, None]
    across = np.sign(rolls[:, 1:, 0, 0]) * (0.4 + 0.8 * aside)
    angle = parameters.angle[:, None] + drift[:, 0][rows, knot] + across
    branches = _walk(main[:, 0][rows, knot], angle[..., None] + turns[:, 1:], length[:, None] * (0.15 + 0.4 * share))
    thinner = 0.7 * widths[:, 0][rows, knot] / widths[:, 0, :1]
    drawn = np.arange(_BRANCHES) < parameters.branches[:, None]
    radii = np.concatenate([widths[:, :1], widths[:, 1:] * (thinner * drawn)[..., None]], axis=1) / 2
    return np.concatenate([main, branches], axis=1), radii


def _walk(start: Numbers, angles: Numbers, length: Numbers) -> Numbers:
    """Knots ``[B, W, K, 2]`` of walks of a length ``[B, W]`` from ``[B, W, 2]`` along directions ``[B, W, K]``."""
    steps = np.stack([np.cos(angles), np.sin(angles)], axis=-1) * (length / _KNOTS)[..., None, None]
    return start[:, :, None] + steps.cumsum(axis=2)


@lru_cache
def _opening() -> Numbers:
    """A crack opens within a few knots from its start, is widest there, and runs out slowly."""
    along = np.linspace(0, 1, _KNOTS, dtype=np.float32)
    return np.minimum(0.4 + 6 * along, 1) * (1 - 0.75 * along**2)


def _taper(rolls: Numbers) -> Numbers:
    """Relative width along walks ``[B, W, K]``: uneven, and thin at the ends."""
    padded = np.concatenate([rolls[..., :1], rolls[..., :1], rolls, rolls[..., -1:], rolls[..., -1:]], axis=-1)
    smooth = sum(padded[..., i : i + _KNOTS] for i in range(5)) / 5
    return _opening() * (0.75 + 0.6 * smooth).clip(0.25, 1.4)


def _draw(window: Window, points: Numbers, radii: Numbers) -> Tensor:
    """Draw walks, the widest counting where they meet; ``[B, 1, h, w]`` in 0..1, soft over a pixel at the edges.

    Thick ones are drawn smaller and enlarged, as dots of many pixels cost too much.
    """
    height, width = window.shape
    origin = np.stack([window.left, window.top], axis=1) - window.centre
    knots = (points - origin[:, None, None]).astype(np.float32)
    shrinks = np.maximum(radii.max(axis=(1, 2)).astype(int) // _MOST_RADIUS, 1)
    drawn = window.images.new_empty(len(knots), 1, height, width)
    for shrink in np.unique(shrinks).tolist():
        rows = np.flatnonzero(shrinks == shrink)
        places = (knots[rows] + np.float32(0.5)) / np.float32(shrink) - np.float32(0.5)
        walks = zip(places, radii[rows] / np.float32(shrink), strict=True)
        dots = [_along(one[width[:, 0] > 0], width[width[:, 0] > 0]) for one, width in walks]
        layers = np.arange(len(rows)).repeat([len(some) for some in dots])
        all_dots = np.concatenate(dots)
        small = window.images.new_zeros(len(rows), -(-height // shrink), -(-width // shrink))
        stamp(small, layers, all_dots[:, :2], all_dots[:, 2], np.ones(len(all_dots), np.float32))
        large = small[:, None]
        if shrink > 1:
            large = functional.interpolate(large, scale_factor=float(shrink), mode="bilinear")
        drawn[run(rows)] = large[..., :height, :width]
    return drawn


def _along(knots: Numbers, radii: Numbers) -> Numbers:
    """Places and radii ``[N, 3]`` of dots along walks ``[W, K, 2]`` with radii ``[W, K]``, in pixels."""
    steps = np.diff(knots, axis=1)
    between = max(2, math.ceil(float(np.sqrt((steps**2).sum(axis=-1).max())) / _APART))
    return _resample(np.concatenate([knots, radii[..., None]], axis=-1), between).reshape(-1, 3)


def _dots(knots: Numbers, radii: Numbers, strength: float) -> Numbers:
    """Dots along the walks ``[W, K, 2]`` of one crack with radii ``[W, K]``, for ``synth.kernels.paint_dots``."""
    places = _along(knots, radii)
    dots = np.zeros((len(places), 5), np.float32)
    dots[:, :2], dots[:, 2], dots[:, 3] = places[:, :2], extent(places[:, 2]), strength
    return dots


def _resample(values: Numbers, between: int) -> Numbers:
    """Put ``between`` points between neighbouring knots of ``[W, K, D]``."""
    steps = (np.arange(between, dtype=np.float32) / np.float32(between))[:, None]
    start, end = values[:, :-1, None], values[:, 1:, None]
    return (start + steps * (end - start)).reshape(len(values), -1, values.shape[2]).astype(np.float32)
