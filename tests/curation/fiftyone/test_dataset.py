import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curation.dataset import SyncReport, index_similarity, sync
from curation.errors import DatabaseError, LedgerError
from curation.ledger import AskEntry, ImageEntry, Ledger, ModelEntry, ScoreEntry, VerdictEntry
from curation.mongo import MongoServer
from tests.curation.fiftyone.plain_ledger import PlainLedger, plain_ledger

pytestmark = pytest.mark.server
COUNT = 40


@pytest.fixture
def ledger(tmp_path: Path) -> PlainLedger:
    return plain_ledger(tmp_path, COUNT)


@pytest.fixture
def name(server: MongoServer) -> Iterator[str]:
    import fiftyone as fo

    name = f"line {uuid.uuid4().hex[:6]}"
    yield name
    server.start()
    if fo.dataset_exists(name):
        fo.delete_dataset(name)


def _load(name: str) -> Any:
    import fiftyone as fo

    return fo.load_dataset(name)


def _counts(report: SyncReport) -> tuple[int, int, int, int]:
    return report.added, report.updated, report.unchanged, report.removed


def test_everything_the_ledger_knows_is_shown(ledger: PlainLedger, name: str, tmp_path: Path) -> None:
    first = next(iter(ledger.image_rows))
    ledger.judge(first, "defect", mask_path=tmp_path / "00001_map.png")
    assert _counts(sync(ledger, name)) == (COUNT, 0, 0, 0)
    sample = _load(name).match({"image_id": first}).first()
    assert sample.filepath == str(tmp_path / "00000.png")
    assert sample.score == pytest.approx(ledger.score_rows[first].score)
    assert (sample.decision, sample.verdict, sample.ask_reason) == ("reject", "defect", "borderline")
    assert (sample.part, sample.lot, sample.camera, sample.threshold_version) == ("part0", "A", None, 1)
    assert sample.time.isoformat().startswith("2026-03-01T10:00:00")
    assert sample.anomaly_map.get_map().shape == (8, 8)
    assert sample.confirmed_mask.get_mask().shape == (8, 8)
    config = _load(name).app_config
    assert {"anomaly_map", "score"} <= set(config.active_fields.paths)
    # The first number of a tile, as three decimals of a score may be the same for all.
    numbers = [path for path in config.active_fields.paths if path in ("percentile", "score", "threshold")]
    assert numbers == ["percentile", "score"]
    assert config.color_scheme.color_by == "value"
    assert _load(name).persistent


def test_what_a_sync_is_made_of_loads_no_torch() -> None:
    code = "import curation.dataset, curation.drift.tags, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_second_sync_writes_nothing(ledger: PlainLedger, name: str) -> None:
    sync(ledger, name)
    before = _load(name).values("last_modified_at")
    assert _counts(sync(ledger, name)) == (0, 0, COUNT, 0)
    assert _load(name).values("last_modified_at") == before


def test_changed_verdict_writes_that_sample_only_and_leaves_people_their_tags(ledger: PlainLedger, name: str) -> None:
    sync(ledger, name)
    dataset = _load(name)
    dataset.take(5, seed=1).tag_samples("mine")
    before = dict(zip(*dataset.values(["image_id", "last_modified_at"]), strict=True))
    changed = list(ledger.image_rows)[7]
    ledger.judge(changed, "good")
    assert _counts(sync(ledger, name)) == (0, 1, COUNT - 1, 0)
    after = dict(zip(*_load(name).values(["image_id", "last_modified_at"]), strict=True))
    assert {key for key in after if after[key] != before[key]} == {changed}
    assert _load(name).match({"image_id": changed}).values("verdict") == ["good"]
    assert len(_load(name).match_tags("mine")) == 5
    ledger.resolutions.clear()
    sync(ledger, name)
    assert _load(name).match({"image_id": changed}).values("verdict") == [None]


