"""How inspectors agree with each other, and how each of them errs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from curation.by_hand import GOLD, SECOND_LOOK
from curation.ledger.resolution import readings
from learning.agreement import cohen_kappa, fleiss_kappa
from learning.intervals import clopper_pearson

if TYPE_CHECKING:
    from curation.ledger import Ledger, VerdictRow

ANSWERS = ("good", "defect", "unsure")


@dataclass(frozen=True)
class ErrorRate:
    """How often one inspector said the opposite of the truth; with an exact 95 % interval (Clopper & Pearson, 1934).

    Attributes:
        errors: Answers that were wrong.
        answers: Answers about images of that truth, without ``unsure``.
        low: Lower end, 0..1.
        high: Upper end, 0..1.
    """

    errors: int
    answers: int
    low: float
    high: float

    @property
    def rate(self) -> float | None:
        """``errors / answers``, 0..1; None without answers."""
        return self.errors / self.answers if self.answers else None


@dataclass(frozen=True)
class Bias:
    """The two ways to err.

    Attributes:
        false_good: A defect that was called good.
        false_defect: A good part that was called a defect.
    """

    false_good: ErrorRate
    false_defect: ErrorRate


@dataclass(frozen=True)
class InspectorFigures:
    """One inspector.

    Attributes:
        inspector: Who.
        answers: Answers that stand, with those to gold items.
        unsure: How many of them were ``unsure``.
        gold: Answers to gold items, against what is known of them: the fair measure.
        settled: Against what at least two inspectors settled, by first answers. The own word is part of it.
    """

    inspector: str
    answers: int
    unsure: int
    gold: Bias
    settled: Bias


@dataclass(frozen=True)
class PairFigures:
    """Two inspectors: Cohen's kappa over the images that both answered; None where it is not defined."""

    first: str
    second: str
    images: int
    kappa: float | None


@dataclass(frozen=True)
class InspectorReport:
    """All inspectors.

    Attributes:
        inspectors: By name.
        pairs: Those who answered at least one image both.
        images: Images that at least two of them answered.
        fleiss: Fleiss' kappa over these; None where it is not defined.
    """

    inspectors: tuple[InspectorFigures, ...]
    pairs: tuple[PairFigures, ...]
    images: int
    fleiss: float | None


def inspector_report(ledger: Ledger) -> InspectorReport:
    """Say how inspectors agree and err.

    Agreement is measured on first answers: those of second looks were given because somebody had doubted. Verdicts
    that nobody was asked for are left out.

    Args:
        ledger: With verdicts and gold items.
    """
    from curation.gold import gold_truths

    strategies = {ask.ask_id: ask.strategy for ask in ledger.asks()}
    by_image: dict[str, list[VerdictRow]] = {}
    for verdict in ledger.verdicts():
        if verdict.ask_id is not None:
            by_image.setdefault(verdict.image_id, []).append(verdict)
    standing = [head for verdicts in by_image.values() for head in readings(verdicts)]
    gold = [v for v in standing if strategies[v.ask_id or ""] == GOLD]
    first = _first_of_each([v for v in standing if strategies[v.ask_id or ""] not in (GOLD, SECOND_LOOK)])
    truths: Mapping[str, str] = gold_truths(ledger)
    vouched = {item.image_id for item in ledger.gold_items()}
    settled: dict[str, str] = {
        one.image_id: one.state
        for one in ledger.resolved()
        if one.state != "unresolved" and len({v.inspector for v in one.verdicts}) > 1
    }
    names = sorted({verdict.inspector for verdict in standing})
    figures = [
        InspectorFigures(
            inspector=name,
            answers=sum(v.inspector == name for v in standing),
            unsure=sum(v.inspector == name and v.verdict == "unsure" for v in standing),
            gold=_bias([v for v in gold if v.inspector == name], truths),
            settled=_bias([v for v in first if v.inspector == name and v.image_id not in vouched], settled),
        )
        for name in names
    ]
    return _with_agreement(tuple(figures), first, names)


def _with_agreement(
    figures: tuple[InspectorFigures, ...], first: Iterable[VerdictRow], names: list[str]
) -> InspectorReport:
    said: dict[str, dict[str, str]] = {}
    for verdict in first:
        said.setdefault(verdict.image_id, {})[verdict.inspector] = verdict.verdict
    shared = [answers for answers in said.values() if len(answers) > 1]
    pairs = []
    for one, other in combinations(names, 2):
        both = [(answers[one], answers[other]) for answers in shared if one in answers and other in answers]
        if both:
            kappa = cohen_kappa([a for a, _ in both], [b for _, b in both])
            pairs.append(PairFigures(one, other, len(both), _or_none(kappa)))
    table = [[Counter(answers.values())[name] for name in ANSWERS] for answers in shared]
    fleiss = _or_none(fleiss_kappa(table)) if table else None
    return InspectorReport(figures, tuple(pairs), len(shared), fleiss)


def _first_of_each(verdicts: Iterable[VerdictRow]) -> list[VerdictRow]:
    """The first answer of each inspector to each image."""
    first: dict[tuple[str, str], VerdictRow] = {}
    for verdict in sorted(verdicts, key=lambda verdict: (verdict.at, verdict.number)):
        first.setdefault((verdict.image_id, verdict.inspector), verdict)
    return list(first.values())


def _bias(verdicts: Iterable[VerdictRow], truths: Mapping[str, str]) -> Bias:
    told = Counter[tuple[str | None, str]]((truths.get(v.image_id), v.verdict) for v in verdicts)
    return Bias(_error_rate(told, "defect", "good"), _error_rate(told, "good", "defect"))


def _error_rate(told: Counter[tuple[str | None, str]], truth: str, wrong: str) -> ErrorRate:
    errors, answers = told[truth, wrong], told[truth, "good"] + told[truth, "defect"]
    low, high = clopper_pearson(errors, answers)
    return ErrorRate(errors, answers, low, high)


def _or_none(kappa: float) -> float | None:
    return None if kappa != kappa else kappa
