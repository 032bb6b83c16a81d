"""Defects that got through to a customer: every later challenger has to reject them."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

from curation.ledger import ImageEntry, ImageRow, Ledger, SetMember, VerdictEntry
from curation.ledger.files import sha256_of

SOURCE = "flawsmith review add"


def add_returned(
    ledger: Ledger,
    entry: ImageEntry,
    who: str,
    mask: Path | None = None,
    defect_class: str | None = None,
    note: str = "",
) -> ImageRow:
    """Make a returned image a verdict, a source of flaws (with a mask), and a regression case. Repeatable.

    Args:
        ledger: Where it goes.
        entry: The image.
        who: Says that it is defective.
        mask: Where it is, 8-bit grey, of the image's size.
        defect_class: Kind of defect.
        note: Free text.

    Raises:
        DataError: If the image cannot be read.
    """
    (image_id,) = ledger.add_images([entry])
    drawn = sha256_of(mask) if mask else ""
    said = hashlib.sha256("\n".join((who, drawn, defect_class or "", note)).encode()).hexdigest()[:16]
    _say(ledger, image_id, who, "defect", said, mask, defect_class, note)
    ledger.add_regression_case(image_id, who, note)
    return ledger.image(image_id)


def withdraw_returned(ledger: Ledger, image_id: str) -> bool:
    """Take such a verdict back; the image is no case any more. False where there is none that stands."""
    said = [verdict for verdict in ledger.verdicts(image_id=image_id) if verdict.source == SOURCE]
    if not said or said[-1].verdict == "withdrawn":
        return False
    _say(ledger, image_id, said[-1].inspector, "withdrawn", f"without {said[-1].number}", None, None, "")
    return True


def standing_cases(ledger: Ledger, camera: str = "") -> list[SetMember]:
    """Cases of a camera (and of none) whose verdict was not withdrawn; inspectors may disagree about them."""
    found = []
    for case in ledger.regression_cases():
        image = ledger.image(case.image_id)
        said = [verdict for verdict in ledger.verdicts(image_id=case.image_id) if verdict.source == SOURCE]
        if said and said[-1].verdict == "defect" and (camera == "" or image.camera in (camera, None)):
            found.append(
                SetMember(image.image_id, Path(image.path), image.part, image.group, "defect", (said[-1].number,))
            )
    return found


def _say(
    ledger: Ledger,
    image_id: str,
    who: str,
    verdict: str,
    revision: str,
    mask: Path | None,
    defect_class: str | None,
    note: str,
) -> None:
    # After a withdrawal the same words are a new revision.
    before = sum(one.source == SOURCE and one.verdict == "withdrawn" for one in ledger.verdicts(image_id=image_id))
    ledger.record_verdicts(
        [
            VerdictEntry(
                ask_id=None,
                image_id=image_id,
                inspector=who,
                verdict=verdict,  # type: ignore[arg-type]
                at=datetime.now(UTC),
                source=SOURCE,
                external_id=image_id,
                revision=f"{revision}-{before}",
                regions_mask=mask,
                defect_class=defect_class,
                note=note or None,
            )
        ]
    )
