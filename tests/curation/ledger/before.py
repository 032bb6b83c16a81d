"""Ledgers as programs of before have made them."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from alembic import command

from curation.ledger import migrate


@contextmanager
def made_at(revision: str) -> Iterator[None]:
    """Have ledgers that are opened meanwhile made as of a revision of the schema."""
    upgrade = command.upgrade
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(migrate, "HEAD", revision)
        patched.setattr(command, "upgrade", lambda config, _: upgrade(config, revision))
        yield
