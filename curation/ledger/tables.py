"""The ledger's tables. A change here needs a migration in ``migrations/versions``; a test compares the two."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from curation.ledger.times import UtcTime

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite numbers rows by itself only where the type is INTEGER.
Number = BigInteger().with_variant(Integer, "sqlite")

images = Table(
    "images",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("image_id", String(32), nullable=False, unique=True),
    Column("path", Text, nullable=False),
    Column("part", Text, nullable=False, index=True),
    Column("group", Text, nullable=False, index=True),
    Column("lot", Text),
    Column("camera", Text),
    Column("time", UtcTime),
    Column("added_at", UtcTime, nullable=False),
)

image_paths = Table(
    "image_paths",
    metadata,
    Column("path", Text, primary_key=True),
    Column("image_id", String(32), ForeignKey("images.image_id"), nullable=False, index=True),
    Column("seen_at", UtcTime, nullable=False),
)

models = Table(
    "models",
    metadata,
    Column("model_id", Text, primary_key=True),
    Column("path", Text),
    Column("detector", Text),
    Column("weights", Text),
    Column("trained_at", UtcTime),
    Column("recorded_at", UtcTime, nullable=False),
)

thresholds = Table(
    "thresholds",
    metadata,
    Column("model_id", Text, ForeignKey("models.model_id"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("value", Float, nullable=False),
    Column("promise_text", Text, nullable=False),
    Column("parent", Integer),
    Column("reason", Text, nullable=False),
    Column("recorded_at", UtcTime, nullable=False),
    Column("origins", Text),
)

scores = Table(
    "scores",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("image_id", String(32), ForeignKey("images.image_id"), nullable=False),
    Column("model_id", Text, ForeignKey("models.model_id"), nullable=False),
    Column("threshold_version", Integer, nullable=False),
    Column("score", Float, nullable=False),
    Column("decision_score", Float, nullable=False),
    Column("fallback_score", Float),
    Column("percentile", Float),
    Column("decision", String(6), nullable=False),
    Column("map_path", Text),
    Column("batch", Text, nullable=False),
    Column("recorded_at", UtcTime, nullable=False),
    UniqueConstraint("image_id", "model_id", "threshold_version"),
    CheckConstraint("decision IN ('accept', 'reject')", name="decision"),
    Index(None, "model_id", "image_id"),
    Index(None, "batch", "image_id"),
)

asks = Table(
    "asks",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("ask_id", String(32), nullable=False, unique=True),
    Column("image_id", String(32), ForeignKey("images.image_id"), nullable=False, index=True),
    Column("reason", Text, nullable=False),
    Column("inclusion_probability", Float, nullable=False),
    Column("strategy", Text, nullable=False),
    Column("model_id", Text, ForeignKey("models.model_id"), nullable=False),
    Column("threshold_version", Integer, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("state", String(9), nullable=False, index=True),
    Column("created_at", UtcTime, nullable=False),
    Column("pushed_at", UtcTime),
    Column("answered_at", UtcTime),
    Column("project_id", BigInteger),
    Column("task_id", BigInteger),
    CheckConstraint("inclusion_probability > 0 AND inclusion_probability <= 1", name="inclusion_probability"),
    CheckConstraint("state IN ('created', 'pushed', 'answered', 'withdrawn')", name="state"),
)

OPEN = text("state IN ('created', 'pushed')")

Index("uq_asks_open_image_id", asks.c.image_id, unique=True, sqlite_where=OPEN, postgresql_where=OPEN)

verdicts = Table(
    "verdicts",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("ask_id", String(32), ForeignKey("asks.ask_id"), index=True),
    Column("image_id", String(32), ForeignKey("images.image_id"), nullable=False, index=True),
    Column("inspector", Text, nullable=False),
    Column("verdict", String(9), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("source", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("revision", Text, nullable=False),
    Column("regions_mask", Text),
    Column("regions_sha256", String(64)),
    Column("defect_class", Text),
    Column("note", Text),
    Column("model_id", Text),
    Column("threshold_version", Integer),
    Column("recorded_at", UtcTime, nullable=False),
    Column("severity", String(12)),
    UniqueConstraint("source", "external_id", "revision"),
    CheckConstraint("verdict IN ('good', 'defect', 'unsure', 'skipped', 'withdrawn')", name="verdict"),
)

embedding_files = Table(
    "embedding_files",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("model_id", Text, ForeignKey("models.model_id"), nullable=False),
    Column("path", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("recorded_at", UtcTime, nullable=False),
    UniqueConstraint("model_id", "path"),
)

embedding_rows = Table(
    "embedding_rows",
    metadata,
    Column("file", Number, ForeignKey("embedding_files.number", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("image_id", String(32), ForeignKey("images.image_id"), nullable=False, index=True),
)

tags = Table(
    "tags",
    metadata,
    Column("image_id", String(32), ForeignKey("images.image_id"), primary_key=True),
    Column("tag", Text, primary_key=True),
    Column("who", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
)

tag_events = Table(
    "tag_events",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("image_id", String(32), ForeignKey("images.image_id"), nullable=False, index=True),
    Column("tag", Text, nullable=False),
    Column("event", String(7), nullable=False),
    Column("who", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("recorded_at", UtcTime, nullable=False),
    CheckConstraint("event IN ('set', 'removed')", name="event"),
)

cursors = Table(
    "cursors",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("set_at", UtcTime, nullable=False),
)

LOOKS = ("brightness", "contrast", "sharpness", "grain", "red", "blue")
"""What is measured of how a picture looks; ``curation.looks`` says how."""

image_looks = Table(
    "image_looks",
    metadata,
    Column("image_id", String(32), ForeignKey("images.image_id"), primary_key=True),
    *(Column(name, Float, nullable=False) for name in LOOKS),
)

reference_looks = Table(
    "reference_looks",
    metadata,
    Column("model_id", Text, ForeignKey("models.model_id"), primary_key=True),
    Column("image", Text, primary_key=True),
    *(Column(name, Float, nullable=False) for name in LOOKS),
)

set_versions = Table(
    "set_versions",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("name", Text, nullable=False, unique=True),
    Column("kind", String(8), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("parent", Text),
    Column("rule", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    CheckConstraint("kind IN ('training', 'frozen')", name="kind"),
)

set_members = Table(
    "set_members",
    metadata,
    Column("version", Text, ForeignKey("set_versions.name"), primary_key=True),
    Column("image_id", String(32), primary_key=True),
    Column("path", Text, nullable=False),
    Column("part", Text, nullable=False),
    Column("group", Text, nullable=False),
    Column("state", String(6), nullable=False),
    Column("verdicts", Text, nullable=False),
    Column("weight", Float, nullable=False),
    Column("mask", Text),
    Column("mask_sha256", String(64)),
    CheckConstraint("state IN ('good', 'defect')", name="state"),
)

challenges = Table(
    "challenges",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("camera", Text, nullable=False),
    Column("champion_id", Text, ForeignKey("models.model_id"), nullable=False),
    Column("champion_threshold", Integer, nullable=False),
    Column("challenger_id", Text, ForeignKey("models.model_id"), nullable=False),
    Column("challenger_threshold", Integer, nullable=False),
    Column("training_set", Text, ForeignKey("set_versions.name")),
    Column("frozen_set", Text, ForeignKey("set_versions.name"), nullable=False),
    Column("rules_sha256", String(64), nullable=False),
    Column("wins", Boolean, nullable=False),
    Column("text", Text, nullable=False),
    Column("report", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    # The same judgement again is no new one.
    UniqueConstraint(
        "camera",
        "champion_id",
        "champion_threshold",
        "challenger_id",
        "challenger_threshold",
        "frozen_set",
        "rules_sha256",
        name="uq_challenges_judgement",
    ),
)

champions = Table(
    "champions",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("camera", Text, nullable=False),
    Column("model_id", Text, ForeignKey("models.model_id"), nullable=False),
    Column("previous", Text, ForeignKey("models.model_id")),
    Column("event", String(11), nullable=False),
    Column("reason", Text, nullable=False),
    Column("challenge", Number, ForeignKey("challenges.number")),
    Column("at", UtcTime, nullable=False),
    CheckConstraint("event IN ('appointed', 'promoted', 'rolled back')", name="event"),
    Index(None, "camera", "number"),
)

regression_cases = Table(
    "regression_cases",
    metadata,
    Column("image_id", String(32), ForeignKey("images.image_id"), primary_key=True),
    Column("who", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
)

gold_items = Table(
    "gold_items",
    metadata,
    Column("image_id", String(32), ForeignKey("images.image_id"), primary_key=True),
    Column("truth", String(6), nullable=False),
    Column("who", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    CheckConstraint("truth IN ('good', 'defect')", name="truth"),
)

gold_events = Table(
    "gold_events",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("image_id", String(32), ForeignKey("images.image_id"), nullable=False, index=True),
    Column("said", String(9), nullable=False),
    Column("who", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    CheckConstraint("said IN ('good', 'defect', 'withdrawn')", name="said"),
)

shadow_scores = Table(
    "shadow_scores",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("image_id", String(32), ForeignKey("images.image_id"), nullable=False),
    Column("champion_id", Text, ForeignKey("models.model_id"), nullable=False),
    Column("champion_threshold", Integer, nullable=False),
    Column("champion_score", Float, nullable=False),
    Column("champion_decision", String(6), nullable=False),
    Column("challenger_id", Text, ForeignKey("models.model_id"), nullable=False),
    Column("challenger_threshold", Integer, nullable=False),
    Column("challenger_score", Float, nullable=False),
    Column("challenger_decision", String(6), nullable=False),
    Column("batch", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    UniqueConstraint(
        "image_id",
        "champion_id",
        "champion_threshold",
        "challenger_id",
        "challenger_threshold",
        name="uq_shadow_scores_comparison",
    ),
    CheckConstraint("champion_decision IN ('accept', 'reject')", name="champion_decision"),
    CheckConstraint("challenger_decision IN ('accept', 'reject')", name="challenger_decision"),
)
