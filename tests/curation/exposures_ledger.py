"""A ledger of parts with two exposures, and of two kinds of defects, whose raw embeddings hardly differ."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from curation.ledger import ImageEntry, Ledger, ScoreEntry

PARTS, DEFECTS = 60, 60


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Sixty good parts with two exposures each, and thirty with one of two defects, which lie near each other.

    All embeddings lie so far from zero that their raw cosines hardly differ.
    """
    rng = np.random.default_rng(0)
    entries, vectors = [], []
    kinds = 9 * rng.normal(size=(2, 24))

    def add(name: str, group: str, vector: np.ndarray) -> None:
        path = tmp_path / f"{name}.png"
        Image.fromarray(rng.integers(0, 255, (8, 8), dtype=np.uint8)).save(path)
        entries.append(ImageEntry(path, part=name, group=group))
        vectors.append(vector + 300)

    for part in range(PARTS):
        centre = rng.normal(size=24)
        for exposure in range(2):
            add(f"{part}-{exposure}", f"part {part}", centre + rng.normal(0, 0.05, 24))
    for part in range(DEFECTS):
        add(f"bad-{part}", f"bad {part}", kinds[part % 2] + rng.normal(size=24))
    with Ledger.open(tmp_path / "ledger.db") as opened:
        ids = opened.add_images(entries)
        decisions: list[Literal["accept", "reject"]] = ["accept"] * (2 * PARTS) + ["reject"] * DEFECTS
        opened.record_scores(
            [ScoreEntry(key, "m", 1, 0.5, 0.5, decision=said) for key, said in zip(ids, decisions, strict=True)]
        )
        np.save(tmp_path / "embeddings.npy", np.array(vectors, dtype=np.float32))
        opened.record_embeddings("m", tmp_path / "embeddings.npy", ids)
        yield opened


@pytest.fixture
def ids(ledger: Ledger) -> list[str]:
    return [image.image_id for image in ledger.images()]
