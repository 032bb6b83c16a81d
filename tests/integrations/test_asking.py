"""Which parts are asked about: each at most once, however large their groups are."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image

from curation.ledger import ImageEntry, Ledger, ScoreEntry, VerdictEntry
from integrations.asking import top_up_asks, top_up_each
from integrations.recording import confirmed_images, models_in_use

PARTS, EXPOSURES = 6, 2


def bundle(model: str = "model") -> Any:
    threshold = SimpleNamespace(value=0.5, version=1)
    return SimpleNamespace(
        fingerprint=model, folder=Path("bundle"), thresholds=SimpleNamespace(current=lambda: threshold)
    )


def fill(ledger: Ledger, folder: Path, camera: str | None = None, model: str = "model", parts: int = PARTS) -> None:
    """One lot, of parts with two exposures each, as the only group."""
    entries, rng = [], np.random.default_rng([parts, *(camera or "").encode()])
    folder.mkdir(exist_ok=True)
    for part in range(parts):
        for exposure in range(EXPOSURES):
            path = folder / f"{part}_{exposure}.png"
            Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(path)
            entries.append(ImageEntry(path=path, part=f"{camera or ''}{part}", group="lot-1", camera=camera))
    ids = ledger.add_images(entries)
    scores = rng.random(len(ids))
    ledger.record_scores(
        [ScoreEntry(key, model, 1, score, score) for key, score in zip(ids, scores.tolist(), strict=True)]
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


def asked_by_camera(ledger: Ledger) -> dict[str | None, int]:
    cameras = {image.image_id: image.camera for image in ledger.images()}
    found = [cameras[ask.image_id] for ask in ledger.asks()]
    return {camera: found.count(camera) for camera in dict.fromkeys(found)}


def test_the_budget_is_shared_by_the_cameras_and_what_one_cannot_use_goes_on(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        fill(ledger, tmp_path / "a", "a", "model-a", parts=2)
        fill(ledger, tmp_path / "b", "b", "model-b", parts=9)
        bundles = [bundle("model-a"), bundle("model-b")]
        assert models_in_use(ledger) == ["model-a", "model-b"]
        assert top_up_each(ledger, bundles, 8) == 8
        assert asked_by_camera(ledger) == {"a": 2, "b": 6}
        # Open ones count for their own camera: asking again asks nothing.
        assert top_up_each(ledger, bundles, 8) == 0


def test_a_camera_that_was_cut_off_gets_its_share_and_the_others_nothing(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        for name in "ab":
            fill(ledger, tmp_path / name, name, f"model-{name}", parts=9)
        assert top_up_asks(ledger, bundle("model-a"), 4) == 4
        assert top_up_each(ledger, [bundle("model-a"), bundle("model-b")], 8) == 4
        assert asked_by_camera(ledger) == {"a": 4, "b": 4}


def test_a_model_learns_from_its_own_cameras_only(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        for name in "ab":
            fill(ledger, tmp_path / name, name, f"model-{name}", parts=3)
        images = ledger.images()
        ledger.record_verdicts(
            [
                VerdictEntry(None, image.image_id, "eve", "good", "2026-01-05", "test", image.image_id, "1")
                for image in images
            ]
        )
        confirmed, unresolved = confirmed_images(ledger, "model-a")
        assert {one.part for one in confirmed} == {"a0", "a1", "a2"}
        assert unresolved == 0
        # One that is new has no camera yet, and may learn from all.
        assert len(confirmed_images(ledger, "model-new")[0]) == len(images)


def test_a_camera_is_served_by_the_model_that_scored_it_last(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        fill(ledger, tmp_path / "a", "a", "old", parts=3)
        fill(ledger, tmp_path / "a", "a", "new", parts=3)
        assert models_in_use(ledger) == ["new"]
