"""Thresholds by camera or lot in the ledger, where images are from, and scores that are shifted differently."""

import sqlite3
from pathlib import Path
from types import SimpleNamespace

import pytest

from curation.errors import LedgerError
from curation.ledger import ImageEntry, Ledger, ScoreEntry
from curation.plugin.binding import INFO
from curation.plugin.scales import on_one_scale
from learning.thresholds import OriginLimit, Origins, Promise
from tests.curation.ledger.before import made_at

PROMISE = Promise("false_reject", 0.1, 0.95, 30, "at most 10 % of good parts of camera left rejected")
ORIGINS = Origins("camera", {"left": OriginLimit(0.5, PROMISE)}, {"new": 3}, "each by itself")


def test_versions_of_before_have_one_value_and_later_ones_may_have_more(tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(b"0")
    with made_at("0007"), Ledger.open(tmp_path / "old.db") as old:
        (key,) = old.add_images([ImageEntry(tmp_path / "0.png", camera="left")])
        old.record_scores([ScoreEntry(key, "m", 1, 0.6, 0.6)])
    with sqlite3.connect(tmp_path / "old.db") as raw:
        raw.execute("INSERT INTO thresholds VALUES ('m', 1, 0.7, 'all', NULL, '', '2026-01-01 00:00:00.000000+00:00')")
    with Ledger.open(tmp_path / "old.db") as ledger:
        ledger.record_threshold("m", 2, 0.9, "others", parent=1, origins=ORIGINS)
        ledger.record_scores([ScoreEntry(key, "m", 2, 0.6, 1.0, decision="reject")])
        first, second = ledger.thresholds("m")
        assert (first.origins, second.origins) == (None, ORIGINS)
        image = ledger.image(key)
        assert first.about(image) == "all"
        own = f"{PROMISE.text} (camera left has a value of its own, 0.5 before the shift)"
        assert second.about(image) == own
        texts = [event.text for event in ledger.history(key).events]
        assert any(own in text for text in texts)
        assert any("(threshold 1 at 0.7: all)" in text for text in texts)


def test_a_camera_or_lot_is_taken_up_once_it_is_told_and_stays(tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(b"0")
    with Ledger.open(tmp_path / "l.db") as ledger:
        known = []
        for camera, lot in ((None, None), ("left", None), (None, "a"), ("right", "b"), (None, None)):
            ledger.add_images([ImageEntry(tmp_path / "0.png", camera=camera, lot=lot)])
            (image,) = ledger.images()
            known.append((image.camera, image.lot))
        assert known == [(None, None), ("left", None), ("left", "a"), ("left", "a"), ("left", "a")]


def test_panels_show_scores_of_one_scale(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "l.db") as ledger:
        ledger.record_threshold("m", 1, 0.7, "all")
        ledger.record_threshold("m", 2, 0.8, "all")
        ledger.record_threshold("m", 3, 0.9, "others", origins=ORIGINS)
    ctx = SimpleNamespace(dataset=SimpleNamespace(name="line", info={INFO: str(tmp_path / "l.db")}))
    scores, models = [0.1, 0.2, 0.3, None], ["m", "m", "m", None]
    assert on_one_scale(ctx, scores, models, [1, 2, 2, None]) == (scores, "")
    alike, said = on_one_scale(ctx, scores, models, [1, 2, 3, None])
    assert alike == [None, None, 0.3, None]
    assert said.startswith("2 images are left out: their scores were shifted")
    assert on_one_scale(ctx, scores, models, [3, 2, 1, None])[0] == [None, 0.2, 0.3, None]
    assert on_one_scale(ctx, [None], [None], [None]) == ([None], "")


def test_a_version_that_is_there_has_no_other_values(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "l.db") as ledger:
        for _ in range(2):
            ledger.record_threshold("m", 1, 0.9, "others", origins=ORIGINS)
        with pytest.raises(LedgerError, match="other values for cameras or lots; make a new version"):
            ledger.record_threshold("m", 1, 0.9, "others")
