"""What a challenger gains over the champion on the same parts, and how sure that is: a paired bootstrap by group.

Groups are drawn with replacement, those with a defective part and those without apart, so that every resample has both
(Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 8 and 13). Both models are measured on each
resample, and the lower quantile of the differences is the bound.

Where few parts are decided differently, resamples of them alone are too sure: no part that got worse among n says
nothing sure about fewer than 3/n. So rates are resampled with one further group, on which the challenger is wrong and
the champion right. The bound is then that of the "rule of three" where nothing got worse, and near the exact one
(Clopper & Pearson, 1934) where little did.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from learning.challenge.config import ChallengeCosts, Metric

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_CHUNK = 250
"""Resamples at once: of a thousand parts they take some megabytes."""


@dataclass(frozen=True)
class Pairs:
    """Parts that both models have decided on.

    Attributes:
        champion: ``[N]`` decision score of each part less the threshold; above zero is rejected.
        challenger: ``[N]`` the same of the challenger.
        defective: ``[N]`` the truth.
        groups: ``[N]`` what is independent.
        weights: ``[N]`` one over the probability with which each was asked about; above zero.
    """

    champion: Floats
    challenger: Floats
    defective: Bools
    groups: NDArray[np.str_]
    weights: Floats

    def __post_init__(self) -> None:
        columns = (self.champion, self.challenger, self.defective, self.groups, self.weights)
        if len({len(column) for column in columns}) > 1:
            msg = "scores, labels, groups and weights must be of one length"
            raise ValueError(msg)
        if not (np.isfinite(self.champion).all() and np.isfinite(self.challenger).all() and (self.weights > 0).all()):
            msg = "scores must be finite, and weights above zero"
            raise ValueError(msg)

    def rows(self, chosen: Bools) -> "Pairs":
        """Some of the parts."""
        return Pairs(
            self.champion[chosen],
            self.challenger[chosen],
            self.defective[chosen],
            self.groups[chosen],
            self.weights[chosen],
        )

    def count(self, defective: bool) -> tuple[int, float]:
        """Number of groups with a part of a kind, and how many groups of equal weight say as much (Kish, 1965)."""
        chosen = self.defective == defective
        if not chosen.any():
            return 0, 0.0
        _, group = np.unique(self.groups[chosen], return_inverse=True)
        weights = np.bincount(group, self.weights[chosen])
        return len(weights), float(weights.sum() ** 2 / (weights**2).sum())


@dataclass(frozen=True)
class Gain:
    """What the challenger gains in one metric.

    Attributes:
        champion: The champion's figure.
        challenger: The challenger's.
        gain: By how much the challenger is better; below zero where it is worse.
        lower: What the gain is at least, with the confidence asked for.
        beyond: The same of the gain less the share of the champion's mistakes that was asked for.
    """

    champion: float
    challenger: float
    gain: float
    lower: float
    beyond: float


def gain(
    pairs: Pairs,
    metric: Metric,
    confidence: float,
    resamples: int,
    generator: np.random.Generator,
    costs: ChallengeCosts | None = None,
    least: float = 0.0,
) -> Gain:
    """Measure both models and bound the difference.

    Args:
        pairs: At least one good and one defective part, as far as the metric is about them.
        metric: Rates are of parts, weighted.
        confidence: In (0, 1), one-sided.
        resamples: Of the bootstrap.
        generator: The resamples follow from it.
        costs: For ``cost``.
        least: Share of the champion's mistakes, 1 - AUROC or the rate or cost itself, for ``beyond``.
    """
    if metric is Metric.AUROC:
        return _auroc_gain(pairs, confidence, resamples, generator, least)
    wrong = _weights_of_mistakes(pairs, metric, costs or ChallengeCosts())
    of = pairs.weights * _counted(pairs, metric)
    figures = [
        float((wrong * mistaken).sum() / of.sum())
        for mistaken in (_mistaken(pairs, pairs.champion), _mistaken(pairs, pairs.challenger))
    ]
    names, group = np.unique(pairs.groups, return_inverse=True)
    before, after, worst, sizes = (
        np.bincount(group, column, len(names))
        for column in (
            wrong * _mistaken(pairs, pairs.champion),
            wrong * _mistaken(pairs, pairs.challenger),
            wrong,
            of,
        )
    )
    resampled = np.zeros((3, resamples))
    for stratum in _strata(pairs, group, len(names)):
        in_it = stratum[sizes[stratum] > 0]
        if not len(in_it):
            continue
        # One group more, as heavy as those that carry the weight, on which the challenger alone is wrong.
        heavy = float((sizes[in_it] ** 2).sum() / sizes[in_it].sum())
        cost = float(worst[in_it].sum() / sizes[in_it].sum())
        counts = _draw(len(in_it) + 1, resamples, generator)
        further = ((before, 0.0), (after, heavy * cost), (sizes, heavy))
        resampled += [counts @ np.append(sums[in_it], one) for sums, one in further]
    rates = resampled[:2] / resampled[2]
    lower = float(np.quantile(rates[0] - rates[1], 1 - confidence))
    beyond = float(np.quantile((1 - least) * rates[0] - rates[1], 1 - confidence))
    return Gain(figures[0], figures[1], figures[0] - figures[1], lower, beyond)


def weighted_auroc(scores: Floats, defective: Bools, weights: Floats) -> Floats:
    """Area under the ROC curve, ties counting half.

    Args:
        scores: ``[N]``.
        defective: ``[N]``.
        weights: ``[..., N]``, not negative; several sets of weights give several areas.

    Returns:
        ``[...]``; NaN where either kind has no weight.
    """
    levels, position = np.unique(scores, return_inverse=True)
    order = np.argsort(position, kind="stable")
    first = np.searchsorted(position[order], np.arange(len(levels)))
    good = np.add.reduceat(weights[..., order] * ~defective[order], first, axis=-1)
    bad = np.add.reduceat(weights[..., order] * defective[order], first, axis=-1)
    below = np.cumsum(good, axis=-1) - good / 2
    with np.errstate(invalid="ignore"):
        area: Floats = (bad * below).sum(axis=-1) / (bad.sum(axis=-1) * good.sum(axis=-1))
    return area


def _auroc_gain(pairs: Pairs, confidence: float, resamples: int, generator: np.random.Generator, least: float) -> Gain:
    names, group = np.unique(pairs.groups, return_inverse=True)
    strata = _strata(pairs, group, len(names))
    areas = []
    for first in range(0, resamples, _CHUNK):
        n = min(_CHUNK, resamples - first)
        counts = np.zeros((n, len(names)))
        for stratum in strata:
            if len(stratum):
                counts[:, stratum] = _draw(len(stratum), n, generator)
        weights = counts[:, group] * pairs.weights
        areas.append(
            [weighted_auroc(scores, pairs.defective, weights) for scores in (pairs.champion, pairs.challenger)]
        )
    champion, challenger = (
        float(weighted_auroc(scores, pairs.defective, pairs.weights)) for scores in (pairs.champion, pairs.challenger)
    )
    before, after = 1 - np.concatenate(areas, axis=1)
    lower = float(np.nanquantile(before - after, 1 - confidence))
    beyond = float(np.nanquantile((1 - least) * before - after, 1 - confidence))
    return Gain(champion, challenger, challenger - champion, lower, beyond)


def _mistaken(pairs: Pairs, margins: Floats) -> Bools:
    return (margins > 0) != pairs.defective


def _counted(pairs: Pairs, metric: Metric) -> Bools:
    if metric is Metric.COST:
        return np.ones(len(pairs.defective), dtype=bool)
    return ~pairs.defective if metric is Metric.FALSE_REJECT else pairs.defective


def _weights_of_mistakes(pairs: Pairs, metric: Metric, costs: ChallengeCosts) -> Floats:
    each = np.where(pairs.defective, costs.escape, costs.false_reject) if metric is Metric.COST else 1.0
    weights: Floats = pairs.weights * _counted(pairs, metric) * each
    return weights


def _strata(pairs: Pairs, group: NDArray[np.intp], groups: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Places of the groups with a defective part, and of those without."""
    has_defect = np.bincount(group, pairs.defective, groups) > 0
    return np.flatnonzero(has_defect), np.flatnonzero(~has_defect)


def _draw(groups: int, resamples: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """How often each group is in each resample, ``[resamples, groups]``."""
    return generator.multinomial(groups, np.full(groups, 1 / groups), size=resamples)
