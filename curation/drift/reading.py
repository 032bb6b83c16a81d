"""What the ledger knows of a camera's pictures, in the order in which they were taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from curation.errors import LedgerError
from curation.ledger import ImageRow, Ledger, ThresholdRow
from curation.ledger.looks import Look


@dataclass(frozen=True)
class Shot:
    """A picture that was scored.

    Attributes:
        image_id: In the ledger.
        path: Where it lay last.
        group: What is independent of other groups.
        lot: Where known.
        at: When it was taken; when the ledger first heard of it, where nobody knows.
        score: Of the detector.
        look: How it looks, ``curation.ledger.tables.LOOKS``; None where it was never measured.
        embedding: ``[D]``, or None.
    """

    image_id: str
    path: Path
    group: str
    lot: str | None
    at: datetime
    score: float
    look: Look | None
    embedding: NDArray[np.float32] | None


@dataclass(frozen=True)
class Answer:
    """The first answer about a part, and whether it was "unsure"."""

    image_id: str
    path: Path
    at: datetime
    unsure: bool


@dataclass(frozen=True)
class Stream:
    """A camera's pictures and what inspectors said of them, each in time order.

    Attributes:
        camera: Empty where pictures have none.
        model_id: Whose scores they are.
        shots: Pictures.
        answers: First answers.
        limit: The model's first threshold, which no verdict has moved; None where the ledger does not know it.
        timed: Whether all pictures say when they were taken.
    """

    camera: str
    model_id: str
    shots: Sequence[Shot]
    answers: Sequence[Answer]
    limit: float | None
    timed: bool


def models_at(ledger: Ledger, until: datetime | None = None) -> dict[str, str]:
    """Which model decided at each camera, in the order in which the cameras appeared.

    The champion of that time; where none had been appointed, the model that scored the last of the camera's pictures.

    Args:
        ledger: With scores.
        until: What came later is not looked at.
    """
    champions = {row.camera: row.model_id for row in ledger.champions() if until is None or row.at <= until}
    images = {image.image_id: image for image in ledger.images()}
    seen: dict[str, list[tuple[datetime, str]]] = {}
    for score in ledger.scores():
        image = images[score.image_id]
        at = taken_at(image)
        if until is None or at <= until:
            seen.setdefault(image.camera or "", []).append((at, score.model_id))
    first = sorted(seen, key=lambda camera: min(seen[camera]))
    return {camera: champions.get(camera, champions.get("", seen[camera][-1][1])) for camera in first}


def taken_at(image: ImageRow) -> datetime:
    """When a picture was taken; where nobody knows, when the ledger first heard of it."""
    return image.time or image.added_at


def read_stream(
    ledger: Ledger,
    camera: str,
    model_id: str,
    until: datetime | None = None,
    embeddings: Mapping[str, NDArray[np.float32]] | None = None,
) -> Stream:
    """Read a camera's pictures that a model has scored.

    Args:
        ledger: With scores.
        camera: Empty for pictures without one.
        model_id: The model.
        until: Later pictures and answers are left out.
        embeddings: From ``read_embeddings``.
    """
    looks = ledger.looks()
    images = {image.image_id: image for image in ledger.images() if (image.camera or "") == camera}
    chosen = {key: image for key, image in images.items() if until is None or taken_at(image) <= until}
    known = embeddings or {}
    shots = [
        Shot(
            image_id=score.image_id,
            path=chosen[score.image_id].path,
            group=chosen[score.image_id].group,
            lot=chosen[score.image_id].lot,
            at=taken_at(chosen[score.image_id]),
            score=score.score,
            look=looks.get(score.image_id),
            embedding=known.get(score.image_id),
        )
        for score in ledger.scores(model_id=model_id)
        if score.image_id in chosen
    ]
    thresholds = ledger.thresholds(model_id)
    return Stream(
        camera=camera,
        model_id=model_id,
        shots=sorted(shots, key=lambda shot: shot.at),
        answers=_answers(ledger, images, until),
        limit=_limit(thresholds[0], camera) if thresholds else None,
        timed=all(image.time is not None for image in chosen.values()),
    )


def _limit(threshold: ThresholdRow, camera: str) -> float:
    """What scores of a camera, before they are shifted, are compared with."""
    own = threshold.origins.limits.get(camera) if threshold.origins and threshold.origins.by == "camera" else None
    return threshold.value if own is None else own.value


def read_embeddings(ledger: Ledger, model_id: str) -> tuple[dict[str, NDArray[np.float32]], str]:
    """Embeddings by image id, and why there are none, in words."""
    try:
        keys, rows = ledger.embeddings(model_id)
    except LedgerError as error:
        return {}, str(error)
    return dict(zip(keys, rows, strict=True)), ""


def _answers(ledger: Ledger, images: Mapping[str, ImageRow], until: datetime | None) -> list[Answer]:
    first: dict[str, Answer] = {}
    said = [row for row in ledger.verdicts() if row.verdict in ("good", "defect", "unsure") and row.image_id in images]
    for row in sorted(said, key=lambda row: (row.at, row.number)):
        image = images[row.image_id]
        if until is None or row.at <= until:
            first.setdefault(image.group, Answer(row.image_id, image.path, row.at, row.verdict == "unsure"))
    return list(first.values())
