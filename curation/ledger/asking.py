"""Asks and their answers, each function within the transaction that it is given."""

import uuid
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, bindparam, select, text, tuple_

from curation.errors import LedgerError
from curation.ledger.bulk import select_in
from curation.ledger.entries import AskEntry, VerdictEntry
from curation.ledger.files import sha256_of, text_of
from curation.ledger.reading import verdict_row
from curation.ledger.resolution import counted
from curation.ledger.rows import VerdictRow
from curation.ledger.tables import OPEN, asks, verdicts
from curation.ledger.times import now, utc


def create(connection: Connection, entries: Sequence[AskEntry]) -> list[str]:
    """Open asks; an image that has an open one keeps it.

    Returns:
        Ask ids in the order given.
    """
    _write_alone(connection)
    keys = list({entry.image_id for entry in entries})
    found = select_in(connection, select(asks.c.image_id, asks.c.ask_id).where(OPEN), asks.c.image_id, keys)
    ids: dict[str, str] = dict(map(tuple, found))
    rows = []
    at = now()  # the asks of one draw are known by their common time
    for entry in entries:
        if entry.image_id not in ids:
            ids[entry.image_id] = uuid.uuid4().hex
            rows.append(asdict(entry) | {"ask_id": ids[entry.image_id], "state": "created", "created_at": at})
    if rows:
        connection.execute(asks.insert(), rows)
    return [ids[entry.image_id] for entry in entries]


def answer(connection: Connection, entries: Sequence[VerdictEntry]) -> list[VerdictEntry]:
    """Append verdicts and set the states of their asks.

    Returns:
        Those that were new.

    Raises:
        LedgerError: If an ask is unknown or about another image.
    """
    keys = sorted({entry.ask_id for entry in entries if entry.ask_id is not None})
    _write_alone(connection)
    asked = {row.ask_id: row for row in select_in(connection, select(asks), asks.c.ask_id, keys)}
    new: dict[tuple[Any, ...], VerdictEntry] = {}
    for entry in entries:
        new.setdefault((entry.source, entry.external_id, entry.revision), entry)
    name = tuple_(verdicts.c.source, verdicts.c.external_id, verdicts.c.revision)
    statement = select(verdicts.c.source, verdicts.c.external_id, verdicts.c.revision)
    rows = {key: _verdict(entry, asked) for key, entry in new.items()}
    for known in select_in(connection, statement, name, list(rows)):
        del new[tuple(known)], rows[tuple(known)]
    if rows:
        connection.execute(verdicts.insert(), list(rows.values()))
        _set_states(connection, asked)
    return list(new.values())


def _write_alone(connection: Connection) -> None:
    """Wait until nobody else opens, answers or closes asks, and keep it so; in SQLite every writer is alone anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("LOCK TABLE asks IN SHARE ROW EXCLUSIVE MODE"))


def _verdict(entry: VerdictEntry, asked: dict[str, Any]) -> dict[str, Any]:
    ask = asked.get(entry.ask_id) if entry.ask_id is not None else None
    if entry.ask_id is not None and (ask is None or ask.image_id != entry.image_id):
        about = "is not in the ledger" if ask is None else f"is about image {ask.image_id}"
        msg = f"a verdict of {entry.inspector} on image {entry.image_id} answers ask {entry.ask_id}, which {about}"
        raise LedgerError(msg)
    return asdict(entry) | {
        "at": utc(entry.at),
        "regions_mask": text_of(entry.regions_mask),
        "regions_sha256": _checksum(entry.regions_mask),
        "model_id": ask.model_id if ask else None,
        "threshold_version": ask.threshold_version if ask else None,
        "recorded_at": now(),
    }


def _checksum(file: Path | str | None) -> str | None:
    return sha256_of(Path(file)) if file is not None and Path(file).is_file() else None


def _set_states(connection: Connection, asked: dict[str, Any]) -> None:
    """An ask with an answer that counts is answered; one whose answers were all withdrawn is open again."""
    found = select_in(connection, select(verdicts), verdicts.c.ask_id, sorted(asked))
    by_ask: dict[str, list[VerdictRow]] = {}
    for row in found:
        by_ask.setdefault(row.ask_id, []).append(verdict_row(row))
    answers = {key: counted(by_ask.get(key, [])) for key in asked}
    open_again = [row.image_id for key, row in asked.items() if not answers[key] and row.state == "answered"]
    others = select_in(connection, select(asks.c.image_id).where(OPEN), asks.c.image_id, open_again)
    busy = {image_id for (image_id,) in others}
    changes = []
    for key, row in asked.items():
        state, answered_at = row.state, None
        if answers[key]:
            state, answered_at = "answered", answers[key][0].at
        elif row.state == "answered":
            state = "withdrawn" if row.image_id in busy else "pushed" if row.task_id is not None else "created"
            busy.add(row.image_id)
        if (state, answered_at) != (row.state, row.answered_at):
            changes.append({"key": key, "new_state": state, "new_time": answered_at})
    if changes:
        here = asks.update().where(asks.c.ask_id == bindparam("key"))
        connection.execute(here.values(state=bindparam("new_state"), answered_at=bindparam("new_time")), changes)
