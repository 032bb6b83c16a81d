"""A detector and its supervised fallback decide together: a part is rejected if either says so."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

_TAIL = 0.1
"""Share of the good parts, the highest, whose mean marks the upper end of their scores."""

_SLOPE = 3.0
"""See ``Scale.slope``."""


@dataclass(frozen=True)
class Scale:
    """What is subtracted from scores, and what they are divided by: (centre, spread) of each.

    Attributes:
        detector: Of the detector's scores.
        fallback: Of the fallback's.
        slope: By how much a fallback's score below 1, where the highest of the good parts lie, moves away from it. What
            a fallback thinks of ordinary parts would else reorder those that the detector tells apart. 1 is none, in
            fallbacks from before there was one.
    """

    detector: tuple[float, float]
    fallback: tuple[float, float]
    slope: float = 1.0


def fit_scale(detector_scores: NDArray[np.floating], fallback_scores: NDArray[np.floating]) -> Scale:
    """Standardise so that both have the same upper tail on good parts, where false rejects come from.

    Args:
        detector_scores: ``[N]`` of good parts that trained neither, and that calibrate no threshold.
        fallback_scores: ``[N]`` of the same parts.
    """
    return Scale(_centre_and_spread(detector_scores), _centre_and_spread(fallback_scores), _SLOPE)


def fuse(
    detector_scores: NDArray[np.floating] | Sequence[float],
    fallback_scores: NDArray[np.floating] | Sequence[float],
    scale: Scale,
) -> NDArray[np.float64]:
    """Decision scores of the pair: the higher of the two standardised scores, the fallback's steeper below 1.

    One threshold on it rejects a part if the detector or the fallback would.

    Args:
        detector_scores: ``[N]``.
        fallback_scores: ``[N]``.
        scale: From ``fit_scale``.

    Returns:
        ``[N]``; at about 1 lie the highest of the good parts.
    """
    detector, fallback = (
        (np.asarray(scores, dtype=np.float64) - centre) / spread
        for scores, (centre, spread) in ((detector_scores, scale.detector), (fallback_scores, scale.fallback))
    )
    # So that a slope of 1 changes no digit.
    steep = fallback - (scale.slope - 1) * np.maximum(1 - fallback, 0)
    fused: NDArray[np.float64] = np.maximum(detector, steep)
    return fused


@dataclass(frozen=True)
class Choice:
    """Whether the fallback is switched on, and what was weighed.

    Attributes:
        switched_on: Only if the pair catches more than chance explains.
        caught_alone: Confirmed defects that the detector alone catches.
        caught_by_pair: Those that the pair catches, at the same rate of false rejects.
        gained: Caught by the pair only.
        lost: Caught by the detector only.
        chance: Probability of gaining so many if the fallback were useless (one-sided sign test).
        text: In words.
    """

    switched_on: bool
    caught_alone: int
    caught_by_pair: int
    gained: int
    lost: int
    chance: float
    text: str


@dataclass(frozen=True)
class HeldOut:
    """Scores of parts, none of which trained the model that scored it.

    Attributes:
        detector: ``[N]`` scores of the detector.
        pair: ``[N]`` decision scores of the pair.
    """

    detector: NDArray[np.float64]
    pair: NDArray[np.float64]


def choose_fallback(
    defects: HeldOut,
    goods: HeldOut,
    good_weights: NDArray[np.float64],
    max_false_reject: float,
    largest_chance: float = 0.125,
    simpler: str = "the detector alone",
    richer: str = "the fallback",
) -> Choice:
    """Switch the fallback on only if the pair catches more confirmed defects at the same rate of false rejects.

    Detector and pair each get the lowest threshold that keeps the rate on the good parts given here. None of those
    may calibrate the promise afterwards.

    Args:
        defects: Confirmed defects.
        goods: Good parts: confirmed ones, and those that were held out of training.
        good_weights: How many parts each of them stands for.
        max_false_reject: The rate at which both are compared.
        largest_chance: Switched on if a useless fallback would do as well with at most this probability; 0.125 is
            three gained and none lost.
        simpler: What gives the scores called ``detector``, in words.
        richer: What is added to it in those called ``pair``, in words.

    Raises:
        ValueError: If there are no defects or no goods.
    """
    if not len(defects.detector) or not len(goods.detector):
        msg = "a fallback is judged by confirmed defects and by good parts; one of them is missing"
        raise ValueError(msg)
    alone = defects.detector > weighted_threshold(goods.detector, good_weights, max_false_reject)
    pair = defects.pair > weighted_threshold(goods.pair, good_weights, max_false_reject)
    gained, lost = int((pair & ~alone).sum()), int((alone & ~pair).sum())
    chance = float(binomtest(gained, gained + lost, alternative="greater").pvalue) if gained + lost else 1.0
    switched_on = gained > lost and chance <= largest_chance
    text = (
        f"held out by part, at {max_false_reject:.1%} false rejects: {simpler} catches {alone.sum()} of "
        f"{len(alone)} confirmed defects, with {richer} {pair.sum()} ({gained} gained, {lost} lost); "
        f"{richer} {'is switched on' if switched_on else 'stays off'}"
    )
    return Choice(switched_on, int(alone.sum()), int(pair.sum()), gained, lost, chance, text)


def weighted_threshold(scores: NDArray[np.float64], weights: NDArray[np.float64], share: float) -> float:
    """The lowest of the scores above which lies at most this share of the weight."""
    order = np.argsort(scores)
    above = weights.sum() - np.cumsum(weights[order])
    # Rounding of the sums must not cost a place.
    keeps = above <= share * weights.sum() * (1 + 1e-9)
    # Equal scores are rejected together: only the last of them has all its equals behind it.
    last = np.append(np.diff(scores[order]) > 0, True)
    return float(scores[order][keeps & last][0])


def _centre_and_spread(scores: NDArray[np.floating]) -> tuple[float, float]:
    values = np.sort(np.asarray(scores, dtype=np.float64))
    centre = float(np.median(values))
    highest = values[-max(1, round(_TAIL * len(values))) :].mean()
    smallest = 1e-6 * max(1.0, abs(centre))
    return centre, max(float(highest) - centre, smallest)
