"""How pictures look, in numbers: drift is seen although the pictures are gone.

Revision ID: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

NUMBERS = ("brightness", "contrast", "sharpness", "grain", "red", "blue")


def upgrade() -> None:
    op.create_table(
        "image_looks",
        sa.Column("image_id", sa.String(length=32), nullable=False),
        *(sa.Column(name, sa.Float(), nullable=False) for name in NUMBERS),
        sa.ForeignKeyConstraint(["image_id"], ["images.image_id"], name=op.f("fk_image_looks_image_id")),
        sa.PrimaryKeyConstraint("image_id", name=op.f("pk_image_looks")),
    )
    op.create_table(
        "reference_looks",
        sa.Column("model_id", sa.Text(), nullable=False),
        sa.Column("image", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Float(), nullable=False) for name in NUMBERS),
        sa.ForeignKeyConstraint(["model_id"], ["models.model_id"], name=op.f("fk_reference_looks_model_id")),
        sa.PrimaryKeyConstraint("model_id", "image", name=op.f("pk_reference_looks")),
    )
