"""Which parts are asked about: each at most once, however large their groups are."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image

from curation.ledger import ImageEntry, Ledger, ScoreEntry
from integrations.asking import top_up_asks

PARTS, EXPOSURES = 6, 2


def bundle() -> Any:
    threshold = SimpleNamespace(value=0.5, version=1)
    return SimpleNamespace(
        fingerprint="model", folder=Path("bundle"), thresholds=SimpleNamespace(current=lambda: threshold)
    )


def fill(ledger: Ledger, folder: Path) -> None:
    """One lot, of parts with two exposures each, as the only group."""
    entries, rng = [], np.random.default_rng(0)
    for part in range(PARTS):
        for exposure in range(EXPOSURES):
            path = folder / f"{part}_{exposure}.png"
            Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(path)
            entries.append(ImageEntry(path=path, part=str(part), group="lot-1"))
    ids = ledger.add_images(entries)
    scores = rng.random(len(ids))
    ledger.record_scores(
        [ScoreEntry(key, "model", 1, score, score) for key, score in zip(ids, scores.tolist(), strict=True)]
    )


def test_all_parts_of_a_lot_can_be_asked_about_but_none_twice(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        fill(ledger, tmp_path)
        assert top_up_asks(ledger, bundle(), 4) == 4
        assert top_up_asks(ledger, bundle(), 4) == 0
        assert top_up_asks(ledger, bundle(), 100, seed=1) == PARTS - 4
        parts = {image.image_id: image.part for image in ledger.images()}
        asked = [parts[ask.image_id] for ask in ledger.asks()]
    assert sorted(asked) == [str(part) for part in range(PARTS)]
