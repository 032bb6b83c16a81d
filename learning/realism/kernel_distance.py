"""Kernel distance (KID) between two samples of embeddings, fit for a handful of defects.

``torchmetrics.image.kid.KernelInceptionDistance`` averages over random subsets of one size, drawn from both samples:
it takes at least that many of each, and the deviation over overlapping subsets is no standard error. With ten
confirmed defects against five hundred synthetic ones all pairs are used here, and blocks give the error. For samples
of one size, taken as a whole, both give the same value; ``tests/learning/realism`` holds them to that.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MOST_BLOCKS = 20
LEAST_GROUPS = 3
"""Independent groups in a sample below which no error can be given."""


@dataclass(frozen=True)
class KernelDistance:
    """A distance between two samples.

    Attributes:
        value: Unbiased estimate of the squared maximum mean discrepancy; below 0 by chance where the samples are alike.
        error: Standard error, or None where there are too few independent groups to tell.
    """

    value: float
    error: float | None


def polynomial_kernel(x: Floats, y: Floats) -> Floats:
    """``(x · y / D + 1)³`` of rows ``[N, D]`` and ``[M, D]``: ``[N, M]`` (Bińkowski et al., 2018, arXiv 1801.01401)."""
    kernel: Floats = (x @ y.T / x.shape[1] + 1) ** 3
    return kernel


def kernel_distance(
    x: Floats,
    y: Floats,
    x_groups: Sequence[str] | None = None,
    y_groups: Sequence[str] | None = None,
) -> KernelDistance | None:
    """Estimate KID: the squared maximum mean discrepancy under the polynomial kernel, without bias.

    Mean kernel within ``x`` plus that within ``y``, less twice that between them (Gretton et al., 2012, equation 3).
    Pairs of one group are left out everywhere: what they share, as the same part in the background, is no evidence.
    The error is that of the jackknife over at most 20 blocks of groups, for both samples added up.

    Args:
        x: ``[N, D]``.
        y: ``[M, D]``.
        x_groups: ``[N]`` what is independent of other groups; by default every row is, of all others.
        y_groups: ``[M]``, the same.

    Returns:
        The distance, or None where a sample has not two groups, or all pairs between them are of one group.
    """
    first = _Codes.of(x_groups, len(x), "x")
    second = _Codes.of(y_groups, len(y), "y")
    within_x = _Sums(polynomial_kernel(x, x), first, first)
    within_y = _Sums(polynomial_kernel(y, y), second, second)
    between = _Sums(polynomial_kernel(x, y), first, second)
    every_x, every_y = np.ones(len(first.names), bool), np.ones(len(second.names), bool)

    def without(kept_x: NDArray[np.bool_], kept_y: NDArray[np.bool_]) -> float:
        return within_x.mean(kept_x, kept_x) + within_y.mean(kept_y, kept_y) - 2 * between.mean(kept_x, kept_y)

    value = without(every_x, every_y) if len(x) and len(y) else np.nan
    if np.isnan(value):
        return None
    if min(len(every_x), len(every_y)) < LEAST_GROUPS:
        return KernelDistance(value, None)
    variance = _jackknife([without(kept, every_y) for kept in _leave_out(len(every_x))])
    variance += _jackknife([without(every_x, kept) for kept in _leave_out(len(every_y))])
    return KernelDistance(value, None if np.isnan(variance) else float(np.sqrt(variance)))


def split_half_distances(x: Floats, groups: Sequence[str] | None = None, splits: int = 100, seed: int = 0) -> Floats:
    """Distances between random halves of one sample: what chance alone makes of samples of half the size.

    Args:
        x: ``[N, D]``.
        groups: ``[N]``; a group is never torn apart. By default every row is one.
        splits: Number of random splits.
        seed: Of the splits.

    Returns:
        ``[splits]``; empty where there are not four groups, as each half takes two.
    """
    codes = _Codes.of(groups, len(x), "x")
    count = len(codes.names)
    if count < 4:
        return np.empty(0)
    sums = _Sums(polynomial_kernel(x, x), codes, codes)
    rng = np.random.default_rng(seed)
    distances = []
    for _ in range(splits):
        half = np.zeros(count, bool)
        half[rng.permutation(count)[: count // 2]] = True
        distances.append(sums.mean(half, half) + sums.mean(~half, ~half) - 2 * sums.mean(half, ~half))
    return np.array(distances)


@dataclass(frozen=True)
class _Codes:
    """Groups as numbers: ``index [N]`` into ``names``."""

    names: list[str]
    index: NDArray[np.int64]

    @classmethod
    def of(cls, groups: Sequence[str] | None, count: int, sample: str) -> "_Codes":
        named = [f"{sample}/{row}" for row in range(count)] if groups is None else list(groups)
        if len(named) != count:
            msg = f"{len(named)} groups do not fit {count} embeddings"
            raise ValueError(msg)
        names, index = np.unique(np.array(named, dtype=str), return_inverse=True)
        return cls(names.tolist(), index.astype(np.int64))


class _Sums:
    """Sums of a kernel over pairs of groups, those of one group left out, so that leaving groups out costs little."""

    def __init__(self, kernel: Floats, rows: _Codes, columns: _Codes) -> None:
        by_row = np.zeros((len(rows.names), kernel.shape[1]))
        np.add.at(by_row, rows.index, kernel)
        self.sums = np.zeros((len(rows.names), len(columns.names)))
        np.add.at(self.sums.T, columns.index, by_row.T)
        sizes = np.bincount(rows.index, minlength=len(rows.names))
        self.pairs = np.outer(sizes, np.bincount(columns.index, minlength=len(columns.names))).astype(np.float64)
        same = np.array(rows.names)[:, None] == np.array(columns.names)[None, :]
        self.sums[same] = 0
        self.pairs[same] = 0

    def mean(self, rows: NDArray[np.bool_], columns: NDArray[np.bool_]) -> float:
        pairs = rows @ self.pairs @ columns
        return float(rows @ self.sums @ columns / pairs) if pairs else float("nan")


def _leave_out(count: int) -> list[NDArray[np.bool_]]:
    """Groups that stay, for each block that is left out; blocks interleave."""
    blocks = min(MOST_BLOCKS, count)
    return [np.arange(count) % blocks != block for block in range(blocks)]


def _jackknife(values: list[float]) -> float:
    """Variance by the delete-a-block jackknife (Künsch, 1989)."""
    left = np.array(values)
    return float((len(left) - 1) * left.var())
