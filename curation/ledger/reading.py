"""Rows of the database become plain dataclasses."""

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from curation.ledger.rows import AskRow, ImageRow, ModelRow, ScoreRow, TagEventRow, TagRow, ThresholdRow, VerdictRow
from learning.thresholds import Origins

_ORIGINS = TypeAdapter(Origins)


def image_row(row: Any) -> ImageRow:
    """An image."""
    return ImageRow(row.image_id, Path(row.path), row.part, row.group, row.lot, row.camera, row.time, row.added_at)


def model_row(row: Any) -> ModelRow:
    """A model."""
    return ModelRow(row.model_id, _path(row.path), row.detector, row.weights, row.trained_at, row.recorded_at)


def threshold_row(row: Any) -> ThresholdRow:
    """A threshold."""
    values = row._asdict()
    return ThresholdRow(**values | {"origins": _ORIGINS.validate_json(row.origins) if row.origins else None})


def score_row(row: Any) -> ScoreRow:
    """A score."""
    values = row._asdict()
    del values["number"]
    return ScoreRow(**values | {"map_path": _path(row.map_path)})


def ask_row(row: Any) -> AskRow:
    """An ask."""
    values = row._asdict()
    del values["number"]
    return AskRow(**values)


def verdict_row(row: Any) -> VerdictRow:
    """A verdict."""
    return VerdictRow(**row._asdict() | {"regions_mask": _path(row.regions_mask)})


def tag_row(row: Any) -> TagRow:
    """A tag."""
    return TagRow(*row)


def tag_event_row(row: Any) -> TagEventRow:
    """A change of a tag."""
    values = row._asdict()
    del values["number"]
    return TagEventRow(**values)


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)
