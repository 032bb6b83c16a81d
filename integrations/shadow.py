"""A challenger in the shadow: it scores what the champion decides on, and both are recorded side by side."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from integrations.deciding import from_where_the_ledger_says
from integrations.recording import ScoringResult, record_model
from learning.bundle import Bundle
from learning.errors import DataError
from learning.images.records import ImageRecord
from learning.progress import Progress, silent
from learning.scoring import ImageScore, score_records

if TYPE_CHECKING:
    from curation.ledger import Ledger, ShadowRow

_PARTS = 200
"""Parts between two writes to the ledger: what an interruption loses is scored again."""


@dataclass(frozen=True)
class ShadowReport:
    """Parts on which both have decided.

    Attributes:
        parts: How many.
        both_reject: Parts that both reject.
        champion_only: Parts that the champion alone rejects.
        challenger_only: Parts that the challenger alone would reject.
        differing: Image ids of the parts on which they differ, the latest last.
    """

    parts: int
    both_reject: int
    champion_only: int
    challenger_only: int
    differing: tuple[str, ...]

    def text(self) -> str:
        """In words."""
        return (
            f"{self.parts} parts, {self.champion_only + self.challenger_only} decided otherwise: the challenger would "
            f"reject {self.challenger_only} that the champion accepts, and accept {self.champion_only} that it rejects"
        )


def run_shadow(
    ledger: "Ledger",
    champion: Bundle,
    challenger: Bundle,
    records: Sequence[ImageRecord],
    decided: ScoringResult,
    batch: str = "",
    progress: Progress = silent,
) -> ShadowReport:
    """Have a challenger score what the champion has decided on, and record both. Nothing is decided by it.

    Killed and run again, parts that were compared before are not scored again.

    Args:
        ledger: With the champion's scores of these images.
        champion: The model that decided.
        challenger: The model in the shadow.
        records: The images.
        decided: What the champion said of them, and by which threshold.
        batch: Name of the run.
        progress: Told the number of images.

    Returns:
        What came of these images, those compared before included.

    Raises:
        DataError: If both are the same model, or the challenger's threshold has values by camera or lot, and the ledger
            has another one of an image.
    """
    from curation.ledger import ShadowEntry, image_id_of

    if champion.fingerprint == challenger.fingerprint:
        msg = f"{challenger.folder} is the champion itself: in the shadow goes another model"
        raise DataError(msg)
    # Each decides by one threshold from the first image to the last, whatever is made current meanwhile.
    versions = decided.threshold, challenger.thresholds.current()
    record_model(ledger, challenger)
    if versions[1].origins is not None:
        shifts = versions[1].version, versions[1].origins
        records = from_where_the_ledger_says(ledger, records, challenger.fingerprint, *shifts)
    by_path = {image.image: image for image in decided.scored}
    ids = {record.path: image_id_of(record.path) for record in records if record.path in by_path}
    known = {
        row.image_id
        for row in ledger.shadow(challenger.fingerprint)
        if (row.champion_id, row.champion_threshold, row.challenger_threshold)
        == (champion.fingerprint, versions[0].version, versions[1].version)
    }
    parts: dict[str, list[ImageRecord]] = {}
    for record in records:
        if record.path in ids:
            parts.setdefault(record.part, []).append(record)
    # A part is compared whole, as it is decided on whole.
    todo = [images for images in parts.values() if not {ids[one.path] for one in images} <= known]
    for first in range(0, len(todo), _PARTS):
        chunk = [record for images in todo[first : first + _PARTS] for record in images]
        scores = [one for one in score_records(challenger, chunk, threshold=versions[1]) if isinstance(one, ImageScore)]
        rejected = {one.record.part for one in scores if one.decision_score > versions[1].value}
        ledger.record_shadow(
            [
                ShadowEntry(
                    image_id=ids[one.record.path],
                    champion_id=champion.fingerprint,
                    champion_threshold=versions[0].version,
                    champion_score=by_path[one.record.path].decision_score,
                    champion_decision=by_path[one.record.path].decision,
                    challenger_id=challenger.fingerprint,
                    challenger_threshold=versions[1].version,
                    challenger_score=one.decision_score,
                    challenger_decision="reject" if one.record.part in rejected else "accept",
                    batch=batch,
                )
                for one in scores
            ]
        )
        progress(min(first + _PARTS, len(todo)), len(todo), "scoring in the shadow")
    here = set(ids.values())
    rows = [
        row
        for row in ledger.shadow(challenger.fingerprint)
        if row.image_id in here
        and (row.champion_id, row.champion_threshold, row.challenger_threshold)
        == (champion.fingerprint, versions[0].version, versions[1].version)
    ]
    return report_on(ledger, rows)


def report_on(ledger: "Ledger", rows: Iterable["ShadowRow"]) -> ShadowReport:
    """Count comparisons by part; of a part that was compared several times the latest counts."""
    part_of = {image.image_id: image.part for image in ledger.images()}
    latest = {part_of[row.image_id]: row for row in rows}
    said = [(row.champion_decision == "reject", row.challenger_decision == "reject") for row in latest.values()]
    return ShadowReport(
        parts=len(latest),
        both_reject=said.count((True, True)),
        champion_only=said.count((True, False)),
        challenger_only=said.count((False, True)),
        differing=tuple(row.image_id for row in latest.values() if row.champion_decision != row.challenger_decision),
    )
