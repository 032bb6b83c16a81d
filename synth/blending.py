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

import torch
from torch import Tensor
from torch.nn import functional

_WEIGHTS = (1.39, 0.562)
"""Of a pair of Jacobi steps, so that of what is too rough for the next coarser grid at most 22 % is left."""

_COARSEST = 4
"""Grids with a side of so many cells are solved by relaxing alone."""

_LARGEST = 256
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
    return torch.where(inside, source + membrane(target - source, unknown), target)


def membrane(values: Tensor, unknown: Tensor) -> Tensor:
    """Fill what is unknown by the smoothest function that fits its border: the solution of Laplace's equation.

    Args:
        values: ``[B, C, h, w]``; what they are where unknown does not matter.
        unknown: ``[B, 1, h, w]`` bool. At the edges of the picture the slope is 0.

    Returns:
        ``[B, C, h, w]``: the values where known; in a row where nothing is known, 0.
    """
    grid = (torch.where(unknown, 0.0, values), (~unknown).to(values))
    skipped = []
    while max(grid[0].shape[-2:]) > _LARGEST:
        skipped.append(grid[0])
        grid = _coarser(*grid)
    grids = [grid]
    while min(grids[-1][0].shape[-2:]) > _COARSEST:
        grids.append(_coarser(*grids[-1]))
    known, weight = grids[-1]
    mean = (known * weight).sum(dim=(-2, -1), keepdim=True) / weight.sum(dim=(-2, -1), keepdim=True).clamp_min(1e-9)
    filled = mean.expand_as(known)
    frees = [(weight == 0).to(values) for _, weight in grids]
    for level in reversed(range(len(grids))):
        known, weight = grids[level]
        if filled.shape != known.shape:
            filled = _finer(filled, known)
        filled = _cycle(torch.where(weight > 0, known, filled), None, frees[level:])
    for coarse in reversed(skipped):
        filled = _finer(filled, coarse)
    return torch.where(unknown, filled, values)


def _cycle(values: Tensor, right: Tensor | None, frees: Sequence[Tensor]) -> Tensor:
    """One V-cycle for Laplace's equation, or Poisson's with a right side, where ``frees[0]`` is 1; in place."""
    free = frees[0]
    if len(frees) == 1:
        return _relax(values, right, free, _COARSEST)
    _relax(values, right, free, 1)
    coarse = functional.avg_pool2d(_residual(values, right).mul_(free), 2, ceil_mode=True).mul_(4)
    error = _cycle(torch.zeros_like(coarse), coarse, frees[1:])
    values.addcmul_(_finer(error, values), free)
    return _relax(values, right, free, 1)


def _relax(values: Tensor, right: Tensor | None, free: Tensor, times: int) -> Tensor:
    """Jacobi steps with Chebyshev's weights, in place: what is rough in the error goes."""
    for _ in range(times):
        for weight in _WEIGHTS:
            values.addcmul_(_residual(values, right), free, value=weight / 4)
    return values


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
