"""How bad a defect is, and images whose truth somebody vouches for.

Revision ID: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

TIME = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")


def upgrade() -> None:
    op.add_column("verdicts", sa.Column("severity", sa.String(12), nullable=True))
    op.create_table(
        "gold_items",
        sa.Column("image_id", sa.String(length=32), nullable=False),
        sa.Column("truth", sa.String(length=6), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.CheckConstraint("truth IN ('good', 'defect')", name=op.f("ck_gold_items_truth")),
        sa.ForeignKeyConstraint(["image_id"], ["images.image_id"], name=op.f("fk_gold_items_image_id")),
        sa.PrimaryKeyConstraint("image_id", name=op.f("pk_gold_items")),
    )
