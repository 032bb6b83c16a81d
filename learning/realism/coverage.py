"""Which samples lie within the manifold of others, and which neighbours they have."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NEIGHBOURS = 3
"""As in the paper."""


def distances(x: Floats, y: Floats, x_groups: Sequence[str], y_groups: Sequence[str]) -> Floats:
    """Euclidean distances of rows ``[N, D]`` and ``[M, D]``: ``[N, M]``, infinite between rows of one group."""
    squares = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1)[None] - 2 * x @ y.T
    apart: Floats = np.sqrt(np.maximum(squares, 0))
    apart[np.array(x_groups, dtype=str)[:, None] == np.array(y_groups, dtype=str)[None]] = np.inf
    return apart


def within_manifold(between: Floats, inside: Floats, neighbours: int = NEIGHBOURS) -> NDArray[np.bool_] | None:
    """Which samples lie in the manifold of a reference (Kynkäänniemi et al., 2019, arXiv 1904.06991, equation 1).

    The manifold is the union of balls around the reference's samples, each as wide as the way to its third nearest
    neighbour among them. The share of real samples in the synthetic manifold is the recall, that of synthetic ones
    in the real manifold the precision.

    Args:
        between: ``[N, M]`` distances of the samples to the reference.
        inside: ``[M, M]`` distances within the reference, infinite on the diagonal and within a group.
        neighbours: Which neighbour's distance makes the radius.

    Returns:
        ``[N]``, or None where no sample of the reference has so many neighbours.
    """
    if inside.shape[1] < neighbours:
        return None
    radii = np.partition(inside, neighbours - 1, axis=1)[:, neighbours - 1]
    known = np.isfinite(radii)
    if not known.any():
        return None
    within: NDArray[np.bool_] = (between[:, known] <= radii[known]).any(axis=1)
    return within


def nearest(between: Floats, count: int) -> list[list[int]]:
    """Indices of the nearest columns of each row ``[N, M]``, at a finite distance, the nearest first."""
    order = np.argsort(between, axis=1, kind="stable")[:, :count]
    return [[int(i) for i in row if np.isfinite(between[n, i])] for n, row in enumerate(order)]
