"""Where the ordinary ends: limits that follow from the data themselves, with a stated rate of false alarms."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FEWEST = 20
"""Values below which there is no telling what is usual."""

TAIL = (0.25, 0.05)
"""Shares beyond the two quantiles that the tail is laid through."""

BODY = (0.5, 0.25)
"""The same where up to a fifth of the values may be flawed: the limit then lies farther out than it needs to."""


def upper_limit(values: ArrayLike, rate: float, least: float = 0.0, shares: tuple[float, float] = TAIL) -> float | None:
    """A value that at most a share ``rate`` of ordinary values exceeds.

    The share of values beyond x is taken to fall exponentially from the two quantiles beyond which, by default, a
    quarter and a twentieth lie. Wherever the logarithm of that share is concave (uniform, normal, logistic, Laplace,
    exponential and all other log-concave distributions) it falls at least that fast, so that the rate is kept. In small
    sets the limit lies as much farther out as the sampling error of the quantiles calls for, so that the rate holds in
    the mean over sets of that size. As many values as lie beyond the second can be flawed without hiding each other.

    Source: log-concavity of survival functions: M. Bagnoli and T. Bergstrom, Log-concave probability and its
    applications, Economic Theory 26, 2005, theorem 3; A. Rényi, On the theory of order statistics, 1953.

    Args:
        values: At least ``FEWEST``.
        rate: Probability that an ordinary value lies above, at most the second of the shares.
        least: The limit lies at least so far above the median: what differs by less is not worth a word.
        shares: That lie beyond the two quantiles.

    Returns:
        The limit; None where there are too few values.
    """
    nearer, farther = shares
    if not 0 < rate <= farther:
        msg = f"rate must be above 0 and at most {farther}; got {rate}"
        raise ValueError(msg)
    known = np.asarray(values, dtype=np.float64)
    if known.size < FEWEST:
        return None
    # Of the ways to interpolate, this one has no bias in the share of values that lie beyond.
    median, inner, outer = np.quantile(known, [0.5, 1 - nearer, 1 - farther], method="weibull")
    # The distance of the quantiles is a sum of exponential spacings; a gamma distribution has its mean and variance.
    shape = known.size * math.log(nearer / farther) ** 2 / (1 / farther - 1 / nearer)
    weight = shape * ((nearer / rate) ** (1 / shape) - 1) / math.log(nearer / farther)
    beyond = inner + weight * (outer - inner)
    return float(max(beyond, median + least))


def lower_limit(values: ArrayLike, rate: float, least: float = 0.0) -> float | None:
    """A value that at most a share ``rate`` of ordinary values lies below; see ``upper_limit``."""
    limit = upper_limit(-np.asarray(values, dtype=np.float64), rate, least)
    return None if limit is None else -limit


def limit_among_flawed(values: ArrayLike, rate: float) -> float | None:
    """``upper_limit`` where many values may be flawed: those beyond it are left out, and it is taken again.

    It ends when nothing more lies beyond. Ordinary values that were left out by chance bring the next limit nearer, by
    so little at rates of a few in a hundred that the rate hardly changes.

    Args:
        values: At least ``FEWEST``, up to a fifth of them flawed.
        rate: Probability that an ordinary value lies above.

    Returns:
        The limit; None where there are too few values.
    """
    kept = np.asarray(values, dtype=np.float64)
    limit = upper_limit(kept, rate, shares=BODY)
    while limit is not None and (kept > limit).any():
        kept = kept[kept <= limit]
        limit = upper_limit(kept, rate, shares=BODY) or limit
    return limit


@dataclass(frozen=True)
class Outlying:
    """Values beyond their limits.

    Attributes:
        index: ``[K]`` places of the values, farthest first.
        limits: ``[K]`` the limit of each.
        judged: Values that could be judged.
        few: Names of the strata with too few values to judge.
    """

    index: NDArray[np.intp]
    limits: NDArray[np.float64]
    judged: int
    few: tuple[str, ...]


def outlying(
    values: NDArray[np.floating], strata: NDArray[np.str_], rate: float, least: float, above: bool
) -> Outlying:
    """Find values that are unusual within their stratum.

    Args:
        values: ``[N]``; NaN is passed over.
        strata: ``[N]`` what each is compared within: its camera.
        rate: Probability that an ordinary value is found, 0 to 0.05.
        least: Smallest difference from the median that is worth a word.
        above: Whether high values are looked for; else low ones.
    """
    places, limits, excess, few = [], [], [], []
    judged = 0
    for stratum in np.unique(strata):
        own = np.flatnonzero((strata == stratum) & np.isfinite(values))
        limit = (upper_limit if above else lower_limit)(values[own], rate, least)
        if limit is None:
            few.append(str(stratum))
            continue
        judged += len(own)
        distance = (values[own] - limit) * (1 if above else -1)
        found = own[distance > 0]
        places.append(found)
        limits.append(np.full(len(found), limit))
        excess.append(distance[distance > 0])
    if not places:
        return Outlying(np.empty(0, dtype=np.intp), np.empty(0), judged, tuple(few))
    order = np.argsort(-np.concatenate(excess), kind="stable")
    return Outlying(np.concatenate(places)[order], np.concatenate(limits)[order], judged, tuple(few))
