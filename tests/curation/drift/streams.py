"""Streams made up of numbers."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from curation.drift.reading import Answer, Shot, Stream
from curation.drift.reference import Reference
from curation.ledger.tables import LOOKS

START = datetime(2026, 3, 1, 6, tzinfo=UTC)


def shots_of(
    count: int, seed: int = 0, lots: int | None = None, exposures: int = 1, embedded: bool = True
) -> list[Shot]:
    """Parts without drift; of a lot so many parts in a row."""
    rng = np.random.default_rng(seed)
    return [
        Shot(
            image_id=f"{rng.integers(2**62):016x}",
            path=Path(f"p{part:04d}_{exposure}.png"),
            group=f"p{part:04d}",
            lot=None if lots is None else f"lot{part // lots:03d}",
            at=START + timedelta(minutes=part, seconds=exposure),
            score=float(rng.normal()),
            look=tuple(rng.normal(size=len(LOOKS)).tolist()),
            embedding=rng.normal(size=6).astype(np.float32) if embedded else None,
        )
        for part in range(count)
        for exposure in range(exposures)
    ]


def reference_of(count: int = 60, seed: int = 99) -> Reference:
    rng = np.random.default_rng(seed)
    values = {name: rng.normal(size=count) for name in (*LOOKS, "score")}
    return Reference(values, rng.normal(size=(count, 6)), rng.normal(size=(40, 6)), "drawn", 59)


def stream_of(shots: list[Shot], answers: list[Answer] | None = None, limit: float | None = 3.0) -> Stream:
    return Stream("cam", "model", shots, answers or [], limit, timed=True)
