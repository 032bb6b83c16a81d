"""Kinds and severities of confirmed defects, in the inspectors' words."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from curation.ledger import Ledger, Resolution, Severity

MOST_CLASSES = 12
"""Kinds to choose from on one page."""


def class_of(resolution: Resolution) -> str | None:
    """The kind that was named last; None where nobody has named it."""
    names = [verdict.defect_class for verdict in resolution.verdicts if verdict.defect_class]
    return names[-1] if names else None


def severity_of(resolution: Resolution) -> Severity | None:
    """``critical`` where anybody said so: who is careful is believed; None where nobody has judged it."""
    said = {verdict.severity for verdict in resolution.verdicts if verdict.severity}
    return "critical" if "critical" in said else "not critical" if said else None


def known_classes(ledger: Ledger) -> list[str]:
    """Kinds that inspectors have named, the most frequent first, at most ``MOST_CLASSES``."""
    counts = Counter(verdict.defect_class for verdict in ledger.verdicts() if verdict.defect_class)
    return [name for name, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_CLASSES]]
