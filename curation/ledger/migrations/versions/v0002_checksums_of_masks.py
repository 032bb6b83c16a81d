"""Checksums of the masks that inspectors drew: defects are cut out by them, so that they must be what was confirmed.

Revision ID: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("verdicts", sa.Column("regions_sha256", sa.String(64), nullable=True))
