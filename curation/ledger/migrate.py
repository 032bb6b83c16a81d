"""Bringing a ledger's schema up to date, by Alembic; safe when several processes open a new ledger at once."""

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from curation.errors import LedgerError

_SCRIPTS = Path(__file__).parent / "migrations"

HEAD = "0008"
"""The newest revision; a ledger that has it is opened without loading Alembic."""

_LOCK = 0x666C6177
"""Of PostgreSQL, held by the one process that migrates."""


def migrate(engine: Engine) -> None:
    """Bring the schema to ``HEAD``, in one transaction.

    Raises:
        LedgerError: If a newer version of the program made the ledger, or the file holds something else.
    """
    with engine.connect() as connection:
        if _revision(connection) == HEAD:
            return
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        _upgrade(connection)


def _revision(connection: Connection) -> str | None:
    names = inspect(connection).get_table_names()
    if "alembic_version" in names:
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if names:
        shown = ", ".join(sorted(names)[:3])
        msg = f"{connection.engine.url.database} is no ledger, it holds other tables ({shown}); name another database"
        raise LedgerError(msg)
    return None


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    present = _revision(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if present is not None and present not in known:
        msg = (
            f"the ledger {connection.engine.url.database} has schema {present}, made by a newer flawsmith; "
            f"this one knows up to {HEAD}: update flawsmith"
        )
        raise LedgerError(msg)
    command.upgrade(config, "head")
