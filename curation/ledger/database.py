"""Connections to the ledger's database: SQLite or PostgreSQL, and what their errors mean to a user."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, IntegrityError, OperationalError, SQLAlchemyError

from curation.errors import LedgerError

BUSY_SECONDS = 30
"""How long a writer waits for another one."""

_ASK_SECONDS = 0.002
"""How often a waiting writer of SQLite asks for its turn: SQLite itself asks every 0.1 s, and one that waits beside
another that hardly pauses between its writes can miss every pause for 30 s."""

_CAUSES = {
    "database is locked": "another program has been writing for {busy} s; close it or wait, then run this again",
    "disk is full": "the disk is full; make room, then run this again: what was not confirmed is not written",
    "disk i/o error": "the disk fails or is full; nothing of the last write is kept",
    "unable to open": "the file cannot be opened; check the path and the permissions",
    "readonly database": "the file or its folder is read-only; a ledger needs to write both",
    "not a database": "the file is no SQLite database; name another, or restore it from a backup",
    "malformed": "the file is damaged; restore it from a backup",
    "deadlock": "another program wrote the same rows at the same time; run this again",
    "append-only": "verdicts and asks are never changed or deleted; record a new revision instead",
    "foreign key": "a row names an image, ask or model that the ledger does not know",
    "no space left": "the server's disk is full; make room, then run this again",
    "connection": "the server does not answer; check that it runs, the address, the user and the password",
}


def url_of(place: str | Path) -> URL:
    """Read a database URL or the path of a SQLite file.

    Raises:
        LedgerError: If it is a URL of another kind, or a SQLite URL without a file.
    """
    text = str(place)
    if "://" not in text:
        return URL.create("sqlite", database=text)
    try:
        url = make_url(text)
    except ArgumentError as error:
        msg = f"{text!r} is no database URL; use sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/NAME"
        raise LedgerError(msg) from error
    if url.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        return url.set(drivername="postgresql+psycopg")
    if url.drivername != "sqlite":
        msg = f"a ledger cannot be in {url.drivername!r}; use sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME"
        raise LedgerError(msg)
    if not url.database or url.database == ":memory:":
        msg = "a ledger in memory would be lost; name a file: sqlite:///FILE"
        raise LedgerError(msg)
    return url


def make_engine(url: URL) -> Engine:
    """Connect to a database.

    Raises:
        LedgerError: If the folder of a SQLite file is missing, or the driver of PostgreSQL is not installed.
    """
    if url.get_backend_name() == "sqlite":
        return _sqlite(url)
    try:
        return create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": 10})
    except ModuleNotFoundError as error:
        msg = "a ledger in PostgreSQL needs its driver: pip install 'flawsmith[postgres]'"
        raise LedgerError(msg) from error


def _sqlite(url: URL) -> Engine:
    path = Path(str(url.database)).absolute()
    if not path.parent.is_dir():
        msg = f"the folder of the ledger {path} does not exist; make it first"
        raise LedgerError(msg)
    if path.is_dir():
        msg = f"the ledger {path} is a folder; name a file in it"
        raise LedgerError(msg)
    engine = create_engine(url.set(database=str(path)), connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # transactions begin where SQLAlchemy says, also around DDL
        cursor = connection.cursor()
        _use_wal(cursor)
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A transaction that reads before it writes fails at once when another writer was quicker.
        if connection.get_execution_options().get("writes", False):
            _begin_to_write(connection)
        else:
            connection.exec_driver_sql("BEGIN")

    return engine


def _begin_to_write(connection: Connection) -> None:
    """Wait for the other writers and keep them out."""
    connection.exec_driver_sql("PRAGMA busy_timeout=0")
    try:
        _in_turn(lambda: connection.exec_driver_sql("BEGIN IMMEDIATE"), OperationalError)
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout={round(1000 * BUSY_SECONDS)}")


def _use_wal(cursor: Any) -> None:
    """Switch to a write-ahead log; of two processes at a new file one is told at once that it is locked."""
    import sqlite3

    _in_turn(lambda: cursor.execute("PRAGMA journal_mode=WAL"), sqlite3.OperationalError)


def _in_turn(act: Callable[[], object], refusal: type[Exception]) -> None:
    """Do what another writer may keep from being done, until ``BUSY_SECONDS`` have passed."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            act()
        except refusal as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(_ASK_SECONDS)
        else:
            return


def stamp_of(connection: Connection) -> tuple[object, ...]:
    """What changes with every write to the database, and with some that change nothing of the ledger."""
    url = connection.engine.url
    if url.get_backend_name() != "sqlite":
        # The transactions that have begun and ended; those that only read are not counted.
        return tuple(connection.exec_driver_sql("SELECT txid_current_snapshot()::text").one())
    path = Path(str(url.database)).absolute()
    found: list[object] = []
    for file in (path, path.with_name(f"{path.name}-wal")):
        with contextlib.suppress(FileNotFoundError):  # the log is there while somebody is connected
            status = file.stat()
            found += [status.st_mtime_ns, status.st_ino, status.st_size] if status.st_size else []
    return tuple(found)


@contextlib.contextmanager
def ledger_errors(url: URL) -> Iterator[None]:
    """Turn what the database says into one line for a user."""
    try:
        yield
    except SQLAlchemyError as error:
        raise LedgerError(_explain(url, error)) from error


def _explain(url: URL, error: SQLAlchemyError) -> str:
    shown = url.render_as_string(hide_password=True)
    said = str(error.orig if isinstance(error, DatabaseError) else error).strip().split("\n")[0]
    for sign, cause in _CAUSES.items():
        if sign in said.lower():
            return f"ledger {shown}: {cause.format(busy=BUSY_SECONDS)} ({said})"
    kind = "refused a row" if isinstance(error, IntegrityError) else "failed"
    return f"ledger {shown} {kind}: {said}"
