"""All checks of a data set in one go, as plain data."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from curation.quality.balance import check_balance
from curation.quality.cache import Cache
from curation.quality.duplicates import check_duplicates, groups_are_known
from curation.quality.findings import KINDS, Check, Finding
from curation.quality.formats import check_formats, check_masks
from curation.quality.outliers import check_outliers
from curation.quality.pictures import check_exposure, check_files, check_focus
from curation.quality.scored import score_all
from curation.quality.statistics import Row, statistics
from curation.quality.table import Table, measure_all
from learning.bundle import Bundle
from learning.images.records import ImageRecord
from learning.progress import Progress, silent

FALSE_ALARMS = 0.001
"""Default probability that an ordinary picture is found, for each kind of finding."""

BY_CHANCE = frozenset(
    {"suspect", "blurred", "too_dark", "too_bright", "low_contrast", "clipped_dark", "clipped_bright"}
)
"""Kinds that find an ordinary picture now and then."""


@dataclass(frozen=True)
class QualityReport:
    """What is to be looked at before training.

    Attributes:
        table: The images and what was measured of them.
        findings: By kind, in the order of ``KINDS``; within a kind the most pressing first.
        judged: Images that could be judged, by kind.
        notes: What could not be judged, and what to know.
        statistics: Exploratory figures.
        ranking: Places of the good images, those that were found first, then by how little they are like the others.
        groups_known: Whether some images are said to belong together; else each counts as independent.
        suspects_by: ``score`` or ``simple features``.
        rate: Probability that an ordinary picture is found, for each of ``BY_CHANCE``.
    """

    table: Table
    findings: Mapping[str, Sequence[Finding]]
    judged: Mapping[str, int]
    notes: Sequence[str]
    statistics: Sequence[Row]
    ranking: Sequence[int]
    suspects_by: str
    groups_known: bool
    rate: float

    def by_chance(self, kind: str) -> float | None:
        """How many findings of a kind a set without flaws would have at most, on average."""
        return self.rate * self.judged.get(kind, 0) if kind in BY_CHANCE else None

    def to_json(self) -> dict[str, Any]:
        """One object that can be written as JSON."""
        names = [str(record.path) for record in self.table.records]
        return {
            "images": len(names),
            "false_alarm_rate": self.rate,
            "suspects_by": self.suspects_by,
            "groups_known": self.groups_known,
            "counts": {kind: len(found) for kind, found in self.findings.items()},
            "findings": {
                kind: [
                    {
                        "images": [names[place] for place in finding.images],
                        "text": finding.text,
                        "value": finding.value,
                        "limit": finding.limit,
                    }
                    for finding in found
                ]
                for kind, found in self.findings.items()
            },
            "judged": dict(self.judged),
            "by_chance": {kind: self.by_chance(kind) for kind in KINDS if kind in BY_CHANCE},
            "least_like_the_others": [names[place] for place in self.ranking],
            "statistics": [asdict(row) for row in self.statistics],
            "notes": list(self.notes),
        }


def check_quality(
    records: Sequence[ImageRecord],
    cache: Cache,
    bundle: Bundle | None = None,
    rate: float = FALSE_ALARMS,
    progress: Progress = silent,
) -> QualityReport:
    """Look at a data set before something is trained on it. Nothing is changed: every finding is a proposal.

    Args:
        records: The images; a group may lie on both sides of a split.
        cache: Keeps measurements between runs.
        bundle: Its scores tell suspected defects, its embeddings help to find near duplicates.
        rate: Probability that an ordinary picture is found, for each kind of finding, 0 to 0.05.
        progress: Told how far it is.
    """
    table = measure_all(records, cache, progress)
    scores, embeddings = (None, None) if bundle is None else score_all(table, bundle, cache, progress)
    outliers = check_outliers(table, rate, scores)
    checks: list[Check] = [
        check_files(table),
        check_masks(table, progress),
        check_formats(table, rate),
        check_exposure(table, rate),
        check_focus(table, rate),
        check_duplicates(table, embeddings, progress),
        check_balance(table, rate),
        outliers,
    ]
    findings = [finding for check in checks for finding in check.findings]
    return QualityReport(
        table=table,
        findings={kind: found for kind in KINDS if (found := [f for f in findings if f.kind == kind])},
        judged={kind: count for check in checks for kind, count in check.judged.items()},
        notes=list(dict.fromkeys(note for check in checks for note in check.notes)),
        statistics=statistics(table),
        ranking=outliers.details["ranking"],
        suspects_by=outliers.details["by"],
        groups_known=groups_are_known(table),
        rate=rate,
    )


def flagged(report: QualityReport) -> dict[int, list[str]]:
    """Kinds of findings of each image that has some; imbalance is about the set and left out."""
    found: dict[int, set[str]] = {}
    for kind, findings in report.findings.items():
        if kind != "imbalance":
            for place in (int(place) for finding in findings for place in np.asarray(finding.images)):
                found.setdefault(place, set()).add(kind)
    return {place: sorted(kinds) for place, kinds in sorted(found.items())}
