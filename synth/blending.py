"""Gradient-domain blending, batched and on the images' device (Pérez et al., "Poisson Image Editing", 2003).

Pasting with the source's gradients and the target's border is pasting the source plus the harmonic function that takes
the difference of the two on the border (the membrane). It is found by cascadic multigrid (Bornemann & Deuflhard, 1996):
solved on a coarse grid, interpolated, relaxed, and so on to the finest. The number of steps is fixed, and every row is
solved by itself, so that the same inputs give the same pixels whatever shares the batch.

Not ``cv2.seamlessClone``: it takes one image of 8 bits at a time on the CPU, so 16-bit parts, a GPU and a batch are out
of its reach. kornia has no Poisson solver.
"""

import torch
from torch import Tensor
from torch.nn import functional

_STEPS = 16
"""Steps of conjugate gradients on each grid: mostly within 1 grey level of the exact solution where the border is
smooth; where it is noisy, within a fifth of the noise."""

_TINY = 1e-12
"""Below this nothing can be seen any more, and numbers would only grow too small for the processor."""

_COARSEST = 4


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
    for known, weight in reversed(grids):
        if filled.shape != known.shape:
            filled = _finer(filled, known)
        fixed = weight > 0
        filled = torch.where(fixed, known, filled)
        filled = _relax(filled, (~fixed).to(filled))
    for coarse in reversed(skipped):
        filled = _finer(filled, coarse)
    return torch.where(unknown, filled, values)


def _relax(values: Tensor, free: Tensor) -> Tensor:
    """Conjugate gradients for Laplace's equation where ``free`` is 1, each channel of each row by itself."""
    residual = direction = free * _laplace(values)
    power = _total(residual.square())
    for _ in range(_STEPS):
        image = -free * _laplace(direction)
        length = power / _total(direction * image).clamp_min(_TINY)
        values = values + length * direction
        residual = residual - length * image
        before, power = power, _total(residual.square())
        direction = residual + power / before.clamp_min(_TINY) * direction
    return values


def _total(values: Tensor) -> Tensor:
    """Sum over each channel of each row, in double precision: its order, which depends on the batch, must not count."""
    return values.double().sum(dim=(-2, -1), keepdim=True).to(values)


def _coarser(known: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Values and weights at half the resolution; a cell is known where any of its four is."""
    total = functional.avg_pool2d(weight, 2, ceil_mode=True)
    sums = functional.avg_pool2d(known * weight, 2, ceil_mode=True)
    return sums / total.clamp_min(1e-9), total


def _finer(values: Tensor, like: Tensor) -> Tensor:
    """Values at twice the resolution; the last cells reach beyond a grid with an odd number of lines."""
    doubled = functional.interpolate(values, scale_factor=2, mode="bilinear", align_corners=False)
    return doubled[..., : like.shape[-2], : like.shape[-1]]


def _laplace(values: Tensor) -> Tensor:
    """Sum of the differences to the four neighbours; across the edges of the picture there is none."""
    padded = functional.pad(values, (1, 1, 1, 1), mode="replicate")
    across = padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:]
    return across + padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1] - 4 * values
