"""How pictures look, in numbers, so that they can be compared although the files are gone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager

from sqlalchemy import Connection, select

from curation.ledger.bulk import chunks, insert_new
from curation.ledger.registry import know_models
from curation.ledger.tables import LOOKS, image_looks, reference_looks

Look = tuple[float, ...]
"""Numbers in the order of ``LOOKS``."""


class Looks(ABC):
    """Methods of ``Ledger``, each of which is one transaction and can be repeated."""

    @abstractmethod
    def _read(self) -> AbstractContextManager[Connection]: ...

    @abstractmethod
    def _write(self) -> AbstractContextManager[Connection]: ...

    def record_looks(self, looks: Mapping[str, Look]) -> None:
        """Record how images look, by image id; an image that has a look keeps it."""
        rows = [{"image_id": key} | dict(zip(LOOKS, look, strict=True)) for key, look in looks.items()]
        with self._write() as connection:
            for part in chunks(rows):
                insert_new(connection, image_looks, part, "image_id")

    def looks(self) -> dict[str, Look]:
        """How images look, by image id; those that were never measured are missing."""
        with self._read() as connection:
            return {row[0]: tuple(row[1:]) for row in connection.execute(select(image_looks))}

    def record_reference_looks(self, model_id: str, looks: Mapping[str, Look]) -> None:
        """Record how the pictures look that a model was calibrated on, by their names in the bundle."""
        rows = [
            {"model_id": model_id, "image": name} | dict(zip(LOOKS, look, strict=True)) for name, look in looks.items()
        ]
        with self._write() as connection:
            know_models(connection, {model_id})
            for part in chunks(rows):
                insert_new(connection, reference_looks, part, "image")

    def reference_looks(self, model_id: str) -> dict[str, Look]:
        """How the pictures look that a model was calibrated on, by their names in the bundle."""
        statement = select(reference_looks).where(reference_looks.c.model_id == model_id)
        with self._read() as connection:
            return {row[1]: tuple(row[2:]) for row in connection.execute(statement)}
