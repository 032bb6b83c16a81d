"""The first tables: images, models, scores, asks, verdicts and what belongs to them.

Revision ID: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

TIME = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# Why an image was asked about is as final as what was answered: estimates are weighted by it.
FINAL_OF_ASKS = (
    "number, ask_id, image_id, reason, inclusion_probability, strategy, model_id, threshold_version, seed, created_at"
)
OPEN = "state IN ('created', 'pushed')"
REFUSAL = "the ledger is append-only: rows of %s are final"


def upgrade() -> None:
    op.create_table(
        "cursors",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("set_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_cursors")),
    )
    op.create_table(
        "images",
        sa.Column("number", NUMBER, autoincrement=True, nullable=False),
        sa.Column("image_id", sa.String(length=32), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("group", sa.Text(), nullable=False),
        sa.Column("lot", sa.Text(), nullable=True),
        sa.Column("camera", sa.Text(), nullable=True),
        sa.Column("time", TIME, nullable=True),
        sa.Column("added_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_images")),
        sa.UniqueConstraint("image_id", name=op.f("uq_images_image_id")),
    )
    op.create_index(op.f("ix_images_group"), "images", ["group"], unique=False)
    op.create_index(op.f("ix_images_part"), "images", ["part"], unique=False)
    op.create_table(
        "models",
        sa.Column("model_id", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=True),
        sa.Column("detector", sa.Text(), nullable=True),
        sa.Column("weights", sa.Text(), nullable=True),
        sa.Column("trained_at", TIME, nullable=True),
        sa.Column("recorded_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("model_id", name=op.f("pk_models")),
    )
    op.create_table(
        "asks",
        sa.Column("number", NUMBER, autoincrement=True, nullable=False),
        sa.Column("ask_id", sa.String(length=32), nullable=False),
        sa.Column("image_id", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("inclusion_probability", sa.Float(), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("model_id", sa.Text(), nullable=False),
        sa.Column("threshold_version", sa.Integer(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=9), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("pushed_at", TIME, nullable=True),
        sa.Column("answered_at", TIME, nullable=True),
        sa.Column("project_id", sa.BigInteger(), nullable=True),
        sa.Column("task_id", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("state IN ('created', 'pushed', 'answered', 'withdrawn')", name=op.f("ck_asks_state")),
        sa.CheckConstraint(
            "inclusion_probability > 0 AND inclusion_probability <= 1", name=op.f("ck_asks_inclusion_probability")
        ),
        sa.ForeignKeyConstraint(["image_id"], ["images.image_id"], name=op.f("fk_asks_image_id")),
        sa.ForeignKeyConstraint(["model_id"], ["models.model_id"], name=op.f("fk_asks_model_id")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_asks")),
        sa.UniqueConstraint("ask_id", name=op.f("uq_asks_ask_id")),
    )
    op.create_index(op.f("ix_asks_image_id"), "asks", ["image_id"], unique=False)
    op.create_index(op.f("ix_asks_state"), "asks", ["state"], unique=False)
    op.create_index(
        "uq_asks_open_image_id",
        "asks",
        ["image_id"],
        unique=True,
        sqlite_where=sa.text(OPEN),
        postgresql_where=sa.text(OPEN),
    )
    op.create_table(
        "embedding_files",
        sa.Column("number", NUMBER, autoincrement=True, nullable=False),
        sa.Column("model_id", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("recorded_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["models.model_id"], name=op.f("fk_embedding_files_model_id")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_embedding_files")),
        sa.UniqueConstraint("model_id", "path", name=op.f("uq_embedding_files_model_id_path")),
    )
    op.create_table(
        "image_paths",
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("image_id", sa.String(length=32), nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.image_id"], name=op.f("fk_image_paths_image_id")),
        sa.PrimaryKeyConstraint("path", name=op.f("pk_image_paths")),
    )
    op.create_index(op.f("ix_image_paths_image_id"), "image_paths", ["image_id"], unique=False)
    op.create_table(
        "scores",
        sa.Column("number", NUMBER, autoincrement=True, nullable=False),
        sa.Column("image_id", sa.String(length=32), nullable=False),
        sa.Column("model_id", sa.Text(), nullable=False),
        sa.Column("threshold_version", sa.Integer(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("decision_score", sa.Float(), nullable=False),
        sa.Column("fallback_score", sa.Float(), nullable=True),
        sa.Column("percentile", sa.Float(), nullable=True),
        sa.Column("decision", sa.String(length=6), nullable=False),
        sa.Column("map_path", sa.Text(), nullable=True),
        sa.Column("batch", sa.Text(), nullable=False),
        sa.Column("recorded_at", TIME, nullable=False),
        sa.CheckConstraint("decision IN ('accept', 'reject')", name=op.f("ck_scores_decision")),
        sa.ForeignKeyConstraint(["image_id"], ["images.image_id"], name=op.f("fk_scores_image_id")),
        sa.ForeignKeyConstraint(["model_id"], ["models.model_id"], name=op.f("fk_scores_model_id")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_scores")),
        sa.UniqueConstraint(
            "image_id", "model_id", "threshold_version", name=op.f("uq_scores_image_id_model_id_threshold_version")
        ),
    )
    op.create_index(op.f("ix_scores_batch_image_id"), "scores", ["batch", "image_id"], unique=False)
    op.create_index(op.f("ix_scores_model_id_image_id"), "scores", ["model_id", "image_id"], unique=False)
    op.create_table(
        "tags",
        sa.Column("image_id", sa.String(length=32), nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.image_id"], name=op.f("fk_tags_image_id")),
        sa.PrimaryKeyConstraint("image_id", "tag", name=op.f("pk_tags")),
    )
    op.create_table(
        "thresholds",
        sa.Column("model_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("promise_text", sa.Text(), nullable=False),
        sa.Column("parent", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("recorded_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["models.model_id"], name=op.f("fk_thresholds_model_id")),
        sa.PrimaryKeyConstraint("model_id", "version", name=op.f("pk_thresholds")),
    )
    op.create_table(
        "embedding_rows",
        sa.Column("file", NUMBER, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("image_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["file"], ["embedding_files.number"], name=op.f("fk_embedding_rows_file"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["image_id"], ["images.image_id"], name=op.f("fk_embedding_rows_image_id")),
        sa.PrimaryKeyConstraint("file", "position", name=op.f("pk_embedding_rows")),
    )
    op.create_index(op.f("ix_embedding_rows_image_id"), "embedding_rows", ["image_id"], unique=False)
    op.create_table(
        "verdicts",
        sa.Column("number", NUMBER, autoincrement=True, nullable=False),
        sa.Column("ask_id", sa.String(length=32), nullable=True),
        sa.Column("image_id", sa.String(length=32), nullable=False),
        sa.Column("inspector", sa.Text(), nullable=False),
        sa.Column("verdict", sa.String(length=9), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("revision", sa.Text(), nullable=False),
        sa.Column("regions_mask", sa.Text(), nullable=True),
        sa.Column("defect_class", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("model_id", sa.Text(), nullable=True),
        sa.Column("threshold_version", sa.Integer(), nullable=True),
        sa.Column("recorded_at", TIME, nullable=False),
        sa.CheckConstraint(
            "verdict IN ('good', 'defect', 'unsure', 'skipped', 'withdrawn')", name=op.f("ck_verdicts_verdict")
        ),
        sa.ForeignKeyConstraint(["ask_id"], ["asks.ask_id"], name=op.f("fk_verdicts_ask_id")),
        sa.ForeignKeyConstraint(["image_id"], ["images.image_id"], name=op.f("fk_verdicts_image_id")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_verdicts")),
        sa.UniqueConstraint("source", "external_id", "revision", name=op.f("uq_verdicts_source_external_id_revision")),
    )
    op.create_index(op.f("ix_verdicts_ask_id"), "verdicts", ["ask_id"], unique=False)
    op.create_index(op.f("ix_verdicts_image_id"), "verdicts", ["image_id"], unique=False)

    if op.get_bind().dialect.name == "sqlite":
        _sqlite_triggers()
    else:
        _postgresql_triggers()


def _sqlite_triggers() -> None:
    for table, columns in (("verdicts", ""), ("asks", f"OF {FINAL_OF_ASKS} ")):
        refuse = f"BEGIN SELECT RAISE(ABORT, '{REFUSAL % table}'); END"
        op.execute(f"CREATE TRIGGER {table}_update BEFORE UPDATE {columns}ON {table} {refuse}")
        op.execute(f"CREATE TRIGGER {table}_delete BEFORE DELETE ON {table} {refuse}")
    # INSERT OR REPLACE deletes without the trigger above, unless the connection asks for it; others than ours do not.
    # A number that SQLite is still to give is -1 here.
    taken = "number = NEW.number OR (source, external_id, revision) = (NEW.source, NEW.external_id, NEW.revision)"
    _refuse_taken("verdicts", "insert", "INSERT", taken)
    taken = f"image_id = NEW.image_id AND {OPEN} AND NEW.{OPEN}"
    _refuse_taken("asks", "insert", "INSERT", f"number = NEW.number OR ask_id = NEW.ask_id OR ({taken})")
    _refuse_taken("asks", "open", "UPDATE OF state", f"{taken} AND number <> NEW.number")


def _refuse_taken(table: str, name: str, change: str, taken: str) -> None:
    when = f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {taken})"
    refuse = f"BEGIN SELECT RAISE(ABORT, '{REFUSAL % table}'); END"
    op.execute(f"CREATE TRIGGER {table}_{name} BEFORE {change} ON {table} {when} {refuse}")


def _postgresql_triggers() -> None:
    op.execute(
        "CREATE FUNCTION flawsmith_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{REFUSAL.replace('%s', '%')}', TG_TABLE_NAME; END $$"
    )
    for table, columns in (("verdicts", ""), ("asks", f"OF {FINAL_OF_ASKS} ")):
        refuse = "EXECUTE FUNCTION flawsmith_refuse()"
        op.execute(f"CREATE TRIGGER {table}_update BEFORE UPDATE {columns}ON {table} FOR EACH ROW {refuse}")
        op.execute(f"CREATE TRIGGER {table}_delete BEFORE DELETE ON {table} FOR EACH ROW {refuse}")
        op.execute(f"CREATE TRIGGER {table}_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT {refuse}")
