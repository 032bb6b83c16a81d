"""What confirmed verdicts change: the fallback on or off, and the threshold. Arrays in, arrays out."""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learning.costs import check_costs, least_cost_value
from learning.fusion import Choice, HeldOut, choose_fallback, fit_scale, fuse
from learning.supervised.fallback import Fallback
from learning.supervised.linear import LinearModel
from learning.thresholds import Promise, conformal_threshold, false_reject_bound, needed_groups

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

    def embedded(self) -> NDArray[np.bool_]:
        """``[N]``: false for every part of a group that was not embedded as a whole.

        Which are embedded was drawn by a seed, not by a score, so that those that stay are as good a sample.
        """
        lacking = self.groups[~np.isfinite(self.embeddings).all(axis=1)]
        return ~np.isin(self.groups, lacking)

    def rows(self, chosen: NDArray[np.bool_]) -> "Scored":
        """Some of the parts."""
        return Scored(self.scores[chosen], self.embeddings[chosen], self.groups[chosen])


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
class HeadScores:
    """What segmentation heads say: one for each of the folds, trained without it, and the last trained on all.

    Attributes:
        heads: ``F + 1`` of them.
        verdicts: ``[N]`` of the confirmed parts, each by the head of the fold that held it out.
        selection: ``[F + 1, S]`` of the selection parts.
        calibration: ``[C]`` of the calibration parts, by the last head.
    """

    heads: tuple[LinearModel, ...]
    verdicts: Floats
    selection: Floats
    calibration: Floats


