"""A ledger of as many images as are asked for, made up, for benchmarks of what is done with it.

It is a real one (SQLite). Every image has a score, a map, a lot and a time; one in ten was asked about and has a
verdict, one in fifty a tag. Files are 100 small PNGs and 100 maps that the rows share, so that a million files need not
lie about.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sqlalchemy import create_engine

from benchmarks.console import say
from curation.ledger import AskEntry, Ledger, ScoreEntry, TagEntry, Verdict, VerdictEntry
from curation.ledger.tables import images
from learning.progress import Progress, silent

MODEL = "model"
FILES = 100
JUDGED, TAGGED = 10, 50
_BATCH = 10_000


def make_ledger(folder: Path, count: int, rng: np.random.Generator, progress: Progress = silent) -> Path:
    """Make a ledger.

    Args:
        folder: For the ledger and its files.
        count: Of images, at least ``FILES``.
        rng: Of scores and pixels.
        progress: Told how many images have a score.

    Returns:
        Its file.
    """
    say(f"making a ledger of {count:,} images")
    for number in range(FILES):
        for kind in ("image", "map"):
            pixels = rng.integers(0, 256, (16, 16), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{kind}{number}.png")
    place = folder / "ledger.db"
    keys = [f"{number:032x}" for number in range(count)]
    with Ledger.open(place) as ledger:
        # Straight into the table: add_images reads every file, and these are shared.
        engine = create_engine(f"sqlite:///{place}")
        with engine.begin() as connection:
            for start in range(0, count, _BATCH):
                connection.execute(images.insert(), [_image(folder, keys[n], n) for n in _range(start, count)])
        engine.dispose()
        score(ledger, keys, folder, 1, rng, progress)
        asked = keys[::JUDGED]
        ledger.create_asks([AskEntry(key, "borderline", 0.5, "pps", MODEL, 1) for key in asked])
        judge(ledger, asked)
        ledger.change_tags([TagEntry(key, "seen", "set", "ann") for key in keys[::TAGGED]])
    return place


def _image(folder: Path, key: str, number: int) -> dict[str, Any]:
    time = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number)
    return {
        "image_id": key,
        "path": str(folder / f"image{number % FILES}.png"),
        "part": f"part {number // 2}",
        "group": f"group {number // 4}",
        "lot": f"lot {number // 1000}",
        "camera": "top" if number % 2 else "side",
        "time": time,
        "added_at": time,
    }


def score(
    ledger: Ledger,
    keys: Sequence[str],
    folder: Path,
    version: int,
    rng: np.random.Generator,
    progress: Progress = silent,
) -> None:
    """Have the model score images, and decide by a version of its threshold."""
    for start in range(0, len(keys), _BATCH):
        progress(start, len(keys), "making a ledger")
        ledger.record_scores(
            [
                ScoreEntry(
                    keys[n],
                    MODEL,
                    version,
                    score := float(rng.random()),
                    score,
                    percentile=100 * score,
                    decision="reject" if score > 0.95 else "accept",
                    map_path=folder / f"map{n % FILES}.png",
                )
                for n in _range(start, len(keys))
            ]
        )


def judge(ledger: Ledger, keys: Sequence[str], verdict: Verdict = "defect") -> None:
    """Have somebody new say something of images."""
    at = datetime.now(UTC)
    ledger.record_verdicts(
        [VerdictEntry(None, key, f"ann {at}", verdict, at, "benchmark", f"{key} {at}", "1") for key in keys]
    )


def _range(start: int, count: int) -> range:
    return range(start, min(start + _BATCH, count))
