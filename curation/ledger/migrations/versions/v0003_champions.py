"""Set versions, judgements of challengers, which model decides, regression cases, and comparisons on live traffic.

Revision ID: 0003
"""

import sqlalchemy as sa
from alembic import op

from curation.ledger.migrations.final import make_final

revision = "0003"
down_revision = "0002"

TIME = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# What an existing row of each table is known by.
FINAL = {
    "set_versions": "number = NEW.number OR name = NEW.name",
    "set_members": "version = NEW.version AND image_id = NEW.image_id",
    "challenges": "number = NEW.number",
    "champions": "number = NEW.number",
}


def upgrade() -> None:
    _sets()
    _champions()
    _cases_and_shadows()
    for table, taken in FINAL.items():
        make_final(table, taken)


def _sets() -> None:
    op.create_table(
        "set_versions",
        sa.Column("number", NUMBER, autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("parent", sa.Text(), nullable=True),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.CheckConstraint("kind IN ('training', 'frozen')", name=op.f("ck_set_versions_kind")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_set_versions")),
        sa.UniqueConstraint("name", name=op.f("uq_set_versions_name")),
    )
    op.create_table(
        "set_members",
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("image_id", sa.String(length=32), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("group", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=6), nullable=False),
        sa.Column("verdicts", sa.Text(), nullable=False),
        sa.Column("weight", sa.Float(), nullable=False),
        sa.Column("mask", sa.Text(), nullable=True),
        sa.Column("mask_sha256", sa.String(length=64), nullable=True),
        sa.CheckConstraint("state IN ('good', 'defect')", name=op.f("ck_set_members_state")),
        sa.ForeignKeyConstraint(["version"], ["set_versions.name"], name=op.f("fk_set_members_version")),
        sa.PrimaryKeyConstraint("version", "image_id", name=op.f("pk_set_members")),
    )


def _champions() -> None:
    op.create_table(
        "challenges",
        sa.Column("number", NUMBER, autoincrement=True, nullable=False),
        sa.Column("camera", sa.Text(), nullable=False),
        sa.Column("champion_id", sa.Text(), nullable=False),
        sa.Column("champion_threshold", sa.Integer(), nullable=False),
        sa.Column("challenger_id", sa.Text(), nullable=False),
        sa.Column("challenger_threshold", sa.Integer(), nullable=False),
        sa.Column("training_set", sa.Text(), nullable=True),
        sa.Column("frozen_set", sa.Text(), nullable=False),
        sa.Column("rules_sha256", sa.String(length=64), nullable=False),
        sa.Column("wins", sa.Boolean(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["champion_id"], ["models.model_id"], name=op.f("fk_challenges_champion_id")),
        sa.ForeignKeyConstraint(["challenger_id"], ["models.model_id"], name=op.f("fk_challenges_challenger_id")),
        sa.ForeignKeyConstraint(["training_set"], ["set_versions.name"], name=op.f("fk_challenges_training_set")),
        sa.ForeignKeyConstraint(["frozen_set"], ["set_versions.name"], name=op.f("fk_challenges_frozen_set")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_challenges")),
        sa.UniqueConstraint(
            "camera",
            "champion_id",
            "champion_threshold",
            "challenger_id",
            "challenger_threshold",
            "frozen_set",
            "rules_sha256",
            name=op.f("uq_challenges_judgement"),
        ),
    )
    op.create_table(
        "champions",
        sa.Column("number", NUMBER, autoincrement=True, nullable=False),
        sa.Column("camera", sa.Text(), nullable=False),
        sa.Column("model_id", sa.Text(), nullable=False),
        sa.Column("previous", sa.Text(), nullable=True),
        sa.Column("event", sa.String(length=11), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("challenge", NUMBER, nullable=True),
        sa.Column("at", TIME, nullable=False),
        sa.CheckConstraint("event IN ('appointed', 'promoted', 'rolled back')", name=op.f("ck_champions_event")),
        sa.ForeignKeyConstraint(["model_id"], ["models.model_id"], name=op.f("fk_champions_model_id")),
        sa.ForeignKeyConstraint(["previous"], ["models.model_id"], name=op.f("fk_champions_previous")),
        sa.ForeignKeyConstraint(["challenge"], ["challenges.number"], name=op.f("fk_champions_challenge")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_champions")),
    )
    op.create_index(op.f("ix_champions_camera_number"), "champions", ["camera", "number"], unique=False)


def _cases_and_shadows() -> None:
    op.create_table(
        "regression_cases",
        sa.Column("image_id", sa.String(length=32), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.image_id"], name=op.f("fk_regression_cases_image_id")),
        sa.PrimaryKeyConstraint("image_id", name=op.f("pk_regression_cases")),
    )
    op.create_table(
        "shadow_scores",
        sa.Column("number", NUMBER, autoincrement=True, nullable=False),
        sa.Column("image_id", sa.String(length=32), nullable=False),
        sa.Column("champion_id", sa.Text(), nullable=False),
        sa.Column("champion_threshold", sa.Integer(), nullable=False),
        sa.Column("champion_score", sa.Float(), nullable=False),
        sa.Column("champion_decision", sa.String(length=6), nullable=False),
        sa.Column("challenger_id", sa.Text(), nullable=False),
        sa.Column("challenger_threshold", sa.Integer(), nullable=False),
        sa.Column("challenger_score", sa.Float(), nullable=False),
        sa.Column("challenger_decision", sa.String(length=6), nullable=False),
        sa.Column("batch", sa.Text(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.CheckConstraint(
            "champion_decision IN ('accept', 'reject')", name=op.f("ck_shadow_scores_champion_decision")
        ),
        sa.CheckConstraint(
            "challenger_decision IN ('accept', 'reject')", name=op.f("ck_shadow_scores_challenger_decision")
        ),
        sa.ForeignKeyConstraint(["image_id"], ["images.image_id"], name=op.f("fk_shadow_scores_image_id")),
        sa.ForeignKeyConstraint(["champion_id"], ["models.model_id"], name=op.f("fk_shadow_scores_champion_id")),
        sa.ForeignKeyConstraint(["challenger_id"], ["models.model_id"], name=op.f("fk_shadow_scores_challenger_id")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_shadow_scores")),
        sa.UniqueConstraint(
            "image_id",
            "champion_id",
            "champion_threshold",
            "challenger_id",
            "challenger_threshold",
            name=op.f("uq_shadow_scores_comparison"),
        ),
    )