@dataclass(frozen=True)
class Costs:
    """What a wrong decision costs, in any unit.

    Attributes:
        escape: A defective part that is accepted; above 0.
        false_reject: A good part that is rejected; above 0.

    Raises:
        ConfigError: If a cost is not above zero, or not finite: what costs nothing would be done to every part.
    """

    escape: float = 20.0
    false_reject: float = 1.0

    def __post_init__(self) -> None:
        check_costs(self.escape, self.false_reject)


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
    heads: HeadScores | None = None,
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
        heads: Of the same folds, if there are enough masks: a fallback with a segmentation head is weighed too.

    Raises:
        PromiseError: If the calibration parts cannot carry the promise.
        ConfigError: If it, or the confidence, does not lie between 0 and 1.
    """
    decision_scores = verdicts.seen.scores
    groups = _highest_of_each_group(calibration.scores, calibration.groups)
    fallback, choices = None, []
    selected, embedded_rows = selection.embedded(), calibration.embedded()
    selection, embedded = selection.rows(selected), calibration.rows(embedded_rows)
    missing = _what_is_missing(verdicts, selection, embedded, needed_groups(max_false_reject, confidence))
    if not missing:
        if heads is not None:
            heads = replace(heads, selection=heads.selection[:, selected], calibration=heads.calibration[embedded_rows])
        best, chosen = Candidate("the detector alone", decision_scores, selection.scores), None
        # From simple to complex: each has to do better than the best of those before it.
        for candidate_heads in [None] if heads is None else [None, heads]:
            candidate = score_held_out(verdicts, train_embeddings, selection, seed, candidate_heads)
            choices.append(judge(verdicts, best, candidate, max_false_reject))
            if choices[-1].switched_on:
                best, chosen = candidate, candidate_heads
        if any(choice.switched_on for choice in choices):
            decision_scores = best.verdicts
            fallback = _fit(verdicts, np.ones(len(decision_scores), dtype=bool), train_embeddings, selection, chosen)
            pair = _pair(fallback, embedded, None if chosen is None else chosen.calibration)
            groups = _highest_of_each_group(pair, embedded.groups)

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
        "fallback": _describe(choices, fallback, missing),
    }
    return Weighed(value, promise, fallback, report)


def expected_cost(decision_scores: Floats, verdicts: Verdicts, value: float, costs: Costs) -> float:
    """Cost for each part of the stream at a threshold, weighted by how the verdicts were chosen (Hájek's ratio)."""
    rejected = decision_scores > value
    wrong = np.where(verdicts.defective, ~rejected * costs.escape, rejected * costs.false_reject)
    return float((wrong * verdicts.weights).sum() / verdicts.weights.sum())


def deal_folds(verdicts: Verdicts, seed: int) -> list[NDArray[np.bool_]]:
    """Masks ``[N]`` of the parts that each fold holds out: whole groups, the defective ones dealt out evenly."""
    generator = np.random.default_rng(seed)
    defective = np.unique(verdicts.seen.groups[verdicts.defective])
    others = np.setdiff1d(verdicts.seen.groups, defective)
    dealt = np.concatenate([generator.permutation(defective), generator.permutation(others)])
    return [np.isin(verdicts.seen.groups, dealt[fold::_FOLDS]) for fold in range(_FOLDS)]


@dataclass(frozen=True)
class Candidate:
    """Decision scores by which something is judged.

    Attributes:
        name: In words.
        verdicts: ``[N]`` of the confirmed parts, none by a fallback that learnt from it.
        selection: ``[S]`` of the selection parts.
    """

    name: str
    verdicts: Floats
    selection: Floats


def score_held_out(
    verdicts: Verdicts, train: Floats, selection: Scored, seed: int, heads: HeadScores | None
) -> Candidate:
    """Score the pair, each verdict by a fallback that did not see the part's group.

    Args:
        verdicts: Confirmed parts.
        train: ``[T, D]`` embeddings of good parts that trained the detector.
        selection: Good parts that set the scale of the pair.
        seed: Of the folds.
        heads: Of the same folds, where the fallback has a segmentation head.
    """
    fused = np.empty(len(verdicts.defective))
    of_selection = []
    for fold, held_out in enumerate(deal_folds(verdicts, seed)):
        fallback = _fit(verdicts, ~held_out, train, selection, heads, fold)
        fused[held_out] = _pair(fallback, verdicts.seen, None if heads is None else heads.verdicts)[held_out]
        of_selection.append(_pair(fallback, selection, None if heads is None else heads.selection[fold]))
    name = "the fallback" if heads is None else "a fallback with a segmentation head"
    return Candidate(name, fused, np.mean(of_selection, axis=0))


def judge(verdicts: Verdicts, simpler: Candidate, richer: Candidate, max_false_reject: float) -> Choice:
    """Whether the richer candidate takes the simpler one's place, see ``choose_fallback``."""
    good, bad = ~verdicts.defective, verdicts.defective
    weights = verdicts.weights[good]
    # Verdicts with unequal weights say less than as many parts drawn evenly: Kish's effective sample size.
    effective = weights.sum() / (weights**2).sum() if len(weights) else 0.0
    return choose_fallback(
        HeldOut(simpler.verdicts[bad], richer.verdicts[bad]),
        HeldOut(
            np.concatenate([simpler.selection, simpler.verdicts[good]]),
            np.concatenate([richer.selection, richer.verdicts[good]]),
        ),
        np.concatenate([np.ones(len(simpler.selection)), weights * effective]),
        max_false_reject,
        simpler=simpler.name,
        richer=richer.name,
    )


def _fit(
    verdicts: Verdicts,
    rows: NDArray[np.bool_],
    train: Floats,
    selection: Scored,
    heads: HeadScores | None,
    fold: int = -1,
) -> Fallback:
    embeddings = np.concatenate([verdicts.seen.embeddings[rows], train])
    defective = np.concatenate([verdicts.defective[rows], np.zeros(len(train), dtype=bool)])
    fallback = Fallback.fit(embeddings, defective, None if heads is None else heads.heads[fold])
    of_selection = fallback.combine(selection.embeddings, None if heads is None else heads.selection[fold])
    return fallback.with_scale(fit_scale(selection.scores, of_selection))


def _pair(fallback: Fallback, parts: Scored, head_scores: Floats | None) -> Floats:
    assert fallback.scale is not None
    return fuse(parts.scores, fallback.combine(parts.embeddings, head_scores), fallback.scale)


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


def _describe(choices: list[Choice], fallback: Fallback | None, missing: str) -> dict[str, Any]:
    chosen = "none" if fallback is None else "classifier and head" if fallback.needs_dense else "classifier"
    return {
        "switched_on": fallback is not None,
        "chosen": chosen,
        "text": missing or "; ".join(choice.text for choice in choices),
        "weighed": [asdict(choice) for choice in choices],
    }
