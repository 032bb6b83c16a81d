"""Which parts are asked about: each at most once, however large their groups are."""

from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from curation.actions import send_to_inspection
from curation.by_hand import BY_HAND
from curation.ledger import AskRow, ImageEntry, Ledger, ScoreEntry, VerdictEntry
from curation.regressions import add_returned
from integrations.asking import RETURNED, Asking, top_up_each
from integrations.daily import DailyBudget, answers_of_the_day
from integrations.evidence import collect_evidence
from integrations.label_studio.push import _waiting
from integrations.labelled import labelled_parts
from integrations.recording import confirmed_images, models_in_use
from learning.errors import ConfigError
from learning.sampling import AUDIT_SHARE
from learning.thresholds import Promise, Threshold

PARTS, EXPOSURES = 6, 2


def bundle(model: str = "model") -> Any:
    threshold = Threshold(version=1, value=0.5, promise=Promise("false_reject", 0.05, 0.95, 60, "at most 5 %"))
    return SimpleNamespace(
        fingerprint=model,
        folder=Path("bundle"),
        thresholds=SimpleNamespace(current=lambda: threshold, all=lambda: [threshold]),
        manifest=SimpleNamespace(defects=SimpleNamespace(used={})),
        embeddings=lambda name: ([], np.empty((0, 3))),
        selection=pd.DataFrame({"image": []}),
        calibration=pd.DataFrame({"image": []}),
    )


def answer(
    ledger: Ledger, ask: AskRow, who: str = "eve", at: datetime | str = "2026-01-05", revision: str = "1"
) -> None:
    entry = VerdictEntry(ask.ask_id, ask.image_id, who, "good", at, "test", f"{ask.ask_id}-{who}", revision)
    ledger.record_verdicts([entry])


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
        assert top_up_each(ledger, [bundle()], Asking(4)) == 4
        assert top_up_each(ledger, [bundle()], Asking(4)) == 0
        assert top_up_each(ledger, [bundle()], Asking(100, seed=1)) == PARTS - 4
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
        assert top_up_each(ledger, bundles, Asking(8)) == 8
        assert asked_by_camera(ledger) == {"a": 2, "b": 6}
        # Open ones count for their own camera: asking again asks nothing.
        assert top_up_each(ledger, bundles, Asking(8)) == 0


