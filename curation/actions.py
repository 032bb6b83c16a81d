"""What a data team does to images, whether in the App, by a command or from Python; each can be repeated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from curation.by_hand import BY_HAND, MARKED
from curation.confirmed_regions import region_of
from curation.errors import LedgerError
from curation.frozen import held_back
from curation.ledger import AskEntry, Ledger, Severity, TagEntry, VerdictEntry

SOURCE_TAG = "synthesis source"


@dataclass(frozen=True)
class Sent:
    """What became of images that were to be sent to an inspector.

    Attributes:
        asked: Images about which somebody is now asked.
        waiting: Images about which somebody was asked already, and has not answered.
        unscored: Images that no model has scored, so that there is nothing to show beside them.
    """

    asked: list[str]
    waiting: list[str]
    unscored: list[str]


def send_to_inspection(ledger: Ledger, image_ids: Sequence[str], reason: str = BY_HAND) -> Sent:
    """Ask inspectors about images; ``flawsmith review push`` then brings them to Label Studio.

    They were not drawn at random: their answers teach, but thresholds promise nothing from them.

    Args:
        ledger: With scores of the images.
        image_ids: Which.
        reason: What the inspector is told.

    Raises:
        LedgerError: An image is unknown.
    """
    image_ids = list(dict.fromkeys(image_ids))
    _require(ledger, image_ids)
    waiting, scores = ledger.waiting(image_ids), ledger.latest_scores(image_ids)
    new = [key for key in image_ids if key not in waiting and key in scores]
    ledger.create_asks(
        [AskEntry(key, reason, 1.0, BY_HAND, scores[key].model_id, scores[key].threshold_version) for key in new]
    )
    return Sent(
        asked=new,
        waiting=[key for key in image_ids if key in waiting],
        unscored=[key for key in image_ids if key not in waiting and key not in scores],
    )


def mark(
    ledger: Ledger,
    image_ids: Sequence[str],
    verdict: Literal["good", "defect", "withdrawn"],
    who: str,
    defect_class: str | None = None,
    severity: Severity | None = None,
) -> int:
    """Say what images show, without being asked; the latest word of each person counts, as in Label Studio.

    Args:
        ledger: Where it is written.
        image_ids: Which.
        verdict: ``withdrawn`` takes back what this person marked.
        who: Name of the person.
        defect_class: Kind of defect.
        severity: How bad it is.

    Returns:
        How many images were given another verdict than this person's latest mark.

    Raises:
        LedgerError: An image is unknown, the name is empty, or something else than a defect has a kind or severity.
    """
    if verdict != "defect" and (defect_class or severity):
        msg = f"only a defect has a kind and a severity, not what is marked as {verdict}"
        raise LedgerError(msg)
    if not who.strip():
        msg = "a verdict needs the name of who gives it"
        raise LedgerError(msg)
    image_ids = list(dict.fromkeys(image_ids))
    _require(ledger, image_ids)
    at = datetime.now(UTC)
    entries = []
    for key in image_ids:
        # One annotation for each image and person, of which this is the next revision.
        own = [v for v in ledger.verdicts(image_id=key) if (v.source, v.inspector) == (MARKED, who)]
        said = (own[-1].verdict, own[-1].defect_class, own[-1].severity) if own else ("withdrawn", None, None)
        if said == (verdict, defect_class, severity):
            continue
        entries.append(
            VerdictEntry(
                ask_id=None,
                image_id=key,
                inspector=who,
                verdict=verdict,
                at=at,
                source=MARKED,
                external_id=f"{key}/{who}",
                revision=f"{len(own) + 1}",
                defect_class=defect_class,
                severity=severity,
            )
        )
    return len(ledger.record_verdicts(entries)) if entries else 0


@dataclass(frozen=True)
class Sources:
    """What became of images whose defects synthesis is to use.

    Attributes:
        taken: Images whose defects are cut out by ``flawsmith defects --chosen``.
        left_out: Why the others cannot be a source, in words, by image.
    """

    taken: list[str]
    left_out: dict[str, str]

    @property
    def text(self) -> str:
        """In words, with the number of images for each reason."""
        said = f"{len(self.taken)} {'is a source' if len(self.taken) == 1 else 'are sources'} of flaws now"
        reasons = [f"{count} ({why})" for why, count in Counter(self.left_out.values()).most_common()]
        return said + (f"; left out: {', '.join(reasons)}" if reasons else "")


def use_as_source(ledger: Ledger, image_ids: Sequence[str], who: str) -> Sources:
    """Choose images whose confirmed defects new flaws are made from; those that have none are left out.

    Args:
        ledger: Where they are tagged.
        image_ids: Which.
        who: Name of the person.

    Raises:
        LedgerError: An image is unknown.
    """
    image_ids = list(dict.fromkeys(image_ids))
    images = [ledger.image(key) for key in image_ids]
    said, held = {one.image_id: one for one in ledger.resolved(image_ids)}, held_back(ledger)
    left_out = {}
    for image in images:
        found = region_of(image, said.get(image.image_id))
        if isinstance(found, str):
            left_out[image.image_id] = found
        elif held is not None and image.group in held:
            left_out[image.image_id] = "it is held back: challengers are judged on its group"
    taken = [key for key in image_ids if key not in left_out]
    ledger.change_tags([TagEntry(key, SOURCE_TAG, "set", who) for key in taken])
    return Sources(taken, left_out)


def chosen_sources(ledger: Ledger) -> set[str]:
    """Ids of the images that somebody chose as a source of flaws."""
    return {tag.image_id for tag in ledger.tags() if tag.tag == SOURCE_TAG}


def _require(ledger: Ledger, image_ids: Sequence[str]) -> None:
    for key in image_ids:
        ledger.image(key)
