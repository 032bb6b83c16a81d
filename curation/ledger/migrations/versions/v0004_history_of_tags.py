"""Every change of a tag: who set it or took it away, and when.

Revision ID: 0004
"""

import sqlalchemy as sa
from alembic import op

from curation.ledger.migrations.final import make_final

revision = "0004"
down_revision = "0003"

TIME = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "tag_events",
        sa.Column("number", NUMBER, autoincrement=True, nullable=False),
        sa.Column("image_id", sa.String(length=32), nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.Column("event", sa.String(length=7), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("recorded_at", TIME, nullable=False),
        sa.CheckConstraint("event IN ('set', 'removed')", name=op.f("ck_tag_events_event")),
        sa.ForeignKeyConstraint(["image_id"], ["images.image_id"], name=op.f("fk_tag_events_image_id")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_tag_events")),
    )
    op.create_index(op.f("ix_tag_events_image_id"), "tag_events", ["image_id"], unique=False)
    # What is set today was set by somebody; what was taken away before is not known.
    op.execute(
        "INSERT INTO tag_events (image_id, tag, event, who, at, recorded_at) "
        "SELECT image_id, tag, 'set', who, at, at FROM tags ORDER BY at, image_id, tag"
    )
    make_final("tag_events")
