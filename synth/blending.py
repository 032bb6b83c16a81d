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
