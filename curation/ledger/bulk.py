"""Many rows at once, within the number of parameters that a database takes in one statement."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Select, Table
from sqlalchemy.dialects import postgresql, sqlite

T = TypeVar("T")

CHUNK = 500


def chunks(items: Sequence[T], size: int = CHUNK) -> Iterator[Sequence[T]]:
    """Cut a list into pieces."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def insert_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], *returning: str) -> list[Any]:
    """Insert rows, without those that a unique constraint knows already.

    Returns:
        The column ``returning`` of the rows that were new, or tuples of several columns.
    """
    make = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = make(table).on_conflict_do_nothing().returning(*(table.c[name] for name in returning))
    found = [tuple(row) for part in chunks(rows) for row in connection.execute(statement, list(part))]
    return found if len(returning) > 1 else [key for (key,) in found]


def upsert(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], changed: Sequence[str]) -> None:
    """Insert rows; where the primary key is there already, change the columns ``changed``."""
    if not rows:
        return
    make = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = make(table)
    keys = list(table.primary_key.columns)
    excluded = {name: statement.excluded[name] for name in changed}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=excluded), list(rows))


def select_in(
    connection: Connection, statement: Select[Any], column: ColumnElement[Any], keys: Sequence[Any]
) -> list[Row[Any]]:
    """Run a query for the rows whose ``column`` is among ``keys``."""
    return [row for part in chunks(keys) for row in connection.execute(statement.where(column.in_(list(part))))]
