"""Confidence intervals that count independent groups, not images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta

DRAWS = 1000


@dataclass(frozen=True)
class Rate:
    """A share of parts, with its interval.

    Attributes:
        value: 0..1; NaN of no parts.
        low: Lower end of the interval.
        high: Upper end of the interval.
        hits: Parts that count towards the share.
        n_parts: All parts.
        n_groups: Independent groups that they lie in.
    """

    value: float
    low: float
    high: float
    hits: int
    n_parts: int
    n_groups: int


def clopper_pearson(k: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Exact two-sided interval of a binomial proportion (Clopper & Pearson, 1934).

    Args:
        k: Successes; not necessarily whole, for use with an effective sample size.
        n: Trials; of none, everything is possible.
        confidence: In (0, 1).

    Returns:
        Lower and upper end, 0..1.
    """
    if not 0 <= k <= n:
        msg = f"successes lie between 0 and the trials; got {k} of {n}"
        raise ValueError(msg)
    tail = (1 - confidence) / 2
    low = float(beta.ppf(tail, k, n - k + 1)) if k > 0 else 0.0
    high = float(beta.ppf(1 - tail, k + 1, n - k)) if k < n else 1.0
    return low, high


def rate_by_group(hits: ArrayLike, groups: Sequence[str], confidence: float = 0.95) -> Rate:
    """Share of parts, with an interval that does not take parts of one group for independent.

    It is Clopper and Pearson's with the effective number of parts of Korn and Graubard (1998), the parts of a group
    being taken to share their fate altogether: ``n = N² / Σ m²`` for N parts in groups of m. Where each part is its
    own group that is the exact interval; else it is wider than needed, never narrower, and it stays honest where no
    part or every part is hit, of which a bootstrap would say that nothing else is possible.

    Args:
        hits: ``[N]``, true for parts that count.
        groups: Group of each part.
        confidence: In (0, 1).
    """
    values = np.asarray(hits, dtype=bool)
    _, sizes = np.unique(np.asarray(groups, dtype=str), return_counts=True)
    total = len(values)
    if not total:
        return Rate(float("nan"), 0.0, 1.0, 0, 0, 0)
    effective = total**2 / float((sizes.astype(np.float64) ** 2).sum())
    share = float(values.mean())
    low, high = clopper_pearson(share * effective, effective, confidence)
    return Rate(share, low, high, int(values.sum()), total, len(sizes))


def group_bootstrap(
    statistic: Callable[[NDArray[np.intp]], float],
    groups: Sequence[str],
    confidence: float = 0.95,
    draws: int = DRAWS,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile interval of a statistic by drawing whole groups again and again, with replacement.

    Args:
        statistic: Takes indices into the data, some of them repeated; NaN where it has no value for them.
        groups: Group of each item.
        confidence: In (0, 1).
        draws: How often.
        seed: The draws follow from it.

    Returns:
        Lower and upper end; NaN where there are fewer than two groups, or no draw has a value.

    Example:
        >>> values = np.arange(10.0)
        >>> low, high = group_bootstrap(lambda chosen: values[chosen].mean(), [str(i // 2) for i in range(10)])
        >>> 0 < low < 4.5 < high < 9
        True
    """
    _, index = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    members = [np.flatnonzero(index == group) for group in range(index.max() + 1)] if len(index) else []
    if len(members) < 2:
        return float("nan"), float("nan")
    generator = np.random.default_rng(seed)
    values = np.array(
        [
            statistic(np.concatenate([members[i] for i in generator.integers(len(members), size=len(members))]))
            for _ in range(draws)
        ]
    )
    values = values[np.isfinite(values)]
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
