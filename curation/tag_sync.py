"""Tags of the App and of the ledger brought together; pure functions.

Three states are compared: the tags that a sample has now, those that it had after the last sync, and the ledger's.
What differs between the first two was done in the App since, and is done in the ledger too, whatever happened there: of
a tag that both sides changed, the App's word counts. What was done in the ledger alone is done in the App.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from curation.ledger.entries import TagEntry
from curation.samples import Held

FINDING = "check:"
"""Begins the tags of what ``curate check`` found, and the names of their views; what follows is the kind."""
IN_THE_APP = "FiftyOne"
"""Who changed a tag in the App, which does not know its users."""


def by_image(rows: Iterable[tuple[str, str]]) -> dict[str, frozenset[str]]:
    """Tags by image id, from pairs of image id and tag."""
    found: dict[str, set[str]] = {}
    for image_id, tag in rows:
        found.setdefault(image_id, set()).add(tag)
    return {image_id: frozenset(tags) for image_id, tags in found.items()}


def done_in_the_app(held: Mapping[str, Held], ledger: Mapping[str, frozenset[str]], who: str) -> list[TagEntry]:
    """What was done in the App since the last sync and the ledger has not yet.

    Args:
        held: Samples by image id, all of which the ledger knows.
        ledger: Its tags by image id.
        who: In whose name it is recorded.
    """
    entries = []
    for image_id, one in held.items():
        before = one.synced_tags or frozenset()
        if one.tags == before:
            continue
        there = ledger.get(image_id, frozenset())
        entries += [TagEntry(image_id, tag, "set", who, one.modified_at) for tag in sorted(one.tags - before - there)]
        gone = sorted((before - one.tags) & there)
        entries += [TagEntry(image_id, tag, "removed", who, one.modified_at) for tag in gone]
    return entries


def together(tags: Mapping[str, frozenset[str]], entries: Iterable[TagEntry]) -> dict[str, frozenset[str]]:
    """Tags by image id after changes."""
    after = dict(tags)
    for entry in entries:
        own = after.get(entry.image_id, frozenset())
        after[entry.image_id] = own | {entry.tag} if entry.event == "set" else own - {entry.tag}
    return after
