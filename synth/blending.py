"""Gradient-domain blending, batched and on the images' device (Pérez et al., "Poisson Image Editing", 2003).

Pasting with the source's gradients and the target's border is pasting the source plus the harmonic function that takes
the difference of the two on the border (the membrane). It is found by full multigrid (Brandt, "Multi-level adaptive
solutions to boundary-value problems", 1977): solved on a coarse grid, interpolated, corrected by a V-cycle, and so on
to the finest; mostly within 1 grey level of the exact solution. The number of steps is fixed and no sum runs over a
picture, so that the same inputs give the same pixels whatever shares the batch.

Not ``cv2.seamlessClone``: it takes one image of 8 bits at a time on the CPU, so 16-bit parts, a GPU and a batch are out
of its reach. kornia has no Poisson solver.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from synth.compiled import multigrid, usable

_WEIGHTS = (1.39, 0.562)
"""Of a pair of Jacobi steps, so that of what is too rough for the next coarser grid at most 22 % is left."""

_COARSEST = 64
"""Cells of a grid that is solved directly."""

_LARGEST = 128
"""Sides of membranes; larger ones are solved on a coarser grid, as they are smooth but for their very border."""


def poisson_blend(target: Tensor, source: Tensor, inside: Tensor, part: Tensor | None = None) -> Tensor:
    """Paste a source so that its light goes over into the target's at the border.

    Args:
        target: ``[B, C, h, w]``.
        source: ``[B, C, h, w]``.
        inside: ``[B, 1, h, w]`` bool, what is pasted. Where it meets the edge of the picture there is nothing to fit
            to, and the source runs on as it is; a row that is inside everywhere gives the source.
        part: ``[B, 1, h, w]`` bool, where the target is the part: only that is fitted to. None is everywhere.

    Returns:
        ``[B, C, h, w]``: the target outside; inside the gradients of the source, with the target's values around.
    """
    unknown = inside if part is None else inside | ~part
    # Sums and quotients of multigrid are beyond half precision.
    light = membrane((target - source).float(), unknown).to(source)
    return torch.where(inside, source + light, target)


def membrane(values: Tensor, unknown: Tensor) -> Tensor:
    """Fill what is unknown by the smoothest function that fits its border: the solution of Laplace's equation.

    Args:
        values: ``[B, C, h, w]``; what they are where unknown does not matter.
        unknown: ``[B, 1, h, w]`` bool. At the edges of the picture the slope is 0.

    Returns:
        ``[B, C, h, w]``: the values where known; in a row where nothing is known, 0.
    """
    if usable(values):
        smooth = np.empty(values.shape, np.float32)
        arrays = values.contiguous().numpy(), unknown.contiguous().numpy()
        multigrid().fill_smoothly(*arrays, _LARGEST, _COARSEST, smooth)
        return torch.from_numpy(smooth)
    grid = (torch.where(unknown, 0.0, values), (~unknown).to(values))
    skipped = []
    while max(grid[0].shape[-2:]) > _LARGEST:
        skipped.append(grid[0])
        grid = _coarser(*grid)
    grids = [grid]
    while grids[-1][0][0, 0].numel() > _COARSEST:
        grids.append(_coarser(*grids[-1]))
    frees = [(weight == 0).to(values) for _, weight in grids]
    inverse = _inverse(frees[-1])
    filled = _solve(inverse, grids[-1][0])
    for level in reversed(range(len(grids) - 1)):
        known, weight = grids[level]
        filled = torch.where(weight > 0, known, _finer(filled, known))
        _cycle(filled, None, frees[level:], inverse)
    for coarse in reversed(skipped):
        filled = _finer(filled, coarse)
    return torch.where(unknown, filled, values)


class PiecewiseMembrane:
    """A membrane over a box that is too large to be held: told, and asked for, piece by piece.

    It is solved at the resolution that ``membrane`` solves windows of that size at, so that it is nearly the same one.

    Args:
        channels: Of the values.
        size: Height and width of the box.
        like: Tensor of the type and on the device of the values.
    """

    def __init__(self, channels: int, size: tuple[int, int], like: Tensor) -> None:
        self.cell = 2 ** max(0, (max(size) - 1) // _LARGEST).bit_length()
        """Pixels along the sides of a cell; pieces other than the last ones are whole numbers of it."""
        height, width = (-(-length // self.cell) for length in size)
        self._sums = like.new_zeros(1, channels, height, width)
        self._known = like.new_zeros(1, 1, height, width)
        self._smooth = self._sums

    def add(self, values: Tensor, known: Tensor, left: int, top: int) -> None:
        """Tell what is known in a piece; what nothing is told of is unknown.

        Args:
            values: ``[1, C, h, w]``.
            known: ``[1, 1, h, w]``, 0 or 1.
            left: First column of the piece in the box, a whole number of cells.
            top: First row, likewise.
        """
        height, width = (-(-length // self.cell) for length in values.shape[-2:])
        there = (
            ...,
            slice(top // self.cell, top // self.cell + height),
            slice(left // self.cell, left // self.cell + width),
        )
        for total, part in ((self._sums, values * known), (self._known, known)):
            beyond = (0, width * self.cell - part.shape[-1], 0, height * self.cell - part.shape[-2])
            total[there] = functional.avg_pool2d(functional.pad(part, beyond), self.cell)

    def solve(self) -> None:
        """Fill what is unknown, once everything is told."""
        self._smooth = membrane(self._sums / self._known.clamp_min(1e-9), self._known == 0)

    def at(self, left: int, top: int, height: int, width: int) -> Tensor:
        """The membrane in a piece, ``[1, C, h, w]``, where things are known and where not."""
        smooth = self._smooth
        for dim, first, length in ((-2, top, height), (-1, left, width)):
            along = (torch.arange(first, first + length, device=smooth.device) + 0.5) / self.cell - 0.5
            along = along.clamp(0, smooth.shape[dim] - 1)
            low = along.long()
            high = (low + 1).clamp_max(smooth.shape[dim] - 1)
            share = (along - low).to(smooth)
            smooth = torch.lerp(
                smooth.index_select(dim, low), smooth.index_select(dim, high), share if dim == -1 else share[:, None]
            )
        return smooth


def _cycle(values: Tensor, right: Tensor | None, frees: Sequence[Tensor], inverse: Tensor) -> None:
    """One V-cycle for Laplace's equation, or Poisson's with a right side, where ``frees[0]`` is 1; in place."""
    free, *coarser = frees
    _relax(values, right, free)
    coarse = functional.avg_pool2d(_residual(values, right).mul_(free), 2, ceil_mode=True).mul_(4 * coarser[0])
    if len(coarser) == 1:
        error = _solve(inverse, coarse.neg_())
    else:
        error = torch.zeros_like(coarse)
        _cycle(error, coarse, coarser, inverse)
    values.addcmul_(_finer(error, values), free)
    _relax(values, right, free)


def _relax(values: Tensor, right: Tensor | None, free: Tensor) -> None:
    """A pair of Jacobi steps, in place: what is rough in the error goes."""
    for weight in _WEIGHTS:
        values.addcmul_(_residual(values, right), free, value=weight / 4)


def _inverse(free: Tensor) -> Tensor:
    """Of the equations of a small grid: Laplace's where ``free [B, 1, h, w]`` is 1; ``[B, h * w, h * w]``."""
    unit = torch.eye(free[0].numel(), dtype=torch.float64, device=free.device)
    # Where nothing is known, any constant would do: a little of the values themselves makes that 0.
    laplace = _residual(unit.view(-1, *free.shape[1:]), None).view_as(unit) - 1e-9 * unit
    return torch.linalg.inv(torch.where(free.flatten(1)[:, :, None] > 0, laplace, unit)).to(free)


def _solve(inverse: Tensor, right: Tensor) -> Tensor:
    return (right.flatten(2) @ inverse.mT).view_as(right)


def _residual(values: Tensor, right: Tensor | None) -> Tensor:
    """The right side, 0 for None, plus the sum of the differences to the four neighbours, none across the edges."""
    padded = functional.pad(values, (1, 1, 1, 1), mode="replicate")
    total = padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:]
    total.add_(padded[..., :-2, 1:-1]).add_(padded[..., 2:, 1:-1]).sub_(values, alpha=4)
    return total if right is None else total.add_(right)


def _coarser(known: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Values and weights at half the resolution; a cell is known where any of its four is."""
    total = functional.avg_pool2d(weight, 2, ceil_mode=True)
    sums = functional.avg_pool2d(known * weight, 2, ceil_mode=True)
    return sums / total.clamp_min(1e-9), total


def _finer(values: Tensor, like: Tensor) -> Tensor:
    """Values at twice the resolution; the last cells reach beyond a grid with an odd number of lines."""
    doubled = functional.interpolate(values, scale_factor=2, mode="bilinear", align_corners=False)
    return doubled[..., : like.shape[-2], : like.shape[-1]]