def test_a_sample_shows_the_threshold_that_decided_and_the_next_one_once_it_decides(
    ledger: PlainLedger, name: str
) -> None:
    sync(ledger, name)
    assert set(zip(*_load(name).values(["threshold_version", "threshold"]), strict=True)) == {(1, 0.9)}
    ledger.limits[2] = 0.7
    assert _counts(sync(ledger, name)) == (0, 0, COUNT, 0)
    moved = list(ledger.score_rows)[:3]
    for key in moved:
        ledger.score_rows[key].threshold_version = 2
    assert _counts(sync(ledger, name)) == (0, 3, COUNT - 3, 0)
    shown = dict(zip(*_load(name).values(["image_id", "threshold"]), strict=True))
    assert {key for key, value in shown.items() if value == 0.7} == set(moved)
    assert set(shown.values()) == {0.7, 0.9}


def test_images_removed_from_the_ledger_are_removed(ledger: PlainLedger, name: str) -> None:
    sync(ledger, name)
    ledger.forget(list(ledger.image_rows)[3])
    assert _counts(sync(ledger, name)) == (0, 0, COUNT - 1, 1)
    assert len(_load(name)) == COUNT - 1


def test_deleted_files_are_reported_and_marked(ledger: PlainLedger, name: str, tmp_path: Path) -> None:
    sync(ledger, name)
    (tmp_path / "00002.png").unlink()
    (tmp_path / "00003_map.png").unlink()
    report = sync(ledger, name)
    assert report.missing == [tmp_path / "00002.png"]
    assert _counts(report) == (0, 2, COUNT - 2, 0)
    assert _load(name).match({"file_missing": True}).values("filepath") == [str(tmp_path / "00002.png")]
    assert len(_load(name).exists("anomaly_map")) == COUNT - 1


def test_data_set_deleted_in_the_app_is_made_again(ledger: PlainLedger, name: str) -> None:
    import fiftyone as fo
    import fiftyone.core.odm as foo

    sync(ledger, name)
    held = _load(name)
    # As another process does it: behind the back of the data set that is held here.
    foo.delete_dataset(name)
    assert not fo.dataset_exists(name)
    assert _counts(sync(ledger, name)) == (COUNT, 0, 0, 0)
    assert len(_load(name)) == COUNT
    assert held.name == name


def test_sample_deleted_in_the_app_comes_back(ledger: PlainLedger, name: str) -> None:
    sync(ledger, name)
    _load(name).delete_samples(_load(name).limit(2))
    assert _counts(sync(ledger, name)) == (2, 0, COUNT - 2, 0)


def test_scores_of_another_model_can_be_shown(ledger: PlainLedger, name: str) -> None:
    sync(ledger, name)
    sync(ledger, name, model_id="other")
    assert len(_load(name).exists("score")) == 0


