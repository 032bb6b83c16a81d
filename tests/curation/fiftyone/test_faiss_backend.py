import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curation.mongo import MongoServer

pytestmark = pytest.mark.server
COUNT, DIMS = 120, 12


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(COUNT, DIMS)).astype(np.float32)


@pytest.fixture
def dataset(server: MongoServer) -> Iterator[Any]:
    import fiftyone as fo

    dataset = fo.Dataset(f"similar {uuid.uuid4().hex[:6]}", persistent=True)
    dataset.add_samples([fo.Sample(f"/none/{number}.png") for number in range(COUNT)], progress=False)
    yield dataset
    if dataset.has_brain_run("similar"):
        dataset.delete_brain_run("similar")
    dataset.delete()


def _index(dataset: Any, vectors: np.ndarray, **options: Any) -> Any:
    import fiftyone.brain as fob

    return fob.compute_similarity(dataset, embeddings=vectors, brain_key="similar", backend="faiss", **options)


def _reopened(dataset: Any) -> Any:
    """The index as the App's server has it: loaded from the database, not kept from before."""
    dataset.clear_cache()
    return dataset.load_brain_results("similar")


def _cosine(vectors: np.ndarray, query: np.ndarray) -> np.ndarray:
    return 1 - (vectors @ query) / np.linalg.norm(vectors, axis=1) / np.linalg.norm(query)


def test_results_equal_brute_force_on_data_set_view_and_in_reverse(dataset: Any, vectors: np.ndarray) -> None:
    _index(dataset, vectors)
    ids = np.array(dataset.values("id"))
    truth = _cosine(vectors, vectors[3])
    view = dataset.sort_by_similarity(ids[3], k=8, brain_key="similar", dist_field="distance")
    assert view.values("id") == ids[np.argsort(truth)[:8]].tolist()
    assert view.values("distance") == pytest.approx(np.sort(truth)[:8].tolist(), abs=1e-5)
    least = dataset.sort_by_similarity(ids[3], k=4, brain_key="similar", reverse=True)
    assert least.values("id") == ids[np.argsort(-truth)[:4]].tolist()
    part = dataset[20:60].sort_by_similarity(ids[3], k=5, brain_key="similar")
    assert part.values("id") == ids[20:60][np.argsort(truth[20:60])[:5]].tolist()
    everything = dataset.sort_by_similarity(ids[3], brain_key="similar")
    assert everything.values("id") == ids[np.argsort(truth)].tolist()
    by_vector = dataset.sort_by_similarity(vectors[3], k=8, brain_key="similar")
    assert by_vector.values("id") == view.values("id")


@pytest.mark.parametrize(("name", "reduce"), [("post-mean", np.mean), ("post-min", np.min), ("post-max", np.max)])
def test_several_queries(dataset: Any, vectors: np.ndarray, name: str, reduce: Callable[..., np.ndarray]) -> None:
    index = _index(dataset, vectors)
    ids = np.array(dataset.values("id"))
    truth = reduce([_cosine(vectors, vectors[row]) for row in (1, 2)], axis=0)
    found, _, dists = index._kneighbors(query=ids[[1, 2]].tolist(), k=6, aggregation=name, return_dists=True)
    assert dists == pytest.approx(np.sort(truth)[:6].tolist(), abs=1e-5)
    assert found == ids[np.argsort(truth, kind="stable")[:6]].tolist()
    mean = _cosine(vectors, vectors[[1, 2]].mean(0))
    assert index.sort_by_similarity(ids[[1, 2]].tolist(), k=3).values("id") == ids[np.argsort(mean)[:3]].tolist()


def test_the_apps_own_search_asks_for_what_there_is(dataset: Any, vectors: np.ndarray) -> None:
    """What its button and its panel offer: like some samples and unlike others, least similar, distances in a field."""
    _index(dataset, vectors)
    ids = np.array(dataset.values("id"))
    truth = _cosine(vectors, vectors[3])
    assert _searched(dataset, query=[ids[3]]) == ids[np.argsort(truth)[:25]].tolist()
    assert _searched(dataset, query=[ids[3]], reverse=True, k=4) == ids[np.argsort(-truth)[:4]].tolist()
    unlike = _cosine(vectors, 2 * vectors[3] - vectors[7])
    assert _searched(dataset, query=[ids[3]], negative_query_ids=[ids[7]]) == ids[np.argsort(unlike)[:25]].tolist()
    _searched(dataset, query=[ids[3]], dist_field="distance", k=8)
    dataset.reload()
    assert dataset[ids[np.argsort(truth)[7]]].distance == pytest.approx(np.sort(truth)[7], abs=1e-5)


def _searched(dataset: Any, **params: Any) -> list[str]:
    """Ids that the operator behind FiftyOne's button finds."""
    import fiftyone.operators as foo
    from fiftyone.operators.store import ExecutionStore

    ctx = {"dataset": dataset, "params": {"brain_key": "similar", "query_type": "image", "k": 25, **params}}
    run = foo.execute_operator("@voxel51/panels/similarity_search", ctx=ctx).result["run_id"]
    found: list[str] = ExecutionStore.create("similarity_search_panel", dataset._doc.id).get(f"run:{run}")["result_ids"]
    return found