def test_a_camera_that_was_cut_off_gets_its_share_and_the_others_nothing(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        for name in "ab":
            fill(ledger, tmp_path / name, name, f"model-{name}", parts=9)
        assert top_up_each(ledger, [bundle("model-a")], Asking(4)) == 4
        assert top_up_each(ledger, [bundle("model-a"), bundle("model-b")], Asking(8)) == 4
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


def test_all_exposures_of_a_part_that_is_drawn_are_asked_about_with_the_probability_of_the_part(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        fill(ledger, tmp_path)
        assert top_up_each(ledger, [bundle()], Asking(5, exposures=True)) == 4
        images = {image.image_id: image.part for image in ledger.images()}
        asked: dict[str, list[float]] = {}
        for ask in ledger.asks():
            asked.setdefault(images[ask.image_id], []).append(ask.inclusion_probability)
        assert [len(one) for one in asked.values()] == [EXPOSURES] * 2
        assert all(len(set(one)) == 1 for one in asked.values())
        for ask in ledger.asks():
            answer(ledger, ask)
        labelled = labelled_parts(ledger, bundle())
        assert len(labelled.labelled.scores) == 2
        # Two parts of six were drawn, however many pictures were shown.
        assert labelled.labelled.largest_weight == pytest.approx(max(1 / (AUDIT_SHARE * 2 / PARTS), 1))


def test_no_more_is_open_than_can_be_answered_today(tmp_path: Path) -> None:
    noon = datetime(2026, 1, 5, 12).astimezone()
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        fill(ledger, tmp_path, parts=30)
        asking = Asking(100, daily=DailyBudget(each=3, inspectors=2))
        assert top_up_each(ledger, [bundle()], asking, noon) == 6
        assert top_up_each(ledger, [bundle()], asking, noon) == 0
        for ask in ledger.asks()[:5]:
            answer(ledger, ask, who="eve", at=noon)
            answer(ledger, ask, who="eve", at=noon, revision="2")  # an edit is no second answer
        assert answers_of_the_day(ledger, noon) == {"eve": 5}
        assert top_up_each(ledger, [bundle()], asking, noon) == 0
        # Of the next day's six, one is open since the day before.
        assert top_up_each(ledger, [bundle()], asking, noon + timedelta(days=1)) == 5


def test_what_was_sent_back_is_asked_about_once_until_it_is_marked(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        fill(ledger, tmp_path)
        for name, mask in (("open", None), ("marked", tmp_path / "mask.png")):
            picture = tmp_path / f"{name}.png"
            Image.fromarray(np.full((8, 8), len(name), dtype=np.uint8)).save(picture)
            Image.fromarray(np.full((8, 8), 255, dtype=np.uint8)).save(tmp_path / "mask.png")
            add_returned(ledger, ImageEntry(picture, part=name), "customer", mask)
        # Whatever the budget; and it is no draw, so that no promise is made from it.
        assert top_up_each(ledger, [bundle()], Asking(0)) == 1
        (ask,) = ledger.asks()
        assert (ask.reason, ask.strategy, ledger.image(ask.image_id).part) == (RETURNED, BY_HAND, "open")
        assert top_up_each(ledger, [bundle()], Asking(0)) == 0


def test_embeddings_of_the_ledger_choose_and_what_is_lost_is_gone_without(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        fill(ledger, tmp_path, parts=20)
        with pytest.raises(ConfigError, match="diverse cannot be used: the images have no embeddings"):
            top_up_each(ledger, [bundle()], Asking(4, strategy="diverse"))
        ids = [image.image_id for image in ledger.images()]
        file = tmp_path / "embeddings.npy"
        vectors = np.zeros((len(ids), 3), dtype=np.float32)
        odd = ledger.images()[6].part
        vectors[[image.part == odd for image in ledger.images()]] = 9
        np.save(file, vectors)
        ledger.record_embeddings("model", file, ids)
        assert top_up_each(ledger, [bundle()], Asking(1, strategy="diverse")) == 1
        (ask,) = ledger.asks()
        assert (ledger.image(ask.image_id).part, ask.strategy.split()[0]) == (odd, "diverse")
        file.unlink()
        assert top_up_each(ledger, [bundle()], Asking(3)) == 2
        assert ledger.asks()[-1].strategy.startswith("mix without embeddings and audits")


def test_a_second_opinion_is_of_the_fallback_or_of_another_model(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        fill(ledger, tmp_path, parts=3)
        ids = [image.image_id for image in ledger.images()]
        assert collect_evidence(ledger, bundle(), ids).opinions == []
        ledger.record_scores([ScoreEntry(ids[0], "other", 1, 0.7, 0.8)])
        ledger.record_scores([ScoreEntry(ids[1], "model", 2, 0.1, 0.9, fallback_score=3.0)])
        found = [[float(x) for x in one[:2]] for one in collect_evidence(ledger, bundle(), ids).opinions]
        assert [[repr(x) for x in one] for one in found] == [["0.7", "nan"], ["nan", "0.1"], ["nan", "3.0"]]


def test_what_people_chose_is_sent_before_what_was_drawn(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        fill(ledger, tmp_path)
        top_up_each(ledger, [bundle()], Asking(3))
        asked = {ask.image_id for ask in ledger.asks()}
        by_hand = [image.image_id for image in ledger.images() if image.image_id not in asked][:2]
        send_to_inspection(ledger, by_hand)
        client: Any = None  # nothing was sent yet, so that no server is asked
        assert [ask.image_id for ask in _waiting(ledger, client, 1)][:2] == by_hand
        # They have their room of the budget: only what is left is drawn.
        assert top_up_each(ledger, [bundle()], Asking(5), datetime(2026, 1, 5).astimezone()) == 0
