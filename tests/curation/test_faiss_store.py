import errno
import resource
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from curation.faiss_effort import Effort, measure_effort
from curation.faiss_files import DamagedIndexError, load_store, save_store
from curation.faiss_index import IndexOptions, Kind, Metric
from curation.faiss_store import VectorStore

METRICS: tuple[Metric, ...] = ("cosine", "euclidean", "dotproduct")


def _reference(queries: np.ndarray, vectors: np.ndarray, metric: Metric) -> np.ndarray:
    if metric == "dotproduct":
        return 1.0 - queries.astype(float) @ vectors.astype(float).T
    return cdist(queries.astype(float), vectors.astype(float), metric)


def _vectors(count: int, dims: int = 24, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, dims)).astype(np.float32)


def _ids(count: int) -> np.ndarray:
    return np.array([f"{number:024x}" for number in range(count)])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("rows", [None, np.arange(0, 500, 3)])
def test_exact_search_equals_brute_force(metric: Metric, rows: np.ndarray | None) -> None:
    vectors, queries = _vectors(500), _vectors(7, seed=1)
    store = VectorStore.build(IndexOptions(metric), vectors, _ids(500))
    expected = _reference(queries, vectors if rows is None else vectors[rows], metric)
    for farthest in (False, True):
        order = np.argsort(-expected if farthest else expected, axis=1)[:, :10]
        found, dists = store.nearest(queries, 10, rows, farthest=farthest)
        assert np.array_equal(found, order if rows is None else rows[order])
        assert np.allclose(dists, np.take_along_axis(expected, order, 1), atol=1e-5)
    inside, _ = store.within(queries, float(np.median(expected)), rows)
    assert [len(hits) for hits in inside] == (expected <= np.median(expected)).sum(1).tolist()


@pytest.mark.parametrize("kind", ["hnsw", "ivfpq"])
@pytest.mark.parametrize("metric", METRICS)
def test_approximate_search_finds_nearly_all(kind: Kind, metric: Metric) -> None:
    centres = 4 * _vectors(40, seed=2)
    vectors = np.repeat(centres, 300, axis=0) + _vectors(12_000, seed=3)
    queries = vectors[::600] + 0.1 * _vectors(20, seed=4)
    store = VectorStore.build(IndexOptions(metric, kind), vectors, _ids(len(vectors)))
    assert not store.is_exact
    truth = np.argsort(_reference(queries, vectors, metric), axis=1)[:, :10]
    found, dists = store.nearest(queries, 10)
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, truth, strict=True)])
    assert recall >= 0.9
    assert all((np.diff(line) >= 0).all() for line in dists)
    some = np.flatnonzero(np.arange(len(vectors)) % 2 == 0)[: len(vectors)]
    assert all(set(hits) <= set(some) for hits in store.nearest(queries, 10, some)[0])


@pytest.mark.parametrize("kind", ["flat", "hnsw", "ivfpq"])
def test_replaced_and_removed_rows_are_never_found(kind: Kind) -> None:
    vectors, ids = _vectors(600), _ids(600)
    old = VectorStore.build(IndexOptions(kind=kind, approximate_from=0), vectors, ids)
    store = old.add(-vectors[:50], ids[:50]).remove(ids[50:60])
    assert len(store) == 590
    current = np.concatenate([vectors[60:], -vectors[:50]])
    names = np.concatenate([ids[60:], ids[:50]])
    truth = names[np.argsort(_reference(vectors[:40], current, "cosine"), axis=1)[:, 0]]
    found, _ = store.nearest(vectors[:40], 1)
    assert (np.array([store.ids[hits[0]] for hits in found]) == truth).mean() >= 0.95
    assert store.rows_of(np.array([ids[55], "unknown"])).tolist() == [-1, -1]
    # The one it was made from is as it was: others may hold it.
    assert old.ids[old.nearest(vectors[3:4], 1)[0][0]][0] == ids[3]
    emptied = store.remove(store.ids)
    assert len(emptied) == 0
    assert emptied.nearest(vectors[:1], 3)[0][0].size == 0
    assert len(emptied.add(vectors[:5], ids[:5])) == 5


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.booleans(), st.lists(st.integers(0, 30), max_size=8)), max_size=8))
def test_any_order_of_adding_and_removing_is_a_dictionary(steps: list[tuple[bool, list[int]]]) -> None:
    store = VectorStore.build(IndexOptions(kind="hnsw", approximate_from=0), np.empty((0, 4)), np.empty(0, "U24"))
    truth: dict[str, np.ndarray] = {}
    for turn, (adds, numbers) in enumerate(steps):
        ids = np.array([f"{number:024x}" for number in numbers], dtype="U24")
        if adds:
            vectors = _vectors(len(ids), 4, seed=turn)
            store = store.add(vectors, ids)
            truth.update(zip(ids.tolist(), vectors, strict=True))
        else:
            store = store.remove(ids)
            for key in ids.tolist():
                truth.pop(key, None)
    assert sorted(store.ids.tolist()) == sorted(truth)
    for key, vector in zip(store.ids.tolist(), store.vectors, strict=True):
        assert np.array_equal(truth[key], vector)
        assert key in store.ids[store.nearest(vector[None], len(store))[0][0]]


def test_near_twins_far_from_the_origin_keep_their_distance() -> None:
    vectors = np.float32([[1000, 1000], [1000, 1000.25], [0, 0]])
    store = VectorStore.build(IndexOptions("euclidean"), vectors, _ids(3))
    assert store.nearest(vectors[:1], 2)[1][0].tolist() == pytest.approx([0.0, 0.25])


