"""What confirmed verdicts change: the fallback on or off, and the threshold. Arrays in, arrays out."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learning.fusion import Choice, HeldOut, choose_fallback, fit_scale, fuse
from learning.supervised.fallback import Fallback
from learning.thresholds import Promise, conformal_threshold, false_reject_bound, least_cost_value, needed_groups

MIN_OF_A_KIND = 3
"""Fewer confirmed good or defective groups than this move no threshold."""

MIN_DEFECTS_FOR_FALLBACK = 6
"""Fewer confirmed defective groups than this train no fallback: none could be held out."""

_FOLDS = 5

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scored:
    """Parts, as the detector sees them.

    Attributes:
        scores: ``[N]`` of the detector.
        embeddings: ``[N, D]``; a row that is not finite stands for a part that was not embedded.
        groups: ``[N]`` what is independent.
    """

    scores: Floats
    embeddings: Floats
    groups: NDArray[np.str_]


@dataclass(frozen=True)
class Verdicts:
    """Confirmed parts of the stream.

    Attributes:
        seen: How the detector sees them.
        defective: ``[N]`` what inspectors confirmed.
        weights: ``[N]`` inverse inclusion probabilities.
    """

    seen: Scored
    defective: NDArray[np.bool_]
    weights: Floats


@dataclass(frozen=True)
class Costs:
    """What a wrong decision costs, in any unit.

    Attributes:
        escape: A defective part that is accepted.
        false_reject: A good part that is rejected.
    """

    escape: float = 20.0
    false_reject: float = 1.0


@dataclass(frozen=True)
class Weighed:
    """What came of it.

    Attributes:
        value: The new threshold, on decision scores.
        promise: Of the new threshold, worked out for the detector and the fallback if that is on.
        fallback: Trained on all verdicts, if it is to be switched on.
        report: What was weighed.
    """

    value: float
    promise: Promise
    fallback: Fallback | None
    report: dict[str, Any]


def enough_for_threshold(verdicts: Verdicts) -> bool:
    """Whether there are confirmed parts of both kinds to move a threshold by."""
    return min(_groups(verdicts, True), _groups(verdicts, False)) >= MIN_OF_A_KIND


def weigh(
    verdicts: Verdicts,
    train_embeddings: Floats,
    selection: Scored,
    calibration: Scored,
    costs: Costs,
    max_false_reject: float,
    confidence: float,
    seed: int,
) -> Weighed:
    """Choose fallback and threshold.

    The verdicts and the selection parts choose; the calibration parts only bound what was chosen. The new threshold is
    the higher of two values: the one of least expected cost over the verdicts, and the lowest that keeps the promise
    by the calibration parts. Whatever the first is and however it was found, the rate of false rejects above the
    higher of the two is no larger than above the second, so that the promise holds for it.

    Args:
        verdicts: Confirmed parts; at least three groups of each kind.
        train_embeddings: ``[T, D]`` of good parts that trained the detector.
        selection: Good parts that neither trained nor calibrate; they set the scale of the pair.
        calibration: Good parts that choose nothing.
        costs: Of wrong decisions.
        max_false_reject: What the promise is to keep.
        confidence: With which confidence.
        seed: Of the folds.

    Raises:
        PromiseError: If the calibration parts cannot carry the promise.
        ConfigError: If it, or the confidence, does not lie between 0 and 1.
    """
    decision_scores = verdicts.seen.scores
    groups = _highest_of_each_group(calibration.scores, calibration.groups)
    fallback, choice = None, None
    selection, embedded = _embedded(selection), _embedded(calibration)
    missing = _what_is_missing(verdicts, selection, embedded, needed_groups(max_false_reject, confidence))
    if not missing:
        fused, fused_selection = _score_held_out(verdicts, train_embeddings, selection, seed)
        choice = _judge(verdicts, selection, fused, fused_selection, max_false_reject)
        if choice.switched_on:
            fallback = _fit(verdicts, np.ones(len(fused), dtype=bool), train_embeddings, selection)
            decision_scores = fused
            groups = _highest_of_each_group(_pair(fallback, embedded), embedded.groups)

    lowest, promise = conformal_threshold(groups, max_false_reject, confidence)
    cheapest = least_cost_value(decision_scores, verdicts.defective, verdicts.weights, costs.escape, costs.false_reject)
    value = max(cheapest, lowest)
    report = {
        "verdicts": {"good": int((~verdicts.defective).sum()), "defective": int(verdicts.defective.sum())},
        "least_cost_value": cheapest,
        "lowest_value_that_keeps_the_promise": lowest,
        "value": value,
        "bound": false_reject_bound(groups, value, confidence).limit,
        "costs": {"escape": costs.escape, "false_reject": costs.false_reject},
        "expected_cost_per_part": expected_cost(decision_scores, verdicts, value, costs),
        "fallback": _describe(choice, missing),
    }
    return Weighed(value, promise, fallback, report)


def expected_cost(decision_scores: Floats, verdicts: Verdicts, value: float, costs: Costs) -> float:
    """Cost for each part of the stream at a threshold, weighted by how the verdicts were chosen (Hájek's ratio)."""
    rejected = decision_scores > value
    wrong = np.where(verdicts.defective, ~rejected * costs.escape, rejected * costs.false_reject)
    return float((wrong * verdicts.weights).sum() / verdicts.weights.sum())


def _score_held_out(verdicts: Verdicts, train: Floats, selection: Scored, seed: int) -> tuple[Floats, Floats]:
    """Decision scores of the pair, each by a fallback that did not see the part's group; and of the selection parts."""
    fused = np.empty(len(verdicts.defective))
    of_selection = []
    for held_out in _folds(verdicts, seed):
        fallback = _fit(verdicts, ~held_out, train, selection)
        fused[held_out] = _pair(fallback, verdicts.seen)[held_out]
        of_selection.append(_pair(fallback, selection))
    return fused, np.mean(of_selection, axis=0)


def _judge(
    verdicts: Verdicts, selection: Scored, fused: Floats, fused_selection: Floats, max_false_reject: float
) -> Choice:
    good, bad = ~verdicts.defective, verdicts.defective
    weights = verdicts.weights[good]
    # Verdicts with unequal weights say less than as many parts drawn evenly: Kish's effective sample size.
    effective = weights.sum() / (weights**2).sum() if len(weights) else 0.0
    return choose_fallback(
        HeldOut(verdicts.seen.scores[bad], fused[bad]),
        HeldOut(
            np.concatenate([selection.scores, verdicts.seen.scores[good]]),
            np.concatenate([fused_selection, fused[good]]),
        ),
        np.concatenate([np.ones(len(selection.scores)), weights * effective]),
        max_false_reject,
    )


def _fit(verdicts: Verdicts, rows: NDArray[np.bool_], train: Floats, selection: Scored) -> Fallback:
    embeddings = np.concatenate([verdicts.seen.embeddings[rows], train])
    defective = np.concatenate([verdicts.defective[rows], np.zeros(len(train), dtype=bool)])
    fallback = Fallback.fit(embeddings, defective)
    return fallback.with_scale(fit_scale(selection.scores, fallback.predict(selection.embeddings)))


def _pair(fallback: Fallback, parts: Scored) -> Floats:
    assert fallback.scale is not None
    return fuse(parts.scores, fallback.predict(parts.embeddings), fallback.scale)


def _folds(verdicts: Verdicts, seed: int) -> list[NDArray[np.bool_]]:
    """Masks of the groups that each fold holds out; defective groups are dealt out evenly."""
    generator = np.random.default_rng(seed)
    defective = np.unique(verdicts.seen.groups[verdicts.defective])
    others = np.setdiff1d(verdicts.seen.groups, defective)
    dealt = np.concatenate([generator.permutation(defective), generator.permutation(others)])
    return [np.isin(verdicts.seen.groups, dealt[fold::_FOLDS]) for fold in range(_FOLDS)]


def _embedded(parts: Scored) -> Scored:
    """Without the groups of parts that were not embedded.

    Which are embedded was drawn by a seed, not by a score, so that those that stay are as good a sample.
    """
    lacking = parts.groups[~np.isfinite(parts.embeddings).all(axis=1)]
    rows = ~np.isin(parts.groups, lacking)
    return Scored(parts.scores[rows], parts.embeddings[rows], parts.groups[rows])


def _what_is_missing(verdicts: Verdicts, selection: Scored, calibration: Scored, needed: int) -> str:
    """Why no fallback can be judged, or nothing."""
    defects = _groups(verdicts, True)
    if defects < MIN_DEFECTS_FOR_FALLBACK:
        return f"{defects} defective parts are confirmed; a fallback takes at least {MIN_DEFECTS_FOR_FALLBACK}"
    if not len(selection.scores):
        return "no fallback: the bundle has no embeddings of its selection parts"
    groups = len(np.unique(calibration.groups))
    if groups < needed:
        return f"no fallback: {groups} calibration groups are embedded, and its promise takes {needed}"
    return ""


def _groups(verdicts: Verdicts, defective: bool) -> int:
    return len(np.unique(verdicts.seen.groups[verdicts.defective == defective]))


def _highest_of_each_group(scores: Floats, groups: NDArray[np.str_]) -> Floats:
    return np.array([scores[groups == group].max() for group in np.unique(groups)])


def _describe(choice: Choice | None, missing: str) -> dict[str, Any]:
    return {"switched_on": False, "text": missing} if choice is None else asdict(choice)
