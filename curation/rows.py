"""What the ledger knows of each image, as one flat row with a hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curation.defect_classes import class_of, severity_of

if TYPE_CHECKING:
    from curation.ledger import AskRow, ImageRow, Ledger, Resolution, ScoreRow, ThresholdRow

_Limits = Mapping[tuple[str, int], float]
"""Values of thresholds, by model and version."""

LAYOUT = 2
"""Part of every hash: raised when rows mean something else, so that all samples are written again."""


@dataclass(frozen=True)
class Row:
    """One image.

    Attributes:
        image_id: The ledger's id.
        values: What a sample shows, by field; plain data, None where nothing is known.
        hash: Of the values.
    """

    image_id: str
    values: dict[str, Any]
    hash: str


def rows_of(ledger: Ledger, model_id: str | None = None) -> dict[str, Row]:
    """All images of the ledger, by image id.

    Args:
        ledger: The truth.
        model_id: Whose scores; by default each image's latest.
    """
    scores = {score.image_id: score for score in ledger.scores(model_id=model_id)}
    models = {score.model_id for score in scores.values()}
    limits = _limits(row for model in models for row in ledger.thresholds(model))
    asks = {ask.image_id: ask for ask in ledger.asks()}
    resolutions = {resolution.image_id: resolution for resolution in ledger.resolved()}
    rows = {}
    for image in ledger.images():
        key = image.image_id
        values = _values(image, scores.get(key), limits, asks.get(key), resolutions.get(key))
        rows[key] = Row(key, values, _hash(values))
    return rows


def row_of(ledger: Ledger, image_id: str, model_id: str | None = None) -> Row:
    """One image of the ledger.

    Args:
        ledger: The truth.
        image_id: Which.
        model_id: Whose score; by default the latest.

    Raises:
        LedgerError: If there is no such image.
    """
    known = ledger.history(image_id)
    scores = [score for score in known.scores if model_id in (None, score.model_id)]
    asks = known.asks
    limits = _limits(known.thresholds)
    score, ask = scores[-1] if scores else None, asks[-1] if asks else None
    values = _values(known.image, score, limits, ask, known.resolution)
    return Row(image_id, values, _hash(values))


def _values(
    image: ImageRow, score: ScoreRow | None, limits: _Limits, ask: AskRow | None, resolution: Resolution | None
) -> dict[str, Any]:
    return {
        "image_id": image.image_id,
        "filepath": str(image.path),
        "file_missing": not image.path.is_file(),
        "part": image.part,
        "group": image.group,
        "lot": image.lot,
        "camera": image.camera,
        "time": image.time,
        "model_id": score and score.model_id,
        "threshold": score and limits.get((score.model_id, score.threshold_version)),
        "threshold_version": score and score.threshold_version,
        "score": score and score.score,
        "decision_score": score and score.decision_score,
        # As exact as some hundred good parts make it: the App shows all decimals there are.
        "percentile": None if score is None or score.percentile is None else round(score.percentile, 1),
        "decision": score and score.decision,
        "anomaly_map": _file(score.map_path if score else None),
        "ask_reason": ask and ask.reason,
        "ask_state": ask and ask.state,
        "verdict": resolution and resolution.state,
        "defect_class": class_of(resolution) if resolution and resolution.state == "defect" else None,
        "severity": severity_of(resolution) if resolution and resolution.state == "defect" else None,
        "confirmed_mask": _file(resolution.mask_path if resolution else None),
    }


def _limits(thresholds: Iterable[ThresholdRow]) -> _Limits:
    return {(row.model_id, row.version): row.value for row in thresholds}


def _file(path: Path | None) -> str | None:
    """A picture that the App can read; one that is gone would show as an error on every sample."""
    # The ledger's paths are absolute; resolving them again takes longer than all else about a row.
    return str(path) if path is not None and path.is_file() else None


def _hash(values: dict[str, Any]) -> str:
    text = json.dumps([LAYOUT, values], sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
