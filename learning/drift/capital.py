"""Bets against "nothing drifts": a capital that is not expected to grow as long as that holds.

Uniform p-values are bet on by the likelihood ratio of a shift: as if a value that is standard normal had moved by so
many standard deviations, or spread. Each bet has the expectation 1 under uniformity, so their products, and any
mixture of them fixed beforehand, are test martingales, and the capital ever reaches ``1 / a`` with a probability of at
most ``a`` (Ville's inequality): conformal test martingales, as in Vovk et al., "Retrain or not retrain: conformal test
martingales for change-point detection" (COPA 2021, PMLR 152), here with these bets and a prior over when the drift
begins.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp, ndtri

Floats = NDArray[np.float64]
Side = Literal["both", "up"]

_SHIFTS = (0.5, 1.0, 1.75, 2.75)
"""Sizes of shifts that are bet on, in standard deviations."""
_SPREAD = 1.8
"""Growth of the standard deviation that is bet on."""
_SPREAD_SHARE = 0.12
_PATIENCE = 20.0
"""Of the money that sleeps, 1 / (n + this) is put on a drift that begins with the n-th value."""
_CLIP = 1e-9


@dataclass(frozen=True)
class Bets:
    """What a stream of p-values did to the capital.

    Attributes:
        log_capital: ``[N]`` natural logarithm, after each value; 0 at the start.
        gains: ``[N, E]`` what each kind of bet added to the logarithm of its own capital.
        standing: ``[N, E]`` logarithm of the capital that each kind holds after each value.
        shifts: ``[E]`` the shift that a kind bets on; 0 for the spread.
        log_share: ``[E]`` logarithm of the share of the money that a kind was given.
    """

    log_capital: Floats
    gains: Floats
    standing: Floats
    shifts: Floats
    log_share: Floats

    def since(self, at: int) -> tuple[int, float]:
        """When the drift seen at value ``at`` most likely began, and the shift that explains it best from there.

        The start is the one that maximises the likelihood ratio of a change there and then, averaged over the kinds of
        bets by the share of money that each was given (the estimate of Page's CUSUM, 1954, with a mixture of shifts for
        one that is known). The richest bet alone may be one on a smaller shift, and to that what happened by chance
        just before looks like a part of it: dates come out too early.
        """
        summed = np.cumsum(self.gains[: at + 1], axis=0)
        before = np.concatenate([np.zeros((1, summed.shape[1])), summed[:-1]])
        ratios = summed[-1] - before + self.log_share
        start = int(np.argmax(logsumexp(ratios, axis=1)))
        return start, float(self.shifts[np.argmax(ratios[start])])


def bet(p_values: ArrayLike, side: Side = "both") -> Bets:
    """Bet on p-values in their order.

    Args:
        p_values: ``[N]``, 0..1.
        side: ``up`` bets on values near 1 only.
    """
    normal = ndtri(np.clip(np.asarray(p_values, dtype=np.float64), _CLIP, 1 - _CLIP))
    shifts, log_share = _kinds(side)
    gains = normal[:, None] * shifts - shifts**2 / 2
    if side == "both":
        gains[:, -1] = -np.log(_SPREAD) + normal**2 / 2 * (1 - _SPREAD**-2)
    return _grow(gains, shifts, log_share, 0)


@lru_cache(maxsize=512)
def fewest(needed: float, reference: int, seen: int = 0, side: Side = "both", most: int = 500) -> int | None:
    """How many more values it takes at least until the capital's logarithm reaches ``needed``.

    They are taken to lie above all before them, in no order among themselves.

    Args:
        needed: Logarithm of one over the rate of false alarms.
        reference: Values before the stream.
        seen: Values of the stream until now.
        side: As in ``bet``.
        most: None is returned where it takes more.
    """
    moved = np.arange(1, most + 1)
    shifts, log_share = _kinds(side)
    normal = ndtri(1 - 0.5 * moved / (reference + seen + moved))
    reached = _grow(normal[:, None] * shifts - shifts**2 / 2, shifts, log_share, seen).log_capital >= needed
    return int(np.argmax(reached)) + 1 if reached.any() else None


@lru_cache(maxsize=64)
def enough(needed: float, side: Side = "both", most: int = 200) -> int:
    """How many values have to come before a change, so that it can raise an alarm at all."""
    return next((count for count in range(1, most) if fewest(needed, count, side=side) is not None), most)


def _grow(gains: Floats, shifts: Floats, log_share: Floats, first: int) -> Bets:
    """Let the money work from the ``first``-th value on; all of it slept until then."""
    places = first + np.arange(len(gains))
    asleep = np.log1p(-1 / (np.arange(first + len(gains)) + _PATIENCE)).cumsum()
    # What still sleeps is put on a drift that begins with this value.
    woken = np.concatenate([[0.0], asleep])[places] - np.log(places + _PATIENCE)
    grown = gains.cumsum(axis=0)
    before = np.concatenate([np.zeros((1, len(shifts))), grown])[: len(gains)]
    standing = grown + np.logaddexp.accumulate(woken[:, None] - before, axis=0) + log_share
    capital = np.logaddexp(logsumexp(standing, axis=1), asleep[places])
    return Bets(capital, gains, standing, shifts, log_share)


def _kinds(side: Side) -> tuple[Floats, Floats]:
    """Shifts, and the logarithm of the share of the money that each is given."""
    if side == "up":
        return np.array(_SHIFTS), np.full(len(_SHIFTS), -np.log(len(_SHIFTS)))
    shifts = np.array([*_SHIFTS, *(-shift for shift in _SHIFTS), 0.0])
    share = np.full(len(shifts), (1 - _SPREAD_SHARE) / (2 * len(_SHIFTS)))
    share[-1] = _SPREAD_SHARE
    return shifts, np.log(share)
