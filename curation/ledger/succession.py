"""Which model decides, and how it came about; each function within the transaction that it is given."""

from dataclasses import asdict

from sqlalchemy import Connection, select, text

from curation.errors import LedgerError
from curation.ledger.bulk import insert_new
from curation.ledger.entries import ChallengeEntry, ChampionEvent
from curation.ledger.rows import ChallengeRow, ChampionRow
from curation.ledger.tables import challenges, champions
from curation.ledger.times import now


def record_challenge(connection: Connection, entry: ChallengeEntry) -> ChallengeRow:
    """Store a judgement; one that is there already stays as it is, and is returned."""
    insert_new(connection, challenges, [asdict(entry) | {"at": now()}], "number")
    same = [
        challenges.c[name] == getattr(entry, name)
        for name in (
            "camera",
            "champion_id",
            "champion_threshold",
            "challenger_id",
            "challenger_threshold",
            "frozen_set",
            "rules_sha256",
        )
    ]
    return ChallengeRow(**connection.execute(select(challenges).where(*same)).one()._asdict())


def history(connection: Connection, camera: str | None) -> list[ChampionRow]:
    """Changes of champions in their order; of one camera, or all."""
    statement = select(champions).order_by(champions.c.number)
    rows = connection.execute(statement if camera is None else statement.where(champions.c.camera == camera))
    return [ChampionRow(**row._asdict()) for row in rows]


def crown(
    connection: Connection,
    camera: str,
    model_id: str,
    instead_of: str | None,
    event: ChampionEvent,
    reason: str,
    challenge: int | None,
) -> ChampionRow:
    """Let a model decide from now on, if the one that decides now is the one that it was meant to follow.

    Raises:
        LedgerError: If another model decides by now.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("LOCK TABLE champions IN SHARE ROW EXCLUSIVE MODE"))
    before = history(connection, camera)
    current = before[-1].model_id if before else None
    if current == model_id:
        return before[-1]
    if current != instead_of:
        msg = (
            f"model {model_id} was to follow {instead_of or 'no champion'}, but {current or 'none'} is the champion by "
            "now: nothing was changed; judge again"
        )
        raise LedgerError(msg)
    row = {
        "camera": camera,
        "model_id": model_id,
        "previous": current,
        "event": event,
        "reason": reason,
        "challenge": challenge,
        "at": now(),
    }
    number = connection.execute(champions.insert().returning(champions.c.number), [row]).scalar_one()
    return ChampionRow(number=number, **row)  # type: ignore[arg-type]
