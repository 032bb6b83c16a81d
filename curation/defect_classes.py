"""Kinds and severities of confirmed defects, in the inspectors' words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container
from typing import TYPE_CHECKING

from curation.trends import ClassShare, pareto

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


def kinds_of_defects(ledger: Ledger, image_ids: Container[str] | None = None) -> list[ClassShare]:
    """Kinds of confirmed defects, the most frequent first, and how many of each are critical.

    Args:
        ledger: With verdicts.
        image_ids: Among which images; by default all.
    """
    found = [one for one in ledger.resolved() if one.state == "defect"]
    shown = [one for one in found if image_ids is None or one.image_id in image_ids]
    return pareto([class_of(one) for one in shown], [severity_of(one) for one in shown])


def known_classes(ledger: Ledger) -> list[str]:
    """Kinds that inspectors have named, the most frequent first, at most ``MOST_CLASSES``."""
    counts = Counter(verdict.defect_class for verdict in ledger.verdicts() if verdict.defect_class)
    return [name for name, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_CLASSES]]
