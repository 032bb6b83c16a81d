"""Classes, lots and cameras: how many there are, and whether one gives another away."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import islice

import numpy as np
from scipy.stats import chi2_contingency

from curation.quality.findings import Check, Finding
from curation.quality.table import Table
from learning.images.records import GOOD, UNLABELLED

_FEW_GROUPS = 5
_RATIO = 10
_SHOWN = 6


def check_balance(table: Table, rate: float) -> Check:
    """Classes with few independent groups, rare lots and cameras, and lots or cameras that give the label away.

    Everything is counted in independent groups, not in pictures. Whether label and lot (or camera) go together is a
    chi-squared test with the probability ``rate`` of a false alarm.
    """
    findings = []
    notes = []
    labels = _counted(table, [record.label for record in table.records])
    for label, groups in labels.items():
        if label not in (GOOD, UNLABELLED) and len(groups) < _FEW_GROUPS:
            text = f"class {label} has {_count(len(groups), 'independent group')}: figures about it say little"
            findings.append(Finding("imbalance", _of(table, "label", label), text, len(groups), _FEW_GROUPS))
    defects = {label: groups for label, groups in labels.items() if label not in (GOOD, UNLABELLED)}
    for what, name, counts in (
        ("class", "label", defects),
        ("lot", "lot", _counted(table, [record.lot for record in table.records])),
        ("camera", "camera", _counted(table, [record.camera for record in table.records])),
    ):
        findings += _rare(table, what, name, counts)
    for name in ("lot", "camera"):
        values = [getattr(record, name) for record in table.records]
        if not any(values):
            notes.append(f"no {name}s are named: imbalance between them cannot be judged; a CSV has a column {name}")
            continue
        findings += _gives_away(table, name, values, rate)
    return Check(findings, {"imbalance": len(table.records)}, notes)


def _rare(table: Table, what: str, name: str, counts: dict[str, set[str]]) -> list[Finding]:
    if len(counts) < 2:
        return []
    most = max(counts, key=lambda value: len(counts[value]))
    rare = sorted(
        (v for v, groups in counts.items() if len(counts[most]) > _RATIO * len(groups)), key=lambda v: len(counts[v])
    )
    return [
        Finding(
            "imbalance",
            _of(table, name, value),
            f"{what} {value} has {_count(len(counts[value]), 'group')}, {what} {most} has {len(counts[most])}",
            len(counts[most]) / len(counts[value]),
            _RATIO,
        )
        for value in rare
    ]


def _gives_away(table: Table, name: str, values: Sequence[str | None], rate: float) -> list[Finding]:
    """Whether good and defective are spread differently over lots or cameras."""
    seen = {
        (record.group, value, record.defective)
        for record, value in zip(table.records, values, strict=True)
        if value and record.label != UNLABELLED
    }
    names = sorted({value for _, value, _ in seen})
    found = Counter((value, defective) for _, value, defective in seen)
    counts = np.array([[found[name, defective] for defective in (False, True)] for name in names])
    if len(names) < 2 or (counts.sum(axis=0) == 0).any():
        return []
    test = chi2_contingency(counts, correction=False)
    if test.pvalue >= rate:
        return []
    strength = float(np.sqrt(test.statistic / counts.sum()))
    shares = counts[:, 1] / counts.sum(axis=1)
    low, high = names[int(shares.argmin())], names[int(shares.argmax())]
    text = (
        f"{name} and label go together (Cramér's V {strength:.2f}): {shares.min():.0%} of the groups of {name} {low} "
        f"are defective, {shares.max():.0%} of {name} {high}; a model can learn the {name} instead of the defect"
    )
    images = _of(table, name, low)[: _SHOWN // 2] + _of(table, name, high)[: _SHOWN // 2]
    return [Finding("imbalance", images, text, float(test.pvalue), rate)]


def _counted(table: Table, values: Sequence[str | None]) -> dict[str, set[str]]:
    counts: dict[str, set[str]] = defaultdict(set)
    for record, value in zip(table.records, values, strict=True):
        if value:
            counts[value].add(record.group)
    return dict(sorted(counts.items()))


def _of(table: Table, name: str, value: str) -> list[int]:
    places = (place for place, record in enumerate(table.records) if getattr(record, name) == value)
    return list(islice(places, _SHOWN))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