@pytest.mark.parametrize("kind", ["flat", "hnsw", "ivfpq"])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_added_and_removed_embeddings_are_there_after_loading(
    dataset: Any, vectors: np.ndarray, kind: str, metric: str
) -> None:
    index = _index(dataset, vectors, index=kind, metric=metric, approximate_from=0)
    ids = dataset.values("id")
    index.remove_from_index(sample_ids=ids[:5])
    index.add_to_index(-vectors[4:8], ids[4:8])
    again = _reopened(dataset)
    assert again is not index
    assert again.total_index_size == COUNT - 4
    held, held_ids, _ = again.get_embeddings(sample_ids=ids[4:8])
    assert held_ids.tolist() == ids[4:8]
    assert np.array_equal(held, -vectors[4:8])
    assert again.sort_by_similarity(-vectors[4], k=1).values("id") == [ids[4]]
    with pytest.raises(ValueError, match="not indexed"):
        again.sort_by_similarity(ids[0], k=1)


def test_another_process_queries_and_its_writes_are_seen_here(
    dataset: Any, vectors: np.ndarray, server: MongoServer
) -> None:
    index = _index(dataset, vectors)
    ids = dataset.values("id")
    code = f"""
import fiftyone as fo
dataset = fo.load_dataset({dataset.name!r})
print(*dataset.sort_by_similarity({ids[3]!r}, k=4, brain_key="similar").values("id"))
dataset.load_brain_results("similar").remove_from_index(sample_ids=[{ids[7]!r}])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=os.environ, timeout=240
    )
    assert done.returncode == 0, done.stderr
    expected = [ids[row] for row in np.argsort(_cosine(vectors, vectors[3]))[:4]]
    assert done.stdout.split()[-4:] == expected
    assert index.total_index_size == COUNT - 1
    assert ids[7] not in index.sort_by_similarity(ids[3]).values("id")


def test_near_duplicates_and_unique_ones(dataset: Any, vectors: np.ndarray) -> None:
    twins = vectors.copy()
    twins[10], twins[11] = twins[0] * 1.0001, twins[1] + 1e-4
    index = _index(dataset, twins)
    ids = dataset.values("id")
    index.find_duplicates(thresh=0.001)
    assert sorted(index.duplicate_ids) == sorted([ids[10], ids[11]])
    assert {key: [twin for twin, _ in value] for key, value in index.neighbors_map.items()} == {
        ids[0]: [ids[10]],
        ids[1]: [ids[11]],
    }
    index.find_unique(10)
    assert len(index.unique_ids) == 10
    neighbors, dists = index._kneighbors(k=3, return_dists=True)
    own = [_cosine(twins, vector) for vector in twins]
    for row, (hits, line) in enumerate(zip(neighbors, dists, strict=True)):
        assert row not in hits
        own[row][row] = np.inf
        assert np.allclose(np.sort(own[row])[:3], line, atol=1e-5)


@pytest.mark.parametrize("damage", ["flip", "delete"])
def test_damaged_files_say_so_and_can_be_rebuilt(
    dataset: Any, vectors: np.ndarray, damage: str, break_index: Callable[[Any, str], None]
) -> None:
    from curation.faiss_files import DamagedIndexError

    break_index(_index(dataset, vectors), damage)
    index = _reopened(dataset)
    with pytest.raises(DamagedIndexError, match="rebuild it"):
        index.sort_by_similarity(dataset.first().id, k=3)
    index.rebuild(vectors, dataset.values("id"))
    assert len(_reopened(dataset).sort_by_similarity(dataset.first().id, k=3)) == 3


def test_embeddings_in_a_field_mend_a_damaged_index(
    dataset: Any, vectors: np.ndarray, break_index: Callable[[Any, str], None]
) -> None:
    index = _index(dataset, vectors, embeddings_field="embedding")
    assert not index.is_external
    assert np.allclose(dataset.first().embedding, vectors[0])
    break_index(index, "flip")
    assert len(_reopened(dataset).sort_by_similarity(dataset.first().id, k=3)) == 3


def test_patches_are_indexed_by_label(dataset: Any, vectors: np.ndarray) -> None:
    import fiftyone as fo

    boxes = [
        fo.Detections(detections=[fo.Detection(label="a", bounding_box=[0, 0, 0.1 * n, 0.1]) for n in (1, 2)])
        for _ in range(COUNT // 2)
    ]
    view = dataset[: COUNT // 2]
    view.set_values("boxes", boxes)
    patches = {sample: vectors[2 * row : 2 * row + 2] for row, sample in enumerate(view.values("id"))}
    _index(view, patches, patches_field="boxes")
    index = _reopened(dataset)
    labels = [label for sample in view.values("boxes.detections.id") for label in sample]
    assert index.label_ids.tolist() == labels
    nearest = dataset.to_patches("boxes").sort_by_similarity(labels[5], k=3, brain_key="similar")
    expected = [labels[row] for row in np.argsort(_cosine(vectors, vectors[5]))[:3]]
    assert nearest.values("id") == expected


def test_deleting_the_run_deletes_the_files_and_a_clone_keeps_its_own(dataset: Any, vectors: np.ndarray) -> None:
    index = _index(dataset, vectors)
    path: Path = index.config.path
    assert path.is_relative_to(os.environ["FIFTYONE_BRAIN_SIMILARITY_FAISS_FOLDER"])
    clone = dataset.clone(persistent=True)
    try:
        copied = clone.load_brain_results("similar")
        copied.remove_from_index(sample_ids=copied.sample_ids[:2])
        assert copied.total_index_size == COUNT - 2
        assert index.total_index_size == COUNT
        clone.delete_brain_run("similar")
        assert index.total_index_size == COUNT
    finally:
        clone.delete()
    dataset.delete_brain_run("similar")
    assert not path.exists()


def test_unknown_options_are_refused(server: MongoServer) -> None:
    from curation.faiss_backend import FaissSimilarityConfig

    with pytest.raises(ValueError, match="hnsw"):
        FaissSimilarityConfig(index="annoy")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="cosine"):
        FaissSimilarityConfig(metric="manhattan")  # type: ignore[arg-type]
