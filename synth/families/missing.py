"""Missing features: a structure of the part is gone, and its surroundings go on in its place.

The place is filled with what lies beside it, brought to the colours around the hole by a membrane: a field that is
smooth inside and equals the difference at the rim (as in Perez et al., "Poisson image editing", 2003). Methods that
inpaint pixel by pixel (``cv2.inpaint``, biharmonic equations) leave a blur without texture that is seen at once, and
work on one picture at a time, in 8 bits or very slowly.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional

from synth.compiled import kernels, usable
from synth.devices import places
from synth.draws import Draws
from synth.families.base import Context, Family
from synth.families.shading import shade
from synth.ground import Ground
from synth.masks import RegionParameters, draw_region, half_axes, region, region_reach
from synth.noise import Numbers
from synth.sources import displaced
from synth.windows import Window, cut_out, run

_CANDIDATES = 12
"""Places that are drawn; the one with most structure is taken."""

_DIRECTIONS = 8
"""Places around it that may go on in its place."""

_SEEN = 12
"""Pixels along a side that are looked at to choose a place."""

_MEMBRANE = 24
"""Points of the membrane along a side."""


@dataclass(frozen=True, kw_only=True)
class MissingParameters(RegionParameters):
    """One missing feature per image.

    Attributes:
        candidates: ``[B, 12, 2]`` places on the part, (x, y) in 0..1, that with most structure is taken; see
            ``Ground.place``. ``centre`` is the first of them.
        share: ``[B]`` how much of the feature is gone, 0..1.
        mark: ``[B]`` change of brightness that is left where it was, as on a part without any structure nothing else
            could be seen.
    """

    candidates: Numbers
    share: Numbers
    mark: Numbers


class Missing(Family[MissingParameters]):
    """Draws places with structure and fills them from their surroundings.

    Args:
        size: Range of half the longer axis, as a fraction of the image's shorter side.
        share: Range of the share that is gone.
    """

    name: ClassVar[str] = "missing"
    parameters_class = MissingParameters

    def __init__(self, size: tuple[float, float] = (0.008, 0.14), share: tuple[float, float] = (0.2, 1.0)) -> None:
        self.size = size
        self.share = share

    def draw(self, generator: Generator, count: int, severity: Tensor | None = None) -> MissingParameters:
        """Draw a hole per image."""
        draws = Draws(generator, count, severity)
        candidates = draws.uniform(0, 1, _CANDIDATES, 2)
        shape = draw_region(draws, self.size, aspect=(0.5, 1.0), softness=(0.1, 0.4), square=0.3)
        shape.update(centre=candidates[:, 0], roughness=draws.uniform(0.0, 0.25))
        return MissingParameters(
            **shape,
            candidates=candidates,
            share=draws.strong(*self.share),
            mark=draws.signed(0.015, 0.06, negative=0.5),
        )

    def locate(self, parameters: MissingParameters, ground: Ground, pictures: Tensor, rows: Numbers) -> Numbers:
        """The candidate around which the good picture varies most."""
        count = len(rows)
        middles = ground.place(rows.repeat(_CANDIDATES), parameters.candidates.reshape(-1, 2))
        middles = middles.reshape(count, _CANDIDATES, 2)
        seen = _seen(pictures, rows, middles, 1.2 * half_axes(parameters, ground.size)[0])
        best = seen.std(dim=(-2, -1)).mean(dim=2).argmax(dim=1).cpu().numpy()
        return middles[np.arange(count), best]

    def reach(self, parameters: MissingParameters, size: tuple[int, int]) -> Numbers:
        """As far as the hole, and a rim around it that the membrane is fastened to."""
        return 1.25 * region_reach(parameters, size) + 2

    def paint(self, window: Window, parameters: MissingParameters, context: Context) -> Tensor:
        """Fill the hole."""
        away, trust = _beside(window, parameters)
        filling = displaced(window, -away).mul_(window.column(trust)).add_(_membrane(window, parameters, away, trust))
        inside = region(parameters, window)
        share = inside * window.column(parameters.share)
        # What earlier flaws changed stays, as it is not of the part.
        filled = window.images + (filling - window.good) * share
        return shade(replace(window, images=filled), inside, parameters.mark)


def _seen(pictures: Tensor, of: Numbers, middles: Numbers, half: Numbers) -> Tensor:
    """Pixels on a square lattice around places of each picture.

    Args:
        pictures: ``[B, C, H, W]``.
        of: ``[N]`` int64, which of them.
        middles: ``[N, K, 2]`` (x, y) in pixels.
        half: ``[N]`` half the side of the squares, in pixels.

    Returns:
        ``[N, K, C, 12, 12]``; the outermost pixels are repeated.
    """
    height, width = pictures.shape[-2:]
    count = middles.shape[1]
    steps = half[:, None, None].astype(np.float32) * np.linspace(-1, 1, _SEEN, dtype=np.float32)
    columns, rows = ((middles[:, :, i, None].astype(np.float32) + steps).round() for i in (0, 1))
    across, down = (
        lines.clip(0, length - 1).astype(np.int64).reshape(-1, _SEEN)
        for lines, length in ((columns, width), (rows, height))
    )
    return pictures[places(pictures, of.repeat(count), down, across)].unflatten(0, (-1, count))


def _beside(window: Window, parameters: MissingParameters) -> tuple[Numbers, Numbers]:
    """How far away the filling is taken from, in pixels ``[B, 2]`` (x, y) int64, and how much of it, ``[B]`` 0.3..1.

    Of the places around the hole the one that has least structure, and whose rim is most like the rim of the hole. If
    it has much structure too, which would be a feature in the place of another, most of it is left out.
    """
    longer, _ = half_axes(parameters, window.size)
    turns = np.arange(_DIRECTIONS, dtype=np.float32) * np.float32(2 * np.pi / _DIRECTIONS)
    directions = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    away = (directions * (np.float32(2.2) * longer + 3)[:, None, None]).round().astype(np.int64)
    # The whole box must lie in the picture there.
    start, side = window.boxes[:, None, :2], window.boxes[:, None, 2:]
    away = np.minimum(np.maximum(away, -start), np.array([window.size[1], window.size[0]]) - side - start)
    middles = np.concatenate([window.centre[:, None], window.centre[:, None] + away], axis=1)
    seen = _seen(window.batch, window.of, middles, np.float32(1.4) * longer)
    here, there = seen[:, :1], seen[:, 1:]
    rim = window.tensor(_rim())
    unlike = ((here - there).abs() * rim).sum(dim=(-2, -1)) / rim.sum()
    structure = seen.std(dim=(-2, -1)).mean(dim=2).cpu().numpy()
    score = unlike.mean(dim=2).cpu().numpy() + structure[:, 1:]
    # At a border places are moved, and may lie over the hole itself.
    score += 4 * np.maximum(1 - np.hypot(*np.moveaxis(away, 2, 0)) / (2 * longer[:, None]), 0)
    row, best = np.arange(len(away)), score.argmin(axis=1)
    ratio = structure[row, 1 + best] / np.maximum(structure[:, 0], 1e-4)
    return away[row, best], (1.75 - 2.5 * ratio).clip(0.3, 1)


@lru_cache
def _rim() -> Numbers:
    """Points of the lattice that lie around a hole, ``[12, 12]``, 0 or 1."""
    steps = np.linspace(-1.4, 1.4, _SEEN, dtype=np.float32)
    return (np.hypot(steps[:, None], steps) > 1).astype(np.float32)


def _membrane(window: Window, parameters: MissingParameters, away: Numbers, trust: Numbers) -> Tensor:
    """What the filling lacks of the colours at the rim of the hole, smooth inside; ``[B, C, h, w]``.

    The difference is taken at 24 x 24 points of the flaw's box, from means; inside the hole each point is the mean over
    all points outside, weighted by the inverse of the distance, cubed (Shepard, 1968).
    """
    lacking = window.images.new_empty(*window.images.shape[:2], _MEMBRANE, _MEMBRANE)
    sides = window.boxes[:, 2] * 2**32 + window.boxes[:, 3]
    for side in np.unique(sides):
        rows = np.flatnonzero(sides == side)
        here, there = (
            _means(cut_out(window.batch, window.of[rows], boxes))
            for boxes in (window.boxes[rows], window.boxes[rows] + np.pad(away[rows], ((0, 0), (0, 2))))
        )
        lacking[run(rows)] = here - window.column(trust[rows]) * there
    difference = lacking.flatten(2)
    outside = window.tensor(_outside(window, parameters))
    near = _nearness().to(difference)
    filled = (difference * outside) @ near / (outside @ near).clamp_min(1e-9)
    membrane = filled.view(*filled.shape[:2], _MEMBRANE, _MEMBRANE)
    across, down = (window.tensor(_spread(window, axis))[:, None] for axis in (0, 1))
    return down @ membrane @ across.mT


def _means(pixels: Tensor) -> Tensor:
    """Means of pixels ``[B, C, h, w]`` at the points of the membrane, ``[B, C, 24, 24]``."""
    if not usable(pixels):
        return functional.adaptive_avg_pool2d(pixels, _MEMBRANE)
    means = np.empty((*pixels.shape[:2], _MEMBRANE, _MEMBRANE), np.float32)
    kernels().shrink(pixels.numpy(), means)
    return torch.from_numpy(means)


def _outside(window: Window, parameters: MissingParameters) -> Numbers:
    """Points of the membrane that surely lie outside the hole, ``[B, 1, 24 * 24]`` bool."""
    place = (np.arange(_MEMBRANE) + 0.5) / _MEMBRANE
    start, side = window.boxes[:, :2, None], window.boxes[:, 2:, None]
    x, y = (start + place * side - window.centre[:, :, None]).transpose(1, 0, 2)
    longer, shorter = half_axes(parameters, window.size)
    cos, sin = np.cos(parameters.angle)[:, None, None], np.sin(parameters.angle)[:, None, None]
    u = np.abs(x[:, None, :] * cos + y[:, :, None] * sin) / longer[:, None, None]
    v = np.abs(y[:, :, None] * cos - x[:, None, :] * sin) / shorter[:, None, None]
    distance = np.where(parameters.square[:, None, None], np.maximum(u, v), np.hypot(u, v))
    grown = 1 + 0.5 * parameters.roughness + 0.5 * np.maximum(parameters.softness, 1 / shorter)
    return (distance > grown[:, None, None]).reshape(len(grown), 1, -1)


@lru_cache
def _nearness() -> Tensor:
    """Weight of every point of the membrane at every other, ``[24 * 24, 24 * 24]``."""
    line = torch.arange(float(_MEMBRANE))
    points = torch.cartesian_prod(line, line)
    return (torch.cdist(points, points).square() + 1) ** -1.5


def _spread(window: Window, axis: int) -> Numbers:
    """Weight of the membrane's points at pixels of the window, along x (0) or y (1); ``[B, w or h, 24]``."""
    length = window.shape[1 - axis]
    first = (window.left, window.top)[axis]
    start, side = window.boxes[:, axis, None], window.boxes[:, axis + 2, None]
    pixels = first[:, None] + np.arange(length) + 0.5 - start
    places = (pixels * (_MEMBRANE / side) - 0.5).clip(0, _MEMBRANE - 1)
    return np.maximum(1 - np.abs(places[:, :, None] - np.arange(_MEMBRANE)), 0)
