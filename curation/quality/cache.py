"""Measurements kept between runs, by the checksum of the file: a run that was stopped goes on."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from curation.errors import LedgerError
from curation.quality.measure import VERSION, Measured

_TABLES = """
DROP TABLE IF EXISTS measured;
CREATE TABLE IF NOT EXISTS looked_at (
    checksum BLOB, version INTEGER, numbers BLOB, signature BLOB, places BLOB, pixels BLOB,
    PRIMARY KEY (checksum, version)
);
CREATE TABLE IF NOT EXISTS scored (
    checksum BLOB, model TEXT, score REAL, embedding BLOB, PRIMARY KEY (checksum, model)
) WITHOUT ROWID;
"""

_BUSY_SECONDS = 60
_DELETE = "delete it, it is made again"
_CAUSES = {
    "is full": "the disk is full, or a quota; free some space and run it again, it goes on from there",
    "disk I/O error": "the disk fails or is full; free some space and run it again, it goes on from there",
    "readonly": "the file or its folder is read-only; name another folder by --home",
    "unable to open": "the file or its folder cannot be written; name another folder by --home",
    "locked": f"another program has been writing for {_BUSY_SECONDS} s; wait for it, then run it again",
    "not a database": f"the file is something else; {_DELETE}",
    "malformed": f"the file is damaged; {_DELETE}",
}
"""What errors of SQLite mean, by words in them."""


class Cache:
    """An SQLite file of measurements and scores; it can be deleted at any time.

    Args:
        file: Made where there is none.

    Raises:
        LedgerError: If the file is something else, or cannot be written; so do the methods.
    """

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = file
        with self._errors():
            self._connection = sqlite3.connect(file, timeout=_BUSY_SECONDS)
            try:
                self._connection.executescript(f"PRAGMA journal_mode=WAL; {_TABLES}")
            except sqlite3.Error:
                self._connection.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What was measured before a Ctrl-C is kept.
        with suppress(sqlite3.OperationalError):
            self._connection.commit()
        self._connection.close()

    def measured(self, checksum: bytes) -> Measured | None:
        """What was measured of a file with this content."""
        row = self._row(
            "SELECT numbers, signature, places, pixels FROM looked_at WHERE checksum = ? AND version = ?",
            (checksum, VERSION),
        )
        if row is None:
            return None
        signature, places = (np.frombuffer(content, np.float16) for content in row[1:3])
        return Measured(np.frombuffer(row[0], np.float32), signature, places, row[3])

    def keep_measured(self, items: Iterable[tuple[bytes, Measured]]) -> None:
        """Keep measurements of files by their checksums, at once on disk."""
        rows = [
            (key, VERSION, m.numbers.tobytes(), m.signature.tobytes(), m.places.tobytes(), m.pixels) for key, m in items
        ]
        self._write("INSERT OR REPLACE INTO looked_at VALUES (?, ?, ?, ?, ?, ?)", rows)

    def scored(self, checksum: bytes, model: str) -> tuple[float, np.ndarray] | None:
        """Score and embedding, ``[D]`` float16, that a model gave a file with this content."""
        row = self._row("SELECT score, embedding FROM scored WHERE checksum = ? AND model = ?", (checksum, model))
        return None if row is None else (row[0], np.frombuffer(row[1], np.float16))

    def keep_scored(self, model: str, items: Iterable[tuple[bytes, float, np.ndarray]]) -> None:
        """Keep scores and embeddings of a model, at once on disk."""
        rows = [(key, model, score, embedding.astype(np.float16).tobytes()) for key, score, embedding in items]
        self._write("INSERT OR REPLACE INTO scored VALUES (?, ?, ?, ?)", rows)

    def _row(self, query: str, values: tuple[Any, ...]) -> tuple[Any, ...] | None:
        with self._errors():
            row: tuple[Any, ...] | None = self._connection.execute(query, values).fetchone()
        return row

    def _write(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        with self._errors(), self._connection:
            self._connection.executemany(statement, rows)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Say in a line what is wrong with the file."""
        try:
            yield
        except sqlite3.Error as error:
            said = str(error)
            what = next((words for sign, words in _CAUSES.items() if sign in said), f"{said}; {_DELETE}")
            msg = f"measurements cannot be kept in {self._file}: {what}"
            raise LedgerError(msg) from error
