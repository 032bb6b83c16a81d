"""Tests of a bounded mean by betting, for outcomes that count unequally.

Somebody who holds that a mean is at least zero must think every bet fair that wins where outcomes lie below zero. The
bets multiply a capital of 1 by ``1 - stake * outcome`` for each outcome in turn. If the mean is at least zero the
capital is not expected to grow, so that it reaches ``1 / d`` with a probability of at most ``d`` (Markov's inequality).
This is the test behind the confidence bounds of Waudby-Smith and Ramdas, "Estimating means of bounded random variables
by betting" (JRSS B, 2024), here for outcomes that are weighted by inverse probabilities. With the highest stake, and
no outcome above zero, it is the exact binomial test.

Nothing is assumed of the outcomes but their highest value, and that each is independent of those before it. The stake
that would have grown most is not known beforehand; so the capital is split over several, once and for all.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp

Floats = NDArray[np.float64]

STAKES = np.array([1.0, 0.6, 0.35, 0.15, 0.05])
"""As shares of the highest stake that cannot lose more than there is."""

_LOG_SHARES = np.log(np.array([0.4, 0.25, 0.2, 0.1, 0.05]))
"""Of the capital that each stake is given. The highest grows most where no outcome lies above zero: with few parts."""


def log_growth(outcomes: ArrayLike, highest: float, group_sizes: ArrayLike = 1, largest_group: int = 1) -> Floats:
    """What each outcome adds to the logarithm of the capital, by the stake.

    Outcomes of one group may depend on each other in any way. Their bet is ``1 - stake * sum``, which is the mean of
    ``1 - stake * size * outcome`` over them and no less than the geometric mean; that is what is taken, as it splits
    into one addend for each.

    Args:
        outcomes: ``[N]``, none above ``highest``.
        highest: Above zero; the highest outcome that is possible, not merely the highest that came.
        group_sizes: ``[N]`` number of outcomes in the group of each.
        largest_group: The highest of them that is possible.

    Returns:
        ``[N, S]`` for S stakes; minus infinity where a bet loses everything.
    """
    sizes = np.broadcast_to(np.asarray(group_sizes, dtype=np.float64), np.shape(outcomes))
    scaled = np.asarray(outcomes, dtype=np.float64) * sizes / (highest * largest_group)
    with np.errstate(divide="ignore"):
        # Rounding may bring the highest outcome a last digit above its bound.
        grown: Floats = np.log1p(-np.minimum(STAKES * scaled[:, None], 1.0)) / sizes[:, None]
    return grown


def log_capital(grown: Floats) -> Floats:
    """Logarithm of the capital over all stakes: ``[...]`` from sums of ``log_growth``, ``[..., S]``."""
    capital: Floats = logsumexp(grown + _LOG_SHARES, axis=-1)
    return capital
