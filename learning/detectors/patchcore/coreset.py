"""A few rows that stand for many: greedy k-centre, on a random projection."""

import math
import time

import torch
from torch import Generator, Tensor

from learning.progress import Progress, silent

_TOLD = 100
"""Rows chosen between two reports of progress, and between two looks at the clock."""


def project(rows: Tensor, dimensions: int, generator: Generator) -> Tensor:
    """Random projection that nearly keeps distances (Johnson & Lindenstrauss, 1984).

    Args:
        rows: ``[N, D]``.
        dimensions: d; rows that have no more are left as they are.
        generator: Draws the projection.

    Returns:
        ``[N, d]``.
    """
    width = rows.shape[1]
    if width <= dimensions:
        return rows
    directions = torch.randn(width, dimensions, generator=generator) / math.sqrt(dimensions)
    return rows @ directions.to(rows)


def greedy_coreset(
    rows: Tensor,
    count: int,
    generator: Generator,
    dimensions: int = 128,
    deadline: float | None = None,
    progress: Progress = silent,
) -> Tensor:
    """Choose rows so that the farthest of the others is near, one after another (Gonzalez, 1985).

    Each is the one farthest from those chosen before, so that it can be ended at any time; the largest distance is at
    most twice the best that any choice of as many rows has.

    Args:
        rows: ``[N, D]``.
        count: How many to choose.
        generator: Draws the projection and the first row.
        dimensions: Distances are taken after a random projection to so many.
        deadline: Ends it, by ``time.monotonic``.
        progress: Told how far it is.

    Returns:
        ``[count]`` indices, in the order of choice; fewer when time ran out.
    """
    projected = project(rows, dimensions, generator)
    squares = projected.square().sum(dim=1)
    chosen = [int(torch.randint(len(rows), (1,), generator=generator))]
    nearest = torch.full((len(rows),), torch.inf, device=rows.device)
    while len(chosen) < min(count, len(rows)):
        last = chosen[-1]
        # |a - b|² = |a|² - 2 a·b + |b|²: one product of the matrix with a vector.
        torch.minimum(nearest, squares - 2 * (projected @ projected[last]) + squares[last], out=nearest)
        nearest[last] = -torch.inf
        chosen.append(int(nearest.argmax()))
        if len(chosen) % _TOLD == 0:
            progress(len(chosen), count, "choosing places to remember")
            if deadline and time.monotonic() > deadline:
                break
    return torch.tensor(chosen)
