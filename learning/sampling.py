"""Which parts to ask an inspector about: priorities, drawn by a design whose probabilities are known.

Labels of parts that were chosen because they are borderline are no random sample. So priorities never choose by
themselves: they are the sizes of a randomised systematic design with probability proportional to size (Hartley & Rao,
1962), mixed with a uniform share. Every part has a probability of being asked about that is known, exact and above
zero, and an estimate weighted by its inverse (Horvitz & Thompson, 1952) is unbiased for the whole stream.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

_REJECTED_SHARE = 0.3
"""Share of the priority that goes to parts above the threshold, wherever they lie there."""

_NARROWEST = 0.02
"""Least width of the borderline, in ranks as a fraction of the stream."""

AUDIT_SHARE = 0.15
"""Share of the budget that is spread evenly over all parts, unless another is given."""


class Reason(StrEnum):
    """Why an inspector is asked."""

    BORDERLINE = "borderline"
    REJECTED = "rejected"
    AUDIT = "audit"


@dataclass(frozen=True)
class Draw:
    """One image to ask about.

    Attributes:
        index: Its place in the sequence of scores.
        reason: Why; audits alone are a sample in which all parts had the same probability.
        inclusion_probability: Probability in (0, 1] with which its group came into the sample, for whatever reason.
    """

    index: int
    reason: str
    inclusion_probability: float


def draw_asks(
    scores: Sequence[float] | NDArray[np.floating],
    threshold_value: float,
    groups: Sequence[str],
    budget: int,
    audit_share: float = AUDIT_SHARE,
    seed: int = 0,
) -> list[Draw]:
    """Draw the images that inspectors are asked about, at most one of each group (of exposures).

    A group (a part with several exposures) is shown by its highest-scoring image, the one that decides about it. The
    sample has exactly ``min(budget, number of groups)`` images.

    Args:
        scores: ``[N]`` decision scores; higher is more anomalous.
        threshold_value: A part is rejected above it.
        groups: ``[N]`` what must not be asked about twice: a part, or whatever its exposures share.
        budget: How many answers the inspectors can give.
        audit_share: Share of the budget that is spread evenly over all groups; in (0, 1].
        seed: The same seed draws the same sample.

    Returns:
        The draws, highest score first.

    Raises:
        ValueError: If lengths differ, a score is not finite, the budget is negative, or the share out of range.
    """
    values = np.asarray(scores, dtype=np.float64)
    if budget < 0 or not 0 < audit_share <= 1:
        msg = f"budget must be at least 0 and audit_share in (0, 1]; got {budget} and {audit_share}"
        raise ValueError(msg)
    if values.shape != (len(groups),) or not np.isfinite(values).all():
        msg = f"one finite score for each group entry is needed; got shape {values.shape} and {len(groups)} groups"
        raise ValueError(msg)
    if not len(values) or not budget:
        return []
    shown = _highest_of_each_group(values, groups)
    count = min(budget, len(shown))
    reasons = _reason_shares(values[shown], threshold_value, count, audit_share)
    probabilities = inclusion_probabilities(np.sum(list(reasons.values()), axis=0), count)

    generator = np.random.default_rng(seed)
    chosen = systematic_sample(probabilities, generator)
    # An even share of the sample, whatever the part's priority, so that audits by themselves are a uniform sample.
    audit = audit_share * count / len(shown) / probabilities[chosen]
    audited = generator.random(len(chosen)) < audit
    rejected = reasons[Reason.REJECTED][chosen]
    is_rejected = generator.random(len(chosen)) * (rejected + reasons[Reason.BORDERLINE][chosen]) < rejected
    draws = [
        Draw(
            index=int(shown[i]),
            reason=str(Reason.AUDIT if audits else Reason.REJECTED if rejects else Reason.BORDERLINE),
            inclusion_probability=float(probabilities[i]),
        )
        for i, audits, rejects in zip(chosen, audited, is_rejected, strict=True)
    ]
    return sorted(draws, key=lambda draw: (-values[draw.index], draw.index))


def ask_probabilities(
    scores: NDArray[np.float64], threshold_value: float, count: int, audit_share: float = AUDIT_SHARE
) -> NDArray[np.float64]:
    """Probabilities with which ``draw_asks`` draws parts of one image each; none is below ``audit_share * count / G``.

    Args:
        scores: ``[G]`` decision scores.
        threshold_value: A part is rejected above it.
        count: Size of the sample, at most G.
        audit_share: See ``draw_asks``.

    Returns:
        ``[G]`` in (0, 1].
    """
    shares = _reason_shares(scores, threshold_value, count, audit_share)
    return inclusion_probabilities(np.sum(list(shares.values()), axis=0), count)


def inclusion_probabilities(sizes: NDArray[np.floating], count: int) -> NDArray[np.float64]:
    """Probabilities proportional to size that add up to ``count``, none above one.

    Args:
        sizes: ``[G]`` above zero.
        count: Size of the sample, at most G.

    Returns:
        ``[G]`` in (0, 1].
    """
    probabilities = np.ones(len(sizes))
    free = np.ones(len(sizes), dtype=bool)
    left = count
    # Whoever would exceed one is certain; what it leaves over goes to the others, which may lift more of them to one.
    while left < free.sum():
        probabilities[free] = left * sizes[free] / sizes[free].sum()
        certain = free & (probabilities >= 1)
        if not certain.any():
            break
        probabilities[certain] = 1
        free &= ~certain
        left = count - int((~free).sum())
    return probabilities


def systematic_sample(probabilities: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.int64]:
    """Draw a sample of fixed size with exactly these inclusion probabilities (randomised systematic design).

    Args:
        probabilities: ``[G]`` in (0, 1], adding up to a whole number.
        generator: Of random numbers.

    Returns:
        ``[n]`` distinct indices, ascending; n is the sum of the probabilities.
    """
    certain = np.flatnonzero(probabilities >= 1)
    order = generator.permutation(np.flatnonzero(probabilities < 1))
    reached = np.cumsum(probabilities[order])
    count = round(float(reached[-1])) if len(order) else 0
    ticks = generator.random() + np.arange(count)
    # Rounding must not let the last tick fall off the end.
    places = np.searchsorted(reached, ticks, side="right").clip(max=max(len(order) - 1, 0))
    return np.sort(np.concatenate([certain, order[places]])).astype(np.int64)


def horvitz_thompson_total(values: NDArray[np.floating], probabilities: NDArray[np.floating]) -> float:
    """Unbiased estimate of a total over all groups, from those that were drawn (Horvitz & Thompson, 1952)."""
    return float(np.sum(np.asarray(values) / np.asarray(probabilities)))


def _highest_of_each_group(scores: NDArray[np.float64], groups: Sequence[str]) -> NDArray[np.int64]:
    highest: dict[str, int] = {}
    for i, group in enumerate(groups):
        if group not in highest or scores[i] > scores[highest[group]]:
            highest[group] = i
    return np.array(list(highest.values()), dtype=np.int64)


def _reason_shares(
    scores: NDArray[np.float64], threshold: float, count: int, audit_share: float
) -> dict[Reason, NDArray[np.float64]]:
    """How much of the sample each part gets for each reason; together they add up to one."""
    total = len(scores)
    # Ranks, not scores: a detector's scores have no scale of their own.
    distance = np.abs(rankdata(scores) - 0.5 - (scores <= threshold).sum()) / total
    close = np.exp(-distance / max(count / total, _NARROWEST))
    above = (scores > threshold).astype(np.float64)
    rejected_share = _REJECTED_SHARE if above.any() else 0.0
    return {
        Reason.AUDIT: np.full(total, audit_share / total),
        Reason.REJECTED: (1 - audit_share) * rejected_share * above / max(above.sum(), 1),
        Reason.BORDERLINE: (1 - audit_share) * (1 - rejected_share) * close / close.sum(),
    }