def test_database_killed_in_the_middle_is_one_sentence_and_the_next_sync_recovers(
    ledger: PlainLedger, name: str, server: MongoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync(ledger, name)
    for row in ledger.score_rows.values():
        row.score += 1
    monkeypatch.setattr("curation.dataset.BATCH", 10)

    def kill(done: float, total: float, text: str) -> None:
        if (pid := server.pid) is not None:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    with pytest.raises(DatabaseError, match="run the command again"):
        sync(ledger, name, progress=kill)
    server.start()
    report = sync(ledger, name)
    # mongod writes its journal every 0.1 s: a kill can also lose what was acknowledged just before.
    assert report.added + report.updated >= COUNT - 10
    assert sorted(_load(name).values("score")) == pytest.approx(sorted(r.score for r in ledger.score_rows.values()))
    assert _counts(sync(ledger, name)) == (0, 0, COUNT, 0)


def test_similarity_answers_the_app_and_follows_the_ledger(ledger: PlainLedger, name: str) -> None:
    sync(ledger, name)
    ids, vectors = ledger.vectors["m1"]
    index_similarity(ledger, name, "m1")
    dataset = _load(name)
    sample = dict(zip(*dataset.values(["image_id", "id"]), strict=True))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = [ids[row] for row in np.argsort(-(unit @ unit[5]))[:6]]
    view = dataset.sort_by_similarity(sample[ids[5]], k=6, brain_key="similar")
    assert view.values("image_id") == expected

    vectors[9] = vectors[5] * 1.001
    ledger.forget(ids[5])
    ledger.vectors["m1"] = (ids[:5] + ids[6:], np.delete(vectors, 5, axis=0))
    sync(ledger, name)
    index = index_similarity(ledger, name, "m1")
    assert index.total_index_size == COUNT - 1
    assert sample[ids[5]] not in index.sample_ids
    assert np.allclose(index.get_embeddings(sample_ids=[sample[ids[9]]])[0], vectors[9])


@pytest.mark.parametrize("damage", ["flip", "delete"])
def test_damaged_index_is_made_again(
    ledger: PlainLedger,
    name: str,
    damage: str,
    break_index: Callable[[Any, str], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    sync(ledger, name)
    break_index(index_similarity(ledger, name, "m1"), damage)
    index = index_similarity(ledger, name, "m1")
    assert "built anew" in caplog.text
    assert index.total_index_size == COUNT
    assert len(_load(name).sort_by_similarity(index.sample_ids[0], k=3, brain_key="similar")) == 3


def test_the_index_of_a_data_set_that_was_deleted_in_the_app_takes_no_room(ledger: PlainLedger, name: str) -> None:
    import fiftyone as fo

    sync(ledger, name)
    deleted = index_similarity(ledger, name, "m1").config.path
    sync(ledger, f"{name} 2")
    other = index_similarity(ledger, f"{name} 2", "m1").config.path
    cloned = _load(f"{name} 2").clone(f"{name} 3")
    fo.delete_dataset(name)
    fo.delete_dataset(f"{name} 2")
    sync(ledger, name)
    again = index_similarity(ledger, name, "m1").config.path
    assert again.is_dir()
    assert not deleted.exists()
    # A clone reads the files of what it was made of until it is changed.
    assert other.is_dir()
    assert len(cloned.sort_by_similarity(cloned.first().id, k=3, brain_key="similar")) == 3


def test_embeddings_of_unknown_images_are_a_clear_error(ledger: PlainLedger, name: str) -> None:
    sync(ledger, name)
    ledger.vectors["m2"] = (["f" * 32], np.ones((1, 4), np.float32))
    with pytest.raises(LedgerError, match="m2"):
        index_similarity(ledger, name, "m2")


def test_without_a_database_fiftyone_is_not_touched(ledger: PlainLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FIFTYONE_DATABASE_URI", raising=False)
    with pytest.raises(DatabaseError, match="MongoServer"):
        sync(ledger, "x")


def test_images_without_scores_or_asks(ledger: PlainLedger, name: str) -> None:
    ledger.ask_rows.clear()
    ledger.score_rows.clear()
    next(iter(ledger.image_rows.values())).time = None
    assert sync(ledger, name).added == COUNT
    assert len(_load(name).exists("time")) == COUNT - 1
    assert len(_load(name).exists("anomaly_map")) == 0


def test_a_real_ledger_is_shown(tmp_path: Path, name: str) -> None:
    rows = list(plain_ledger(tmp_path, 6).image_rows.values())
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        ids = ledger.add_images([ImageEntry(row.path, part=row.part, time=row.time) for row in rows])
        ledger.record_model(ModelEntry("m1"))
        scores = [ScoreEntry(key, "m1", 1, 0.5, 0.5, map_path=row.path) for key, row in zip(ids, rows, strict=True)]
        ledger.record_scores(scores)
        (ask,) = ledger.create_asks([AskEntry(ids[2], "borderline", 0.5, "pps", "m1", 1)])
        assert _counts(sync(ledger, name)) == (6, 0, 0, 0)
        said = VerdictEntry(ask, ids[2], "ann", "defect", datetime(2026, 3, 2, tzinfo=UTC), "test", "1", "1")
        ledger.record_verdicts([said])
        assert _counts(sync(ledger, name)) == (0, 1, 5, 0)
        sample = _load(name).match({"image_id": ids[2]}).first()
        assert (sample.verdict, sample.ask_reason, sample.ask_state) == ("defect", "borderline", "answered")
        vectors = np.eye(6, dtype=np.float32) + 0.1
        np.save(tmp_path / "embeddings.npy", vectors)
        ledger.record_embeddings("m1", tmp_path / "embeddings.npy", ids)
        index = index_similarity(ledger, name, "m1")
        assert index.total_index_size == 6
        assert index.sort_by_similarity(sample.id, k=1).values("image_id") == [ids[2]]
