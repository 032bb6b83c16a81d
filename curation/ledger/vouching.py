"""Gold items: what somebody vouches for now, and every word that was given on it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, select

from curation.errors import LedgerError
from curation.ledger.bulk import insert_new, select_in, upsert
from curation.ledger.entries import GoldSaid, Truth
from curation.ledger.rows import GoldEventRow, GoldItem
from curation.ledger.tables import gold_events, gold_items, images
from curation.ledger.times import now
from curation.ledger.transactions import Transactions


class Vouching(Transactions):
    """Methods of ``Ledger``, each of which is one transaction and can be repeated."""

    def set_gold_items(
        self, image_ids: Sequence[str], truth: Truth, who: str, note: str = "", replace: bool = False
    ) -> list[GoldItem]:
        """Vouch for what images show, so that they can be put among the tasks of inspectors.

        Args:
            image_ids: Which.
            truth: What they show.
            who: Name of the person.
            note: Free text.
            replace: Whether it may take the place of another truth, which ``gold_events`` then still tells.

        Returns:
            What was said of them otherwise before.

        Raises:
            LedgerError: If another truth is known of one, and ``replace`` is not set; nothing is written then.
        """
        at = now()
        said = {"truth": truth, "who": who, "note": note, "at": at}
        rows = {key: {"image_id": key} | said for key in dict.fromkeys(image_ids)}
        with self._write() as connection:
            new = set(insert_new(connection, gold_items, list(rows.values()), "image_id"))
            known = _read(connection, [key for key in rows if key not in new])
            other = [item for item in known if item.truth != truth]
            if other and not replace:
                path = connection.execute(select(images.c.path).where(images.c.image_id == other[0].image_id)).scalar()
                msg = (
                    f"{other[0].who} vouches since {other[0].at:%Y-%m-%d} that {path} is {other[0].truth} "
                    f"({len(other)} of {len(rows)} images are vouched for as other than {truth}): nothing was written; "
                    "to take the new word for it, say --replace"
                )
                raise LedgerError(msg)
            same = {item.image_id for item in known if (item.truth, item.who, item.note) == (truth, who, note)}
            told = [key for key in rows if key not in same]
            upsert(connection, gold_items, [rows[key] for key in told if key not in new], list(said))
            _record(connection, told, truth, who, note, at)
        return other

    def remove_gold_items(self, image_ids: Sequence[str], who: str, note: str = "") -> list[str]:
        """Vouch for images no longer.

        Returns:
            Those that somebody vouched for.
        """
        keys = list(dict.fromkeys(image_ids))
        with self._write() as connection:
            gone = [item.image_id for item in _read(connection, keys)]
            for key in gone:
                connection.execute(gold_items.delete().where(gold_items.c.image_id == key))
            _record(connection, gone, "withdrawn", who, note, now())
        return gone

    def gold_items(self) -> list[GoldItem]:
        """Images that somebody vouches for, in the order of image ids."""
        with self._read() as connection:
            return [GoldItem(*row) for row in connection.execute(select(gold_items).order_by(gold_items.c.image_id))]

    def gold_events(self, image_id: str | None = None) -> list[GoldEventRow]:
        """Every word that was given on gold items, in the order they were recorded; all, or those on an image."""
        with self._read() as connection:
            return history(connection, image_id)


def history(connection: Connection, image_id: str | None) -> list[GoldEventRow]:
    """Words on gold items, on all images or one."""
    statement = select(gold_events).order_by(gold_events.c.number)
    rows = connection.execute(statement.where(gold_events.c.image_id == image_id) if image_id else statement)
    return [GoldEventRow(**{k: v for k, v in row._asdict().items() if k != "number"}) for row in rows]


def _read(connection: Connection, keys: Sequence[str]) -> list[GoldItem]:
    found = select_in(connection, select(gold_items), gold_items.c.image_id, keys)
    return [GoldItem(**row._asdict()) for row in found]


def _record(connection: Connection, keys: Sequence[str], said: GoldSaid, who: str, note: str, at: datetime) -> None:
    if keys:
        rows = [{"image_id": key, "said": said, "who": who, "note": note, "at": at} for key in keys]
        connection.execute(gold_events.insert(), rows)
