"""What scores, verdicts and time say together; pure functions on columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
from numpy.typing import NDArray

UNNAMED = "no kind given"
WIDE = 10
"""Highest score over the median, beyond which good parts would be one bar of a linear histogram."""


@dataclass(frozen=True)
class Effect:
    """What a threshold does to images of which a verdict is known, and to all.

    Attributes:
        false_rejects: Good images above it.
        good: Good images.
        escapes: Defective images that are not above it.
        defects: Defective images.
        rejected: Images above it, whatever is known of them.
        images: All images with a score.
    """

    false_rejects: int
    good: int
    escapes: int
    defects: int
    rejected: int
    images: int

    @property
    def text(self) -> str:
        """In words."""
        return (
            f"{_share(self.false_rejects, self.good)} good images rejected, "
            f"{_share(self.escapes, self.defects)} defects escape, "
            f"{_share(self.rejected, self.images)} images rejected in all"
        )


def _share(count: int, of: int) -> str:
    return f"{count} of {of}" + (f" ({100 * count / of:.1f} %)" if of else "")


def effect_of(threshold: float, scores: Sequence[float | None], verdicts: Sequence[str | None]) -> Effect:
    """Count what a threshold does; an image is rejected above it.

    Args:
        threshold: In units of the decision score.
        scores: [N] decision scores; None where an image has none.
        verdicts: [N] ``good``, ``defect`` or anything else.
    """
    values, states = _known(scores, verdicts)
    above = values > threshold
    good, defect = states == "good", states == "defect"
    return Effect(
        false_rejects=int((good & above).sum()),
        good=int(good.sum()),
        escapes=int((defect & ~above).sum()),
        defects=int(defect.sum()),
        rejected=int(above.sum()),
        images=len(values),
    )


def spread_wide(scores: Sequence[float]) -> bool:
    """Whether scores are better shown on a logarithmic axis: all above 0, and the highest far from most of them."""
    return bool(len(scores)) and min(scores) > 0 and max(scores) > WIDE * float(np.median(scores))


def score_histogram(
    scores: Sequence[float | None], verdicts: Sequence[str | None], bins: int = 60, logarithmic: bool = False
) -> tuple[list[float], dict[str, list[int]]]:
    """Counts of decision scores, apart for what verdicts say.

    Args:
        scores: [N]; None where an image has none.
        verdicts: [N].
        bins: How many, evenly between the least score and the highest.
        logarithmic: Whether that is by their logarithms; scores are above 0 then.

    Returns:
        Borders of the bins, ``[bins + 1]``, and counts for ``good``, ``defect`` and ``no verdict``; both empty without
        scores.
    """
    values, states = _known(scores, verdicts)
    if not len(values):
        return [], {}
    shown = np.log10(values) if logarithmic else values
    edges = np.histogram_bin_edges(shown, bins)
    known = {"good": states == "good", "defect": states == "defect"}
    known["no verdict"] = ~(known["good"] | known["defect"])
    counts = {name: np.histogram(shown[chosen], edges)[0].tolist() for name, chosen in known.items()}
    return (10**edges if logarithmic else edges).tolist(), counts


@dataclass(frozen=True)
class ClassShare:
    """A kind of defect in a Pareto chart.

    Attributes:
        name: The kind.
        count: How many images.
        cumulative: Share of all up to it, 0..1.
        critical: How many of them an inspector called critical.
        not_critical: How many an inspector called not critical; nobody has judged the others.
    """

    name: str
    count: int
    cumulative: float
    critical: int
    not_critical: int

    @property
    def not_judged(self) -> int:
        """How many of them nobody has judged."""
        return self.count - self.critical - self.not_critical


def pareto(classes: Sequence[str | None], severities: Sequence[str | None]) -> list[ClassShare]:
    """Kinds of defect, the most frequent first, equal ones by name.

    Args:
        classes: Of each defective image; None where nobody has named it.
        severities: ``critical``, ``not critical``, or None where nobody has judged it.
    """
    names = [name or UNNAMED for name in classes]
    counts = sorted(Counter(names).items(), key=lambda pair: (-pair[1], pair[0]))
    judged = Counter(zip(names, severities, strict=True))
    total = np.cumsum([count for _, count in counts])
    return [
        ClassShare(name, count, float(reached / total[-1]), judged[name, "critical"], judged[name, "not critical"])
        for (name, count), reached in zip(counts, total, strict=True)
    ]


@dataclass(frozen=True)
class Day:
    """The images of a day: their number, score quantiles (5 %, median, 95 %) and the share that was rejected."""

    day: date
    images: int
    low: float
    median: float
    high: float
    rejected: float


def by_day(
    times: Sequence[datetime | None], scores: Sequence[float | None], decisions: Sequence[str | None]
) -> list[Day]:
    """How scores and rejections went over time, by days in UTC; images without time or score are left out.

    Args:
        times: [N].
        scores: [N] decision scores.
        decisions: [N] ``accept`` or ``reject``.
    """
    days: dict[date, list[tuple[float, bool]]] = {}
    for time, score, decision in zip(times, scores, decisions, strict=True):
        if time is not None and score is not None:
            days.setdefault(time.date(), []).append((score, decision == "reject"))
    found = []
    for day, rows in sorted(days.items()):
        low, median, high = np.percentile([score for score, _ in rows], (5, 50, 95)).tolist()
        found.append(Day(day, len(rows), low, median, high, sum(rejected for _, rejected in rows) / len(rows)))
    return found


def _known(
    scores: Sequence[float | None], verdicts: Sequence[str | None]
) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    rows = [(score, verdict or "") for score, verdict in zip(scores, verdicts, strict=True) if score is not None]
    return np.array([score for score, _ in rows], dtype=np.float64), np.array([v for _, v in rows], dtype=np.str_)