def test_a_vector_of_zeros_is_like_nothing() -> None:
    store = VectorStore.build(IndexOptions(), np.float32([[0, 0], [1, 0]]), _ids(2))
    assert store.distances(np.float32([[1, 0]])).tolist() == [[1.0, 0.0]]


def test_wrong_input_is_refused() -> None:
    store = VectorStore.build(IndexOptions(), _vectors(3), _ids(3))
    with pytest.raises(ValueError, match="not finite"):
        store.add(np.full((1, 24), np.nan, np.float32), _ids(1))
    with pytest.raises(ValueError, match="24 dimensions"):
        store.add(_vectors(1, 8), _ids(1))
    with pytest.raises(ValueError, match="one row per id"):
        store.add(_vectors(2), _ids(1))


@pytest.mark.parametrize("kind", ["hnsw", "ivfpq"])
def test_the_effort_is_measured_and_a_kind_that_cannot_reach_it_is_not_used(
    kind: Kind, caplog: pytest.LogCaptureFixture
) -> None:
    vectors = _vectors(3000, 48)
    store = VectorStore.build(IndexOptions(kind=kind, approximate_from=0, min_recall=0.9), vectors, _ids(3000))
    assert store.effort is not None
    assert store.effort.recall >= 0.9
    # An App that another test has opened may still log in its thread.
    assert not [record for record in caplog.records if record.name.startswith("curation")]
    # Two directions alone, and thousands of twins of each: codes cannot tell them apart.
    angles = 1e-5 * np.arange(3000)
    twins = np.zeros((3000, 48), np.float32)
    twins[:, 0], twins[:, 1] = np.cos(angles), np.sin(angles)
    strict = IndexOptions("euclidean", kind, min_recall=1.0, approximate_from=0)
    exact = VectorStore.build(strict, twins + 100 * _vectors(1, 48), _ids(3000))
    if exact.is_exact:
        assert "search is exact" in caplog.text
    truth = np.argsort(_reference(exact.vectors[5:6], exact.vectors, "euclidean"))[0, 0]
    assert exact.nearest(exact.vectors[5:6], 1)[0][0][0] == truth


def test_a_damaged_graph_is_built_anew_and_damaged_embeddings_are_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = IndexOptions(kind="ivfpq", approximate_from=0)
    vectors = _vectors(2000)
    save_store(VectorStore.build(options, vectors, _ids(2000)), tmp_path)
    expected = load_store(tmp_path, options).nearest(vectors[:3], 5)[0]
    (codes,) = tmp_path.glob("*/index.faiss")
    content = bytearray(codes.read_bytes())
    content[len(content) // 2] ^= 1
    codes.write_bytes(content)
    mended = load_store(tmp_path, options)
    assert "built anew" in caplog.text
    assert mended.effort is not None
    assert np.array_equal(mended.nearest(vectors[:3], 5)[0], expected)
    codes.unlink()
    assert load_store(tmp_path, options).index is not None
    (file,) = tmp_path.glob("*/vectors.npy")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(DamagedIndexError, match=r"vectors\.npy is not what was written; rebuild it"):
        load_store(tmp_path, options)


def test_a_saved_store_reads_its_embeddings_from_disk(tmp_path: Path) -> None:
    saved = save_store(VectorStore.build(IndexOptions(), _vectors(100), _ids(100)), tmp_path)
    assert isinstance(saved.vectors, np.memmap)
    grown = saved.add(_vectors(1, seed=1), np.array(["f" * 24]))
    assert len(save_store(grown, tmp_path)) == 101


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = IndexOptions(kind="ivfpq", approximate_from=0)
    store = VectorStore.build(options, _vectors(2000), _ids(2000))
    save_store(store, tmp_path)

    def full(*_: object) -> None:
        msg = "Error: could not write"
        raise RuntimeError(msg)

    monkeypatch.setattr("curation.faiss_files.faiss.write_index", full)
    monkeypatch.setattr("curation.faiss_files.shutil.disk_usage", lambda _: SimpleNamespace(free=0))
    with pytest.raises(OSError, match="could not write") as caught:
        save_store(store.add(_vectors(5, seed=1), np.array([f"{9000 + number:024x}" for number in range(5)])), tmp_path)
    assert caught.value.errno == errno.ENOSPC
    assert len(load_store(tmp_path, options)) == 2000
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 1


def test_a_disk_that_takes_half_of_the_embeddings_says_why(tmp_path: Path) -> None:
    save_store(VectorStore.build(IndexOptions(), _vectors(100), _ids(100)), tmp_path)
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, most))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            save_store(VectorStore.build(IndexOptions(), _vectors(1000), _ids(1000)), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))
    assert caught.value.errno == errno.EFBIG
    assert len(load_store(tmp_path, IndexOptions())) == 100


@pytest.mark.parametrize("metric", METRICS)
def test_where_coarse_codes_find_too_little_finer_ones_take_their_place(
    metric: Metric, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def finer_alone(index: faiss.Index, *rest: Any) -> Effort | None:
        return None if isinstance(index, faiss.IndexIVFPQFastScan) else measure_effort(index, *rest)

    monkeypatch.setattr("curation.faiss_store.measure_effort", finer_alone)
    vectors, options = _vectors(2000) + 3, IndexOptions(metric, "ivfpq", approximate_from=0)
    store = VectorStore.build(options, vectors, _ids(2000)).remove(_ids(5))
    assert isinstance(store.index, faiss.IndexIVFScalarQuantizer)
    save_store(store, tmp_path)
    store = load_store(tmp_path, options)
    truth = np.argsort(_reference(vectors[5:45], vectors[5:], metric), axis=1)[:, :10]
    found, _ = store.nearest(vectors[5:45], 10)
    assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, truth, strict=True)]) >= 0.95
