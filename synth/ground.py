"""Where flaws are allowed: places on the part, at its contour, and what lies outside."""

from collections.abc import Callable
from functools import cached_property, reduce

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from synth.compiled import kernels, usable
from synth.devices import onto
from synth.noise import Numbers

_SEEN_AROUND = 8
"""Steps from a place at the contour outwards, to see where the part is."""

_BACKGROUND = 64
"""Places along a side at which the background's colour is taken."""


class Ground:
    """Where flaws are allowed on each image of a batch.

    Args:
        mask: ``[B, 1, H, W]``, 0 or 1, each with at least a pixel; None is everywhere.
        size: Height and width.
    """

    def __init__(self, mask: Tensor | None, size: tuple[int, int]) -> None:
        self.mask = mask
        self.size = size

    @cached_property
    def _mass(self) -> Numbers:
        """Pixels in all rows up to each, ``[B, H]``."""
        assert self.mask is not None
        return self.mask[:, 0].sum(dim=2).double().cumsum(dim=1).cpu().numpy()

    @cached_property
    def _planes(self) -> Numbers:
        assert self.mask is not None
        return self.mask.contiguous().numpy()

    def place(self, rows: Numbers, fractions: Numbers) -> Numbers:
        """Turn fractions into places where flaws are allowed: uniformly if the fractions are uniform.

        Args:
            rows: ``[N]`` int64, which images.
            fractions: ``[N, 2]`` (x, y) in 0..1.

        Returns:
            ``[N, 2]`` (x, y) in pixels, float32.
        """
        if self.mask is None:
            height, width = self.size
            return np.floor(_within(fractions) * (width, height)).astype(np.float32)
        if usable(self.mask):
            places = np.empty((len(rows), 2), np.float32)
            kernels().place(self._planes, self._mass, rows, _within(fractions), places)
            return places
        masks = self.mask[:, 0]
        return _place(self._mass[rows], lambda y: _at(masks, rows, y), fractions)

    def place_at_border(self, rows: Numbers, fractions: Numbers) -> Numbers:
        """As ``place``, on the outermost pixels: those beside the background or at the picture's border."""
        if self.mask is None:
            height, width = self.size
            lines = np.full((1, height), 2.0)
            lines[:, [0, -1]] = width
            ends = np.zeros(width)
            ends[[0, -1]] = 1
            return _place(
                lines.cumsum(axis=1), lambda y: np.where(((y == 0) | (y == height - 1))[:, None], 1.0, ends), fractions
            )
        if usable(self.mask):
            places = np.empty((len(rows), 2), np.float32)
            kernels().place_at_border(self._planes, rows, _within(fractions), places)
            return places
        # A byte for a pixel: there are many, and little is done with each.
        ring = border((self.mask if len(self.mask) == len(rows) else _some(self.mask, rows)).byte())[:, 0]
        mass = ring.sum(dim=2).cpu().numpy().cumsum(axis=1, dtype=np.float64)
        return _place(mass, lambda y: _at(ring, np.arange(len(rows)), y), fractions)

    def background(self, images: Tensor, rows: Numbers) -> tuple[Numbers, Numbers]:
        """Mean colour ``[N, C]`` of what is outside, and whether there is any, ``[N]`` bool."""
        if self.mask is None:
            return np.zeros((len(rows), images.shape[1]), np.float32), np.zeros(len(rows), bool)
        step = max(1, min(self.size) // _BACKGROUND)
        if usable(self.mask) and usable(images):
            means, found = np.empty((len(rows), images.shape[1]), np.float32), np.empty(len(rows), bool)
            kernels().mean_outside(images.contiguous().numpy(), self._planes, rows, step, means, found)
            return means, found
        outside = 1 - _some(self.mask[:, :, ::step, ::step], rows)
        colour = mean_inside(_some(images[:, :, ::step, ::step], rows), outside)
        return colour.flatten(1).float().cpu().numpy(), (outside.amax(dim=(1, 2, 3)) > 0).cpu().numpy()

    def inward(self, rows: Numbers, centre: Numbers, reach: Numbers) -> Numbers:
        """Direction from places at the contour into the part.

        Args:
            rows: ``[N]`` int64, which images.
            centre: ``[N, 2]`` (x, y) in pixels, on the contour.
            reach: ``[N]`` how far around to look, in pixels.

        Returns:
            ``[N]`` radians.
        """
        grid = np.linspace(-1, 1, 2 * _SEEN_AROUND + 1, dtype=np.float32)
        steps = grid * np.maximum(reach, 2).astype(np.float32)[:, None]
        x, y = ((centre[:, i, None] + steps).round().astype(np.int64) for i in (0, 1))
        height, width = self.size
        inside = ((y >= 0) & (y < height))[:, :, None] & ((x >= 0) & (x < width))[:, None, :]
        if self.mask is not None:
            down, across = y.clip(0, height - 1)[:, :, None], x.clip(0, width - 1)[:, None, :]
            inside = inside & (_at(self.mask[:, 0], rows[:, None, None], down, across) > 0)
        near = inside & (grid[:, None] ** 2 + grid**2 <= 1)
        across, down = (near.sum(axis=axis).astype(np.float32) @ grid for axis in (1, 2))
        return np.arctan2(down, across)


def _within(fractions: Numbers) -> Numbers:
    return np.minimum(np.maximum(fractions.astype(np.float64), 0), 1 - 1e-9)


def _place(down: Numbers, line: Callable[[Numbers], Numbers], fractions: Numbers) -> Numbers:
    """Places ``[N, 2]`` in masks, from the pixels ``[N, H]`` in all lines up to each, and what lines ``[N]`` hold."""
    wanted = _within(fractions)
    y = _first_above(down, wanted[:, 1])
    x = _first_above(line(y).cumsum(axis=1, dtype=np.float64), wanted[:, 0])
    return np.stack([x, y], axis=1).astype(np.float32)


def _first_above(mass: Numbers, share: Numbers) -> Numbers:
    """The first of ``mass [N, L]``, ascending, that is above a share ``[N]`` of the last; ``[N]``."""
    return np.minimum((mass <= (share * mass[:, -1])[:, None]).sum(axis=1), mass.shape[1] - 1)


def _at(planes: Tensor, *index: Numbers) -> Numbers:
    """Pixels picked out of a batch of planes."""
    return planes[tuple(onto(places, planes.device) for places in index)].cpu().numpy()


def _some(images: Tensor, rows: Numbers) -> Tensor:
    """Some images of a batch."""
    return images[onto(rows, images.device)]


def border(foreground: Tensor) -> Tensor:
    """Outermost pixels of the foreground, the image's border included; ``[B, 1, H, W]``, 0 or 1."""
    around = functional.pad(foreground, (1, 1, 1, 1))
    # Of lines of three, then of columns of them: much faster than pooling.
    for axis in (-2, -1):
        length = around.shape[axis] - 2
        lines = (around.narrow(axis, start, length) for start in range(3))
        around = reduce(torch.minimum, lines)
    return foreground - around


def mean_inside(images: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean of each channel, ``[B, C, 1, 1]``; summed in double precision so that a batch changes nothing."""
    total = weights.double().sum(dim=(-2, -1), keepdim=True).clamp_min(1e-9)
    return ((images * weights).double().sum(dim=(-2, -1), keepdim=True) / total).to(images)
