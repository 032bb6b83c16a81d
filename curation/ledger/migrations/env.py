"""Runs the migrations on the connection, and in the transaction, that the ledger opened."""

from alembic import context

from curation.ledger.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
context.run_migrations()
