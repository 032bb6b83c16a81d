"""The judgement: one gate for the primary metric, one for each margin, and one for cases that must be caught."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from learning.challenge.config import ChallengeConfig, Metric
from learning.challenge.gains import Gain, Pairs, gain
from learning.errors import PromiseError
from learning.thresholds import needed_groups, percent

LEAST_GROUPS = 20
"""A bootstrap of fewer groups of a kind says little, whatever the margins."""

_SHOWN = 3
_WORDS = {
    Metric.AUROC: "AUROC on the frozen set",
    Metric.ESCAPE: "defective parts of the frozen set accepted",
    Metric.FALSE_REJECT: "good parts of the frozen set rejected",
    Metric.COST: "cost of wrong decisions about a part of the frozen set",
    Metric.SYNTHETIC_ESCAPE: "made-up defects accepted",
}


@dataclass(frozen=True)
class RegressionCase:
    """A part that every challenger must reject.

    Attributes:
        name: The image, as people know it.
        caught_by_champion: Whether the champion rejects it.
        caught_by_challenger: Whether the challenger does.
    """

    name: str
    caught_by_champion: bool
    caught_by_challenger: bool


@dataclass(frozen=True)
class Gate:
    """One condition.

    Attributes:
        name: Metric, or ``regression_cases``.
        passed: Whether the challenger meets it.
        text: What was measured and what was asked for, in words.
        champion: The champion's figure.
        challenger: The challenger's.
        gain: By how much the challenger is better; below zero where it is worse.
        lower: What the gain is at least, with the confidence of the configuration.
        needed: What ``lower`` had to reach; of the primary metric, the gain that had to be exceeded.
    """

    name: str
    passed: bool
    text: str
    champion: float
    challenger: float
    gain: float
    lower: float
    needed: float


@dataclass(frozen=True)
class Judgement:
    """What came of it.

    Attributes:
        wins: Whether the challenger passes every gate.
        text: In words: why it is promoted, or why it is refused.
        gates: Each condition, the primary one first.
        counts: Parts, groups, and regression cases that it rests on.
    """

    wins: bool
    text: str
    gates: tuple[Gate, ...]
    counts: dict[str, int]

    def report(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def check_carries(pairs: Pairs, config: ChallengeConfig, synthetic_groups: int | None = None) -> None:
    """Refuse a frozen set that cannot carry a decision; scores are not looked at.

    A margin m takes as many groups as a promise of m: with fewer, a challenger that errs on none of them could still
    be worse by more than m. Groups that stand for unequally many parts count as Kish's effective number.

    Args:
        pairs: The frozen set.
        config: Its margins say how much it takes.
        synthetic_groups: Good groups with made-up defects, where there are any yet.

    Raises:
        PromiseError: Naming how many groups it takes, and how many more verdicts that is.
    """
    for defective in (True, False):
        groups, effective = pairs.count(defective)
        needed, why = _needed(config, Metric.ESCAPE if defective else Metric.FALSE_REJECT)
        if Metric.SYNTHETIC_ESCAPE in config.margins and not defective and synthetic_groups is None:
            also, reason = _needed(config, Metric.SYNTHETIC_ESCAPE)
            needed, why = max((needed, why), (also, reason))
        # A whole number of groups of equal weight is not to fail by rounding.
        if effective + 1e-6 < needed:
            raise _too_few(defective, groups, effective, needed, why, config)
    if synthetic_groups is not None and Metric.SYNTHETIC_ESCAPE in config.margins:
        needed, why = _needed(config, Metric.SYNTHETIC_ESCAPE)
        if synthetic_groups < needed:
            raise _too_few(False, synthetic_groups, synthetic_groups, needed, why, config)


def judge(
    frozen: Pairs,
    config: ChallengeConfig,
    synthetic: Pairs | None = None,
    regressions: Sequence[RegressionCase] = (),
) -> Judgement:
    """Judge a challenger.

    It wins if with the confidence given it gets right more than ``least_gain`` of what the champion gets wrong in the
    primary metric, if in no metric with a margin it may be worse by more than that, and if it catches every regression
    case. As all have to be passed, further gates
    only make a wrong promotion rarer, and no correction for their number is needed (intersection-union: Berger, 1982).

    Args:
        frozen: Confirmed parts that neither model learnt from.
        config: Fixed beforehand.
        synthetic: Made-up defects on good parts of the frozen set; groups are the parts that they are on.
        regressions: Parts that the challenger has to reject.

    Raises:
        PromiseError: If the data cannot carry a decision.
    """
    wanted = Metric.SYNTHETIC_ESCAPE in config.margins
    check_carries(frozen, config, (synthetic.count(True)[0] if synthetic else 0) if wanted else None)
    gates = []
    for metric in [config.primary, *config.margins]:
        # Of its own, so that a margin more or less leaves the other bounds as they are.
        generator = np.random.default_rng([config.seed, list(Metric).index(metric)])
        pairs = synthetic if metric is Metric.SYNTHETIC_ESCAPE and synthetic is not None else frozen
        found = gain(pairs, metric, config.confidence, config.resamples, generator, config.costs, config.least_gain)
        gates.append(_gate(metric, found, config))
    if regressions:
        gates.append(_regression_gate(regressions))
    failed = [gate for gate in gates if not gate.passed]
    text = "refused: " + "; ".join(gate.text for gate in failed) if failed else "wins: " + gates[0].text
    counts = {
        "defective_groups": frozen.count(True)[0],
        "good_groups": frozen.count(False)[0],
        "parts": len(frozen.defective),
        "synthetic_defects": len(synthetic.defective) if synthetic else 0,
        "regression_cases": len(regressions),
    }
    return Judgement(not failed, text, tuple(gates), counts)


def _gate(metric: Metric, found: Gain, config: ChallengeConfig) -> Gate:
    sure = f"with {percent(config.confidence)} confidence"
    if metric is config.primary:
        mistakes = 1 - found.champion if metric is Metric.AUROC else found.champion
        needed = config.least_gain * mistakes
        passed = found.beyond > 0
        # The champion's mistakes are resampled with the rest, so that no fixed figure is what has to be exceeded.
        share = f" by more than {percent(config.least_gain)} of the champion's mistakes"
        least = f"{share} ({_figure(metric, needed)} here)" if needed else ""
        said = f"better{least}, {sure}" if passed else f"not shown to be better{least}, {sure}"
        said += f" ({_bound(metric, found.lower)})"
    else:
        needed = -config.margins[metric]
        passed = found.lower >= needed
        said = f"{_bound(metric, found.lower)}, {sure}; {_figure(metric, -needed)} is allowed"
    figures = f"{_WORDS[metric]}: {_figure(metric, found.challenger)} instead of {_figure(metric, found.champion)}"
    return Gate(
        metric.value, passed, f"{figures}; {said}", found.champion, found.challenger, found.gain, found.lower, needed
    )


def _bound(metric: Metric, lower: float) -> str:
    if lower >= 0:
        return f"better by {_figure(metric, lower)} at least"
    return f"it may be worse by up to {_figure(metric, -lower)}"


def _figure(metric: Metric, value: float) -> str:
    if metric in (Metric.AUROC, Metric.COST):
        return f"{value:.3g}" if metric is Metric.COST else f"{value:.3f}"
    return f"{100 * value:.1f} %"


def _regression_gate(cases: Sequence[RegressionCase]) -> Gate:
    missed = [case for case in cases if not case.caught_by_challenger]
    caught = [sum(case.caught_by_champion for case in cases), len(cases) - len(missed)]
    text = f"all {len(cases)} regression cases are caught"
    if missed:
        names = ", ".join(case.name for case in missed[:_SHOWN])
        more = f" and {len(missed) - _SHOWN} more" if len(missed) > _SHOWN else ""
        text = f"{len(missed)} of {len(cases)} regression cases are missed: {names}{more}"
    share = [count / len(cases) for count in caught]
    return Gate("regression_cases", not missed, text, share[0], share[1], share[1] - share[0], share[1] - share[0], 0.0)


def _needed(config: ChallengeConfig, metric: Metric) -> tuple[int, str]:
    margin = config.margins.get(metric)
    if margin is None or needed_groups(margin, config.confidence) < LEAST_GROUPS:
        return LEAST_GROUPS, "to be resampled"
    return needed_groups(margin, config.confidence), f"for the margin of {percent(margin)} of {metric.value}"


def _too_few(
    defective: bool, groups: int, effective: float, needed: int, why: str, config: ChallengeConfig
) -> PromiseError:
    kind = "defective" if defective else "good"
    counting = f", which say as much as {effective:.1f} asked about evenly" if effective < groups - 0.5 else ""
    more = needed - groups if not effective else int(np.ceil(groups * needed / effective)) - groups
    # Of what is confirmed only a share is frozen.
    confirmed = int(np.ceil(more / config.frozen_share))
    msg = (
        f"no decision: it takes {needed} independent {kind} parts in the frozen set {why}, with "
        f"{percent(config.confidence)} confidence; there are {groups}{counting}: confirm about {confirmed} more {kind} "
        f"parts, {percent(config.frozen_share)} of which are frozen, or allow wider margins"
    )
    return PromiseError(msg, needed=needed, available=groups)
