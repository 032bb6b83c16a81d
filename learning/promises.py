"""Thresholds and their promises from parts that inspectors decided on. See docs/thresholds.md.

All of them test statements of the form "the mean of some outcome is at least zero", the outcome being a number that
the score, the label and the threshold of a part give. Where labels are a simple random sample, and inspectors do not
err, the test is the exact binomial one; else it is the one by betting.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, binom

from learning.betting import log_capital, log_growth
from learning.costs import check_costs, least_cost_value
from learning.errors import ConfigError, PromiseError
from learning.thresholds import (
    Promise,
    conformal_threshold,
    needed_groups,
    percent,
    smallest_promise,
)

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

DEFECTIVE = "defective parts"

_ROUNDING = 1e-9
_MOST_PARTS = 10_000_000
"""Where more parts than this would be needed, none are named."""


@dataclass(frozen=True)
class Labelled:
    """Parts of the stream about which inspectors were asked.

    Attributes:
        scores: ``[N]`` decision score of each part, the highest of its images'.
        defective: ``[N]`` what the inspectors say; of no meaning where they do not agree.
        groups: ``[N]`` what is independent.
        weights: ``[N]`` one over the probability with which each was asked about, up to a common factor; None where
            the parts are a simple random sample.
        largest_weight: The largest weight that any part of the stream could have had, asked about or not; no less than
            any of ``weights``.
        unresolved: ``[N]`` true where the inspectors do not agree or are not sure: the worst is taken of them. None
            where they always agree.
        kind: What ``defective`` says of parts, in words; where it is not all defective parts, promises about escapes
            are about these, all others counting as good ones.
    """

    scores: Floats
    defective: Bools
    groups: NDArray[np.str_]
    weights: Floats | None = None
    largest_weight: float = 1.0
    unresolved: Bools | None = None
    kind: str = DEFECTIVE

    def __post_init__(self) -> None:
        lengths = {len(self.scores), len(self.defective), len(self.groups)}
        lengths |= {len(column) for column in (self.weights, self.unresolved) if column is not None}
        if len(lengths) > 1 or not np.isfinite(self.scores).all():
            msg = "scores must be finite, and of one length with labels, groups and weights"
            raise ValueError(msg)
        if self.weights is not None and not ((self.weights > 0).all() and (self._weight() <= self._largest()).all()):
            msg = "weights must be above zero, and none above the largest"
            raise ValueError(msg)

    def rows(self, chosen: Bools) -> "Labelled":
        """Some of the parts."""
        return replace(
            self,
            scores=self.scores[chosen],
            defective=self.defective[chosen],
            groups=self.groups[chosen],
            weights=None if self.weights is None else self.weights[chosen],
            unresolved=None if self.unresolved is None else self.unresolved[chosen],
        )

    def n_groups(self) -> int:
        """Number of independent groups."""
        return len(np.unique(self.groups))

    @cached_property
    def _group_sizes(self) -> NDArray[np.intp]:
        """``[N]`` number of parts in the group of each."""
        _, group, sizes = np.unique(self.groups, return_inverse=True, return_counts=True)
        return sizes[group]

    def _weight(self) -> Floats:
        return np.ones(len(self.scores)) if self.weights is None else self.weights

    def _largest(self) -> float:
        return 1.0 if self.weights is None else self.largest_weight * (1 + _ROUNDING)

    def _unsettled(self) -> Bools:
        return np.zeros(len(self.scores), dtype=bool) if self.unresolved is None else self.unresolved


def escape_threshold(
    labelled: Labelled, max_escape: float, confidence: float = 0.95, reading_error: float = 0.0
) -> tuple[float, Promise]:
    """Highest threshold that lets at most a share of the defective parts through, with the confidence given.

    Of a simple random sample without reading errors: the share of defective groups that lie below the k-th lowest of
    m is Beta(k, m - k + 1), or less, so that the largest k with ``P(Binomial(m, limit) < k) <= 1 - confidence`` is
    taken, a group counting by its lowest defective part. It is the exact bound (Clopper & Pearson, 1934) turned into a
    choice.

    Else, from the lowest threshold upwards, the statement that more than the limit escapes is tested by betting, until
    it cannot be rejected any more. As the share that escapes grows with the threshold, only the test at the threshold
    where it reaches the limit can go wrong, so that one confidence covers the choice among all of them (Bates et al.,
    "Distribution-free, risk-controlling prediction sets", JACM 2021).

    Args:
        labelled: Parts that neither trained nor chose anything.
        max_escape: In (0, 1).
        confidence: In (0, 1).
        reading_error: In [0, 0.5): of the parts of any score and kind, inspectors read at most this share wrongly, one
            independently of the other.

    Returns:
        The value, a part being rejected when its score is *above* it, and the promise.

    Raises:
        PromiseError: If the parts cannot carry the promise, naming how many more it takes.
        ConfigError: If a share is out of range.
    """
    _check(max_escape, confidence, reading_error)
    if _is_exact(labelled, reading_error):
        lowest = _lowest_defective(labelled)
        needed = needed_groups(max_escape, confidence)
        if len(lowest) < needed:
            raise _too_few_defective(labelled, len(lowest), needed, max_escape, confidence)
        kept = binom.cdf(np.arange(len(lowest)), len(lowest), max_escape) <= (1 - confidence) * (1 + _ROUNDING)
        value = float(np.sort(lowest)[int(kept.sum()) - 1])
        return _just_below(value), _escape_promise(labelled, max_escape, confidence, reading_error)

    levels, capital, lowest_grown = _walk(labelled, max_escape, reading_error)
    enough = capital >= -math.log1p(-confidence)
    if not len(levels) or not enough[0]:
        raise _not_carried(labelled, lowest_grown, max_escape, confidence, reading_error)
    last = len(levels) - 1 if enough.all() else int(np.argmin(enough)) - 1
    return _just_below(float(levels[last])), _escape_promise(labelled, max_escape, confidence, reading_error)


def escape_bound(labelled: Labelled, value: float, confidence: float = 0.95, reading_error: float = 0.0) -> Promise:
    """Promise of a threshold that was set *without* these labels.

    The exact upper bound (Clopper & Pearson, 1934) for a simple random sample without reading errors, a group counting
    as escaped if one of its defective parts does; else the lowest limit from which on betting rejects that more escape.

    Args:
        labelled: Parts that neither trained nor chose anything.
        value: The threshold.
        confidence: In (0, 1), one-sided.
        reading_error: See ``escape_threshold``.
    """
    _check(0.5, confidence, reading_error)
    if _is_exact(labelled, reading_error):
        lowest = _lowest_defective(labelled)
        escaped = int((lowest <= value).sum())
        exact = float(beta.ppf(confidence, escaped + 1, len(lowest) - escaped)) if escaped < len(lowest) else 1.0
        return _escape_promise(labelled, exact, confidence, reading_error)

    def carried(limit: float) -> bool:
        accepted = labelled.scores <= value
        when_accepted, when_rejected, highest = _escape_outcomes(labelled, limit, reading_error)
        grown = _grown(labelled, np.where(accepted, when_accepted, when_rejected), highest)
        return bool(log_capital(grown.sum(axis=0)) >= -math.log1p(-confidence))

    return _escape_promise(labelled, _lowest_carried(carried), confidence, reading_error)


def cost_threshold(
    labelled: Labelled,
    cost_escape: float,
    cost_false_reject: float,
    confidence: float = 0.95,
    reading_error: float = 0.0,
    seed: int = 0,
) -> tuple[float, Promise]:
    """Threshold of the least estimated cost, and an upper bound of what it costs for each part of the stream.

    Half of the groups, drawn at random, choose the threshold, and the other half bounds its cost, by betting: a bound
    from the parts that chose would be too low.

    Args:
        labelled: Parts that neither trained nor chose anything.
        cost_escape: Of a defective part that is accepted.
        cost_false_reject: Of a good part that is rejected.
        confidence: In (0, 1).
        reading_error: See ``escape_threshold``.
        seed: Of the halves.

    Returns:
        The value and the promise; its ``limit`` is in the unit of the costs.

    Raises:
        PromiseError: If the bound is no lower than what rejecting, or accepting, every part costs at most.
        ConfigError: If a cost is not above zero, or a share out of range.
    """
    _check(0.5, confidence, reading_error)
    check_costs(cost_escape, cost_false_reject)
    groups = np.unique(labelled.groups)
    if len(groups) < 2:
        msg = f"a promise about costs takes labelled parts of two independent groups or more; there are {len(groups)}"
        raise PromiseError(msg, needed=2, available=len(groups))
    chooses = np.isin(labelled.groups, np.random.default_rng(seed).permutation(groups)[: len(groups) // 2])
    choosing, bounding = labelled.rows(chooses), labelled.rows(~chooses)
    value = least_cost_value(choosing.scores, choosing.defective, choosing._weight(), cost_escape, cost_false_reject)

    most = max(cost_escape, cost_false_reject)
    wrong = np.where(
        bounding.scores <= value,
        cost_escape * (bounding.defective | bounding._unsettled()),
        cost_false_reject * (~bounding.defective | bounding._unsettled()),
    )

    def grown(share: float) -> Floats:
        # Wrong decisions that are read as right ones: at most ``reading_error`` of them.
        cost = share * most * (1 - reading_error)
        outcomes = bounding._weight() * (wrong - cost)
        total: Floats = _grown(bounding, outcomes, bounding._largest() * (most - cost)).sum(axis=0)
        return total

    def carried(share: float) -> bool:
        return bool(log_capital(grown(share)) >= -math.log1p(-confidence))

    bound = most * _lowest_carried(carried)
    trivial = min(cost_escape, cost_false_reject)
    if bound >= trivial:
        needed = _needed_parts(grown(trivial / most), len(bounding.scores), confidence)
        needed = None if needed is None else 2 * needed
        every = "rejecting" if trivial == cost_false_reject else "accepting"
        msg = (
            f"{len(labelled.scores)} labelled parts carry no cost below {trivial:g} a part, which {every} every part "
            f"keeps: {_more(needed, len(labelled.scores))}"
        )
        raise PromiseError(msg, needed=needed, available=len(labelled.scores))
    text = (
        f"an expected cost of at most {_rounded_up(bound)} a part, an escape costing {cost_escape:g} and a false "
        f"reject {cost_false_reject:g}, with {percent(confidence)} confidence, from {bounding.n_groups()} independent "
        f"labelled parts {_how(bounding)} that did not choose it, {_errors(reading_error)}"
    )
    return value, Promise("cost", bound, confidence, bounding.n_groups(), text, reading_error)


@dataclass(frozen=True)
class ReviewZone:
    """Two thresholds, between which a person decides.

    Attributes:
        value: Parts up to here are accepted unseen; those above are taken off the line.
        review_up_to: Of those, the ones up to here are for a person to decide; the rest is rejected unseen.
        promise: What is accepted unseen.
        review_promise: What is rejected unseen.
    """

    value: float
    review_up_to: float
    promise: Promise
    review_promise: Promise


def review_zone(
    good_group_scores: Floats,
    labelled: Labelled,
    max_false_reject: float,
    max_escape: float,
    confidence: float = 0.95,
    reading_error: float = 0.0,
) -> ReviewZone:
    """Two thresholds of which both promises hold together with the confidence given.

    Each is worked out with half of the risk (Bonferroni). Where the one for escapes is the higher of the two no zone is
    needed: what lies between keeps both promises, and the lower end is taken.

    Args:
        good_group_scores: ``[n]`` of calibration parts, see ``conformal_threshold``.
        labelled: See ``escape_threshold``.
        max_false_reject: Share of good groups that may be rejected without a person having looked.
        max_escape: Share of defective parts that may be accepted without a person having looked.
        confidence: In (0, 1), of both together.
        reading_error: See ``escape_threshold``.

    Raises:
        PromiseError: If one of the two cannot be carried.
        ConfigError: If a share is out of range.
    """
    _check(max_escape, confidence, reading_error)
    each = 1 - (1 - confidence) / 2
    upper, rejects = conformal_threshold(good_group_scores, max_false_reject, each)
    lower, escapes = escape_threshold(labelled, max_escape, each, reading_error)
    together = f"; this and the other limit hold together with {percent(confidence)} confidence"
    return ReviewZone(
        min(lower, upper),
        upper,
        _reworded(escapes, f"{labelled.kind} accepted", f"{labelled.kind} accepted unseen", together),
        _reworded(rejects, "good parts rejected", "good parts rejected unseen", together),
    )


def _walk(labelled: Labelled, max_escape: float, reading_error: float) -> tuple[Floats, Floats, Floats]:
    """For a threshold just below each level of the scores, ascending: the logarithm of the capital.

    Returns:
        ``[T]`` levels, ``[T]`` logarithms, and ``[S]`` what the lowest threshold gains by each stake.
    """
    when_accepted, when_rejected, highest = _escape_outcomes(labelled, max_escape, reading_error)
    order = np.argsort(labelled.scores, kind="stable")
    sorted_ = labelled.scores[order]
    accepted = _grown(labelled, when_accepted, highest)[order]
    rejected = _grown(labelled, when_rejected, highest)[order]
    start = np.zeros((1, rejected.shape[1]))
    # An accepted part may lose all that was staked: minus infinity from there on, and never subtracted.
    grown = np.vstack([start, np.cumsum(accepted, axis=0)])[:-1] + np.cumsum(rejected[::-1], axis=0)[::-1]
    first = np.flatnonzero(np.diff(sorted_, prepend=-np.inf) > 0)
    lowest = grown[0] if len(grown) else start[0]
    return sorted_[first], log_capital(grown[first]), lowest


def _escape_outcomes(labelled: Labelled, limit: float, reading_error: float) -> tuple[Floats, Floats, float]:
    """Outcomes of parts if accepted and if rejected, whose mean is above zero if more than ``limit`` escape.

    Let a and b be the shares of the stream that are defective and accepted, or rejected; a' and b' those that are
    *read* as defective; r that of all rejected parts; and h the highest reading error. Then ``a' >= (1 - h) a``, as
    only so many defects are missed, and ``b' <= b + h (r - b)``, as only so many of the rejected good parts are read
    as defective. If ``a > limit (a + b)``, it follows that ``(1 - limit) a' - limit b' + limit h r > 0``.
    """
    defective, unsettled, weight = labelled.defective, labelled._unsettled(), labelled._weight()
    when_accepted = weight * (defective | unsettled) * (1 - limit)
    when_rejected = weight * limit * (reading_error - (defective & ~unsettled))
    return when_accepted, when_rejected, labelled._largest() * max(1 - limit, limit * reading_error)


def _grown(labelled: Labelled, outcomes: Floats, highest: float) -> Floats:
    sizes = labelled._group_sizes
    return log_growth(outcomes, highest, sizes, int(sizes.max(initial=1)))


def _lowest_carried(carried: Callable[[float], bool]) -> float:
    """Lowest share from which on all are carried, on a grid that is refined once; 1 where none is."""
    grid = np.linspace(0, 1, 41)
    low = 1.0
    for share in grid[-2:0:-1]:
        if not carried(float(share)):
            break
        low = float(share)
    if low < 1 or carried(1 - _ROUNDING):
        below = max(0.0, low - grid[1])
        for _ in range(10):
            middle = (below + low) / 2
            if carried(middle):
                low = middle
            else:
                below = middle
    return low


def _lowest_defective(labelled: Labelled) -> Floats:
    """Lowest score of a defective part in each group that has one."""
    scores, groups = labelled.scores[labelled.defective], labelled.groups[labelled.defective]
    _, group = np.unique(groups, return_inverse=True)
    lowest = np.full(group.max(initial=-1) + 1, np.inf)
    np.minimum.at(lowest, group, scores)
    return lowest


def _is_exact(labelled: Labelled, reading_error: float) -> bool:
    return labelled.weights is None and reading_error == 0 and not labelled._unsettled().any()


def _needed_parts(grown: Floats, available: int, confidence: float) -> int | None:
    """How many parts like these carry the promise, if the logarithm of the capital grows as they do; None if never."""
    wanted = -math.log1p(-confidence)
    if not available or grown.max() <= 0:
        return None

    def enough(times: float) -> bool:
        return bool(log_capital(times * grown) >= wanted)

    high = 2.0
    while not enough(high):
        high *= 2
        if high * available > _MOST_PARTS:
            return None
    low = high / 2
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return max(available + 1, math.ceil(high * available))


def _too_few_defective(
    labelled: Labelled, available: int, needed: int, limit: float, confidence: float
) -> PromiseError:
    could = f", which carry {percent(smallest_promise(available, confidence))}" if available else ""
    parts = ""
    if available:
        parts = f" (about {math.ceil((needed - available) * labelled.n_groups() / available)} more labelled parts)"
    msg = (
        f"{_escape_words(labelled, limit, confidence)}, takes {needed} independent {labelled.kind}; "
        f"there are {available}{could}: add {needed - available} more{parts}, or promise less"
    )
    return PromiseError(msg, needed=needed, available=available)


def _not_carried(
    labelled: Labelled, grown: Floats, limit: float, confidence: float, reading_error: float
) -> PromiseError:
    available = len(labelled.scores)
    needed = _needed_parts(grown, available, confidence)
    msg = (
        f"{_escape_words(labelled, limit, confidence)}, is not carried by {available} labelled parts {_how(labelled)}, "
        f"{int(labelled.defective.sum())} of them {_called(labelled)}, {_errors(reading_error)}: "
        f"{_more(needed, available)}"
    )
    if needed is None and reading_error:
        msg += f"; no more parts than are read wrongly are called {_called(labelled)}: have them read twice"
    return PromiseError(msg, needed=needed, available=available)


def _more(needed: int | None, available: int) -> str:
    if needed is None:
        return "more parts like these would not carry it"
    return f"it takes about {needed} like these, {needed - available} more, or promise less"


def _escape_promise(labelled: Labelled, limit: float, confidence: float, reading_error: float) -> Promise:
    if _is_exact(labelled, reading_error):
        groups = len(_lowest_defective(labelled))
        source = f"{groups} independent {labelled.kind} of a random sample"
    else:
        groups = labelled.n_groups()
        source = f"{groups} independent labelled parts {_how(labelled)}"
    text = f"{_escape_words(labelled, limit, confidence)}, from {source}, {_errors(reading_error)}"
    defects = "" if labelled.kind == DEFECTIVE else labelled.kind
    return Promise("escape", limit, confidence, groups, text, reading_error, defects)


def _escape_words(labelled: Labelled, limit: float, confidence: float) -> str:
    return f"at most {percent(limit)} of {labelled.kind} accepted, with {percent(confidence)} confidence"


def _called(labelled: Labelled) -> str:
    return "defective" if labelled.kind == DEFECTIVE else labelled.kind


def _how(labelled: Labelled) -> str:
    return "of a random sample" if labelled.weights is None else "weighted by how they were chosen"


def _errors(reading_error: float) -> str:
    if not reading_error:
        return "inspectors being taken never to err"
    return f"inspectors being taken to err on at most {percent(reading_error)} of parts"


def _reworded(promise: Promise, what: str, unseen: str, together: str) -> Promise:
    return replace(promise, text=promise.text.replace(what, unseen) + together)


def _rounded_up(cost: float) -> str:
    """Three digits, so that no less is promised than holds."""
    digits = 2 - math.floor(math.log10(cost)) if cost > 0 else 0
    return f"{math.ceil(cost * 10**digits - 1e-6) / 10**digits:g}"


def _just_below(score: float) -> float:
    return float(np.nextafter(score, -np.inf))


def _check(limit: float, confidence: float, reading_error: float) -> None:
    for name, value in [("the escape limit", limit), ("the confidence", confidence)]:
        if not 0 < value < 1:
            msg = f"{name} is {value}; it must lie between 0 and 1, for example 0.05 and 0.95"
            raise ConfigError(msg)
    if not 0 <= reading_error < 0.5:
        msg = f"the reading error is {reading_error}; it must be at least 0 and below 0.5, for example 0.05"
        raise ConfigError(msg)
