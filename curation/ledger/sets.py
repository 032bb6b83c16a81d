"""Set versions: named lists of images and verdicts that never change; each function within the transaction given."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from curation.errors import LedgerError
from curation.ledger.bulk import chunks
from curation.ledger.entries import SetKind, SetMember
from curation.ledger.files import text_of
from curation.ledger.rows import SetRow, SetVersion
from curation.ledger.tables import set_members, set_versions
from curation.ledger.times import now

_NAMED_BY = 12
"""Hexadecimal digits of the fingerprint in a name that nobody chose."""


def fingerprint_of(members: Sequence[SetMember]) -> str:
    """SHA-256 over what the members are, in any order and wherever their files lie."""
    rows = sorted(
        [
            member.image_id,
            member.part,
            member.group,
            member.state,
            sorted(member.verdicts),
            member.weight,
            member.mask_sha256,
        ]
        for member in members
    )
    return hashlib.sha256(json.dumps(rows, ensure_ascii=False).encode()).hexdigest()


def create(
    connection: Connection,
    kind: SetKind,
    members: Sequence[SetMember],
    name: str | None,
    rule: str,
    note: str,
) -> SetRow:
    """Store a version; the same members under no name of their own are the version that is there.

    Raises:
        LedgerError: If it is empty, an image comes twice, or the name is taken by other members.
    """
    if not members or len({member.image_id for member in members}) < len(members):
        msg = "a set version takes at least one image, and none of them twice"
        raise LedgerError(msg)
    fingerprint = fingerprint_of(members)
    name = name or f"{kind}-{fingerprint[:_NAMED_BY]}"
    present = connection.execute(select(set_versions).where(set_versions.c.name == name)).first()
    if present is not None:
        if (present.fingerprint, present.kind) != (fingerprint, kind):
            msg = f"there is a set version {name!r} with other members, and none is ever changed: choose another name"
            raise LedgerError(msg)
        return _row(present)
    newest = select(set_versions.c.name).where(set_versions.c.kind == kind).order_by(set_versions.c.number.desc())
    row = {
        "name": name,
        "kind": kind,
        "fingerprint": fingerprint,
        "parent": connection.execute(newest.limit(1)).scalar(),
        "rule": rule,
        "note": note,
        "created_at": now(),
    }
    connection.execute(set_versions.insert(), [row])
    for part in chunks([_values(name, member) for member in members]):
        connection.execute(set_members.insert(), list(part))
    return SetRow(**row)  # type: ignore[arg-type]


def read(connection: Connection, name: str) -> SetVersion:
    """A version with its members.

    Raises:
        LedgerError: If there is none, or its members are not what they were when it was made.
    """
    found = connection.execute(select(set_versions).where(set_versions.c.name == name)).first()
    if found is None:
        there = ", ".join(row.name for row in listed(connection, None)) or "none"
        msg = f"the ledger has no set version {name!r}; there are: {there}"
        raise LedgerError(msg)
    statement = select(set_members).where(set_members.c.version == name).order_by(set_members.c.image_id)
    members = tuple(_member(row) for row in connection.execute(statement))
    if fingerprint_of(members) != found.fingerprint:
        msg = f"the members of set version {name!r} are not those it was made of: restore the ledger from a backup"
        raise LedgerError(msg)
    return SetVersion(_row(found), members)


def listed(connection: Connection, kind: SetKind | None) -> list[SetRow]:
    """All versions, or those of one kind, in the order they were made."""
    statement = select(set_versions).order_by(set_versions.c.number)
    rows = connection.execute(statement.where(set_versions.c.kind == kind) if kind else statement)
    return [_row(row) for row in rows]


def _values(name: str, member: SetMember) -> dict[str, Any]:
    return asdict(member) | {
        "version": name,
        "path": text_of(member.path),
        "mask": text_of(member.mask),
        "verdicts": json.dumps(sorted(member.verdicts)),
    }


def _member(row: Any) -> SetMember:
    values = row._asdict()
    del values["version"]
    mask = None if row.mask is None else Path(row.mask)
    return SetMember(**values | {"path": Path(row.path), "mask": mask, "verdicts": tuple(json.loads(row.verdicts))})


def _row(row: Any) -> SetRow:
    values = row._asdict()
    del values["number"]
    return SetRow(**values)
