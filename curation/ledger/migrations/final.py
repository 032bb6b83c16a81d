"""Triggers that make the rows of a table final, for migrations."""

from alembic import op


def make_final(table: str, taken: str = "number = NEW.number") -> None:
    """Refuse every change of a table but new rows, from any program.

    Args:
        table: Which; in PostgreSQL the function ``flawsmith_refuse`` of the first revision has to be there.
        taken: Condition in SQL under which a new row would take the place of an old one.
    """
    if op.get_bind().dialect.name == "sqlite":
        refuse = f"BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: rows of {table} are final'); END"
        op.execute(f"CREATE TRIGGER {table}_update BEFORE UPDATE ON {table} {refuse}")
        op.execute(f"CREATE TRIGGER {table}_delete BEFORE DELETE ON {table} {refuse}")
        # INSERT OR REPLACE deletes without the trigger above.
        when = f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {taken})"
        op.execute(f"CREATE TRIGGER {table}_insert BEFORE INSERT ON {table} {when} {refuse}")
        return
    refuse = "EXECUTE FUNCTION flawsmith_refuse()"
    op.execute(f"CREATE TRIGGER {table}_update BEFORE UPDATE ON {table} FOR EACH ROW {refuse}")
    op.execute(f"CREATE TRIGGER {table}_delete BEFORE DELETE ON {table} FOR EACH ROW {refuse}")
    op.execute(f"CREATE TRIGGER {table}_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT {refuse}")
