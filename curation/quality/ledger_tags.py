"""Findings as tags in the ledger."""

from dataclasses import dataclass

from curation.ledger import Ledger, TagEntry
from curation.quality.report import QualityReport, flagged
from curation.tag_sync import FINDING

WHO = "curate check"


@dataclass(frozen=True)
class Tagged:
    """What was done.

    Attributes:
        tagged: Images of the ledger that have findings.
        cleared: Images of the ledger whose findings of an earlier check are gone.
        unknown: Images with findings that are not in the ledger.
    """

    tagged: int
    cleared: int
    unknown: int


def tag_findings(ledger: Ledger, report: QualityReport) -> Tagged:
    """Tag the images that have findings, and take away tags of an earlier check of the same images that no longer hold.

    Images are told by content. Tags that people gave stay. Repeatable.
    """
    known = {image.image_id for image in ledger.images()}
    # An image id is the beginning of the checksum.
    ids = [checksum.hex()[:32] for checksum in report.table.checksums]
    wanted: dict[str, set[str]] = {}
    for place, kinds in flagged(report).items():
        wanted.setdefault(ids[place], set()).update(FINDING + kind for kind in kinds)
    checked = set(ids)
    held: dict[str, set[str]] = {}
    for row in ledger.tags():
        if row.who == WHO and row.tag.startswith(FINDING) and row.image_id in checked:
            held.setdefault(row.image_id, set()).add(row.tag)
    new = [(key, tag) for key in sorted(wanted.keys() & known) for tag in sorted(wanted[key] - held.get(key, set()))]
    old = [(key, tag) for key, tags in held.items() for tag in sorted(tags - wanted.get(key, set()))]
    ledger.change_tags(
        [TagEntry(key, tag, "set", WHO) for key, tag in new] + [TagEntry(key, tag, "removed", WHO) for key, tag in old]
    )
    return Tagged(len(wanted.keys() & known), len(held.keys() - wanted.keys()), len(wanted.keys() - known))
