import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import similarity
from benchmarks.similarity import Task, figures, nearest
from benchmarks.similarity_vectors import isotropic, of_pictures
from benchmarks.workers.process import Worker


def _engine(p50: float, recall: float, peak: float = 1.0) -> dict[str, Any]:
    shown = {"build_seconds": 1.0, "build_processor_seconds": 0.5, "built": "exact", "p99": p50, "queries": 2}
    shown |= {"p50": p50, "p50_processor": p50, "by_round": [p50, 2 * p50], "by_round_processor": [p50, p50]}
    return {**shown, "recall": recall, "peak_gib": peak}


SMALL = {
    "source": "isotropic", "count": 10, "dims": 4, "unfinished": ["lancedb_ivfpq"], "load": [1.0, 2.0],
    "engines": {"ivfpq": _engine(0.1, 0.5), "hnsw": _engine(0.2, 0.96), "sklearn": _engine(4.0, 1.0)},
}  # fmt: skip
LARGE = {**SMALL, "count": 100, "unfinished": [], "engines": {"ivfpq": _engine(0.3, 0.99, 1.5)}}


def test_the_kind_that_is_compared_finds_enough() -> None:
    found = figures([SMALL, LARGE], {"search": [0.1, 0.2, 0.4], "sort": [0.1], "first": 1.0})
    assert found["kinds"] == ["hnsw", "ivfpq"]
    assert (found["ratio_query_sklearn"], found["recall_at_10"]) == (pytest.approx(20), 0.96)
    assert (found["peak_gib_1m"], found["app_query_seconds"]) == (1.5, 0.2)


def test_the_ratio_is_the_lesser_of_clock_and_processor_time() -> None:
    engines = {"ivfpq": _engine(0.1, 0.96), "sklearn": {**_engine(4.0, 1.0), "by_round_processor": [1.5, 1.5]}}
    assert figures([{**SMALL, "engines": engines}], None)["ratio_query_sklearn"] == pytest.approx(15)


def test_where_no_kind_finds_enough_there_is_no_ratio() -> None:
    engines = {"ivfpq": _engine(0.1, 0.5), "sklearn": _engine(4.0, 1.0)}
    found = figures([{**SMALL, "engines": engines}], None)
    assert (found["ratio_query_sklearn"], found["recall_at_10"], found["app_query_seconds"]) == (None, 0.0, None)


def test_the_truth_is_the_cosine() -> None:
    vectors, queries = isotropic(300, 8, 0), isotropic(5, 8, 1)
    cosine = queries @ vectors.T / np.linalg.norm(vectors, axis=1)
    assert np.array_equal(nearest(vectors, queries), np.argsort(-cosine, axis=1)[:, :10])


def test_embeddings_of_pictures_are_many_and_repeat() -> None:
    found = of_pictures(None, 70, seed=0)
    assert found.shape == (70, 512)
    assert len(np.unique(found, axis=0)) == 70
    assert np.array_equal(found, of_pictures(None, 70, seed=0))


@pytest.mark.server
def test_engines_answer_alike_from_processes_of_their_own(tmp_path: Path) -> None:
    task = Task("isotropic", 400, 16, ("ivfpq", "sklearn"), rounds=2, slow_queries=2, queries=3)
    engines = similarity.measure(task, tmp_path, None, None, seed=0)["engines"]
    assert {name: row["recall"] for name, row in engines.items()} == {"ivfpq": 1.0, "sklearn": 1.0}
    assert {name: row["queries"] for name, row in engines.items()} == {"ivfpq": 6, "sklearn": 4}
    assert all(row["build_processor_seconds"] > 0 for row in engines.values())


@pytest.mark.server
def test_an_index_that_takes_too_long_is_a_row_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similarity, "BUILD_LIMIT", 0.5)
    task = Task("isotropic", 60_000, 64, ("hnsw",), rounds=1, slow_queries=2, queries=2)
    found = similarity.measure(task, tmp_path, None, None, seed=0)
    assert (found["engines"], found["unfinished"]) == ({}, ["hnsw"])
    database = json.loads((tmp_path / "fiftyone" / "mongod.json").read_text())["pid"]
    assert not Path(f"/proc/{database}").exists()


def test_a_worker_that_takes_too_much_processor_time_is_ended() -> None:
    with Worker(Path(sys.executable), "timeit", ["while True: pass"]) as worker:
        with pytest.raises(TimeoutError, match="within 1 s of processor time"):
            worker.ask({}, 1)
        with pytest.raises(RuntimeError, match="ended at"):
            worker.ask({})


def test_last_line_of_stdout_is_one_object(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(similarity, "measure", lambda task, *rest: LARGE if task.count > 20_000 else SMALL)
    monkeypatch.setattr(similarity, "measure_app", lambda *rest: {"search": [0.1], "sort": [0.1], "first": 1.0})
    monkeypatch.setattr(similarity, "lancedb_python", lambda: Path(sys.executable))
    similarity.main(["--quick", "--json"])
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["ratio_query_sklearn"] == pytest.approx(20)
    assert (result["pictures"], result["app_query_seconds"]) == ("made up", 0.1)


@pytest.mark.parametrize("wrong", [["--data", "nowhere"], ["--folder", "nowhere"], ["--engines", "annoy"]])
def test_mistakes_are_named(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        similarity.main(wrong)
    assert wrong[1] in capsys.readouterr().err
