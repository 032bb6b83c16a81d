"""What is known of some images, or a little of all, without reading the rest."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from curation.ledger.bulk import select_in
from curation.ledger.embedding_files import Embedded, opened
from curation.ledger.entries import Decision
from curation.ledger.reading import image_row, score_row
from curation.ledger.rows import ImageRow, ScoreRow
from curation.ledger.tables import OPEN, asks, images, scores
from curation.ledger.transactions import Transactions


class OfSome(Transactions):
    """Methods of ``Ledger``, each of which is one transaction."""

    def images_of(self, image_ids: Sequence[str]) -> dict[str, ImageRow]:
        """Some images, by id; those that are not there are missing."""
        with self._read() as connection:
            found = select_in(connection, select(images), images.c.image_id, image_ids)
        return {row.image_id: image_row(row) for row in found}

    def latest_scores(self, image_ids: Sequence[str]) -> dict[str, ScoreRow]:
        """What was said of some images last, by any model; those that were never scored are missing."""
        with self._read() as connection:
            found = select_in(connection, select(scores), scores.c.image_id, image_ids)
        return {row.image_id: score_row(row) for row in sorted(found, key=lambda row: row.number)}

    def waiting(self, image_ids: Sequence[str]) -> set[str]:
        """Those of some images about which somebody is asked and has not answered."""
        with self._read() as connection:
            found = select_in(connection, select(asks.c.image_id).where(OPEN), asks.c.image_id, image_ids)
        return {row.image_id for row in found}

    def groups(self) -> dict[str, str]:
        """The group of every image."""
        with self._read() as connection:
            return dict(map(tuple, connection.execute(select(images.c.image_id, images.c.group)).all()))

    def decisions(self, model_id: str) -> dict[str, Decision]:
        """What a model decided last of each image that it scored."""
        statement = select(scores.c.image_id, scores.c.decision).where(scores.c.model_id == model_id)
        with self._read() as connection:
            return dict(map(tuple, connection.execute(statement.order_by(scores.c.number)).all()))

    def detector_scores(self, model_id: str) -> dict[str, float]:
        """What a model's detector scored last of each image: alike whatever fallback and threshold decided."""
        statement = select(scores.c.image_id, scores.c.score).where(scores.c.model_id == model_id)
        with self._read() as connection:
            return dict(map(tuple, connection.execute(statement.order_by(scores.c.number)).all()))

    def embedded(self, model_id: str) -> Embedded:
        """Embeddings of a model as ``embeddings`` has them, left on disk until they are taken.

        Raises:
            LedgerError: If there are none, or a file is missing or was changed.
        """
        with self._read() as connection:
            return opened(connection, model_id)
