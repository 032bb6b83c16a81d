"""Tags: what an image is tagged with now, and every change of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, tuple_

from curation.ledger.bulk import chunks, insert_new
from curation.ledger.entries import TagEntry
from curation.ledger.reading import tag_event_row, tag_row
from curation.ledger.rows import TagEventRow, TagRow
from curation.ledger.tables import tag_events, tags
from curation.ledger.times import now, utc
from curation.ledger.transactions import Transactions


class Tagging(Transactions):
    """Methods of ``Ledger``, each of which is one transaction and can be repeated."""

    def add_tag(self, image_id: str, tag: str, who: str) -> None:
        """Tag an image; a tag that it has stays with who gave it."""
        self.change_tags([TagEntry(image_id, tag, "set", who)])

    def remove_tag(self, image_id: str, tag: str, who: str) -> None:
        """Take a tag from an image."""
        self.change_tags([TagEntry(image_id, tag, "removed", who)])

    def change_tags(self, entries: Sequence[TagEntry]) -> list[TagEventRow]:
        """Set and take away tags; of one tag of an image the last entry counts.

        Returns:
            What changed: a tag that is there already stays with who gave it, one that is not there cannot be removed.

        Raises:
            LedgerError: If an image is unknown; nothing is changed then.
        """
        last = {(entry.image_id, entry.tag): entry for entry in entries}
        with self._write() as connection:
            return change(connection, list(last.values()))

    def tags(self, image_id: str | None = None) -> list[TagRow]:
        """Tags that are set, in time order; all, or those of an image."""
        statement = select(tags).order_by(tags.c.at, tags.c.tag)
        with self._read() as connection:
            rows = connection.execute(statement.where(tags.c.image_id == image_id) if image_id else statement)
            return [tag_row(row) for row in rows]

    def tag_events(self, image_id: str | None = None) -> list[TagEventRow]:
        """Every change of tags, in the order they were recorded; all, or those of an image."""
        with self._read() as connection:
            return history(connection, image_id)


def change(connection: Connection, entries: Sequence[TagEntry]) -> list[TagEventRow]:
    """Set and take away tags, no tag of an image twice; what was so already is left out."""
    at = now()
    given = {(entry.image_id, entry.tag): entry for entry in entries}
    rows = [_row(entry, at) for entry in entries if entry.event == "set"]
    new = set(insert_new(connection, tags, rows, "image_id", "tag"))
    gone = set()
    key = tuple_(tags.c.image_id, tags.c.tag)
    for part in chunks([name for name, entry in given.items() if entry.event == "removed"]):
        statement = tags.delete().where(key.in_(list(part))).returning(tags.c.image_id, tags.c.tag)
        gone |= {(image_id, tag) for image_id, tag in connection.execute(statement)}
    changed = [entry for name, entry in given.items() if name in new | gone]
    events = [_row(entry, at) | {"event": entry.event, "recorded_at": at} for entry in changed]
    if events:
        connection.execute(tag_events.insert(), events)
    return [TagEventRow(**event) for event in events]


def history(connection: Connection, image_id: str | None) -> list[TagEventRow]:
    """Changes of tags, of all images or one."""
    statement = select(tag_events).order_by(tag_events.c.number)
    rows = connection.execute(statement.where(tag_events.c.image_id == image_id) if image_id else statement)
    return [tag_event_row(row) for row in rows]


def _row(entry: TagEntry, at: datetime) -> dict[str, Any]:
    row = asdict(entry) | {"at": at if entry.at is None else utc(entry.at)}
    del row["event"]
    return row
