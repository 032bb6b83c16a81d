"""Every word on gold items: who vouched for what, also where another took its place or it was withdrawn.

Revision ID: 0007
"""

import sqlalchemy as sa
from alembic import op

from curation.ledger.migrations.final import make_final

revision = "0007"
down_revision = "0006"

TIME = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "gold_events",
        sa.Column("number", NUMBER, autoincrement=True, nullable=False),
        sa.Column("image_id", sa.String(length=32), nullable=False),
        sa.Column("said", sa.String(length=9), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.CheckConstraint("said IN ('good', 'defect', 'withdrawn')", name=op.f("ck_gold_events_said")),
        sa.ForeignKeyConstraint(["image_id"], ["images.image_id"], name=op.f("fk_gold_events_image_id")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_gold_events")),
    )
    op.create_index(op.f("ix_gold_events_image_id"), "gold_events", ["image_id"], unique=False)
    # What is vouched for today is known; what it took the place of is not.
    op.execute(
        "INSERT INTO gold_events (image_id, said, who, note, at) "
        "SELECT image_id, truth, who, note, at FROM gold_items ORDER BY at, image_id"
    )
    make_final("gold_events")
