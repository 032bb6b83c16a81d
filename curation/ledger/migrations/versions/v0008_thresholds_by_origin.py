"""Values of a threshold that cameras or lots have of their own.

Revision ID: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("thresholds", sa.Column("origins", sa.Text(), nullable=True))
