"""The App's own search by similarity, asked for as its button does, from its real server."""

import json
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from curation.app import open_app
from curation.mongo import MongoServer
from curation.ports import free_port

OPERATOR = "@voxel51/panels/similarity_search"
_STORE = "similarity_search_panel"
_NEAREST = 25


def measure_app(folder: Path, vectors: np.ndarray, queries: int) -> dict[str, Any]:
    """Time searches through the App's server on a data set of as many samples as vectors.

    Args:
        folder: For the database and the index.
        vectors: [N, D].
        queries: How many samples are searched with.

    Returns:
        ``search``: seconds for the operator behind the button, for each query; ``sort``: for the route that sorts a
        view; ``first``: of the very first search, which reads the index.

    Raises:
        RuntimeError: The App finds other samples than Python does.
    """
    with MongoServer(folder):
        import fiftyone.brain as fob

        dataset = dataset_of("search", len(vectors))
        index = fob.compute_similarity(
            dataset, embeddings=False, brain_key="similar", backend="faiss", index="ivfpq", metric="cosine"
        )
        ids = np.array(dataset.values("id"))
        index.add_to_index(vectors, ids)
        asked = ids[np.random.default_rng(0).choice(len(ids), queries + 1, replace=False)].tolist()
        with open_app(dataset.name, port=free_port()) as app:
            times, runs = zip(*(_searched(app.url, dataset, key) for key in asked), strict=True)
            sorts = [_sorted(app.url, dataset, key) for key in asked]
        _compare(dataset, runs[-1], dataset.sort_by_similarity(asked[-1], k=_NEAREST, brain_key="similar").values("id"))
        dataset.delete()
    return {"first": times[0], "search": times[1:], "sort": sorts[1:]}


def dataset_of(name: str, count: int) -> Any:
    """A data set of so many samples, written to the database at once, as one by one takes minutes."""
    import fiftyone as fo
    from bson import ObjectId

    dataset = fo.Dataset(name, persistent=True, overwrite=True)
    dataset.add_sample(fo.Sample("/none/0.png"))
    collection = dataset._sample_collection
    first = collection.find_one()
    now = datetime.now(UTC)
    for start in range(1, count, 10_000):
        numbers = range(start, min(start + 10_000, count))
        collection.insert_many(
            {**first, "_id": ObjectId(), "filepath": f"/none/{number}.png", "last_modified_at": now}
            for number in numbers
        )
    dataset.reload()
    return dataset


def _searched(url: str, dataset: Any, sample: str) -> tuple[float, str]:
    """Seconds of what the button *Show similar samples* calls, and the id of the run that it leaves."""
    params = {"brain_key": "similar", "k": _NEAREST, "query": [sample], "query_type": "image"}
    body = {
        "operator_uri": OPERATOR,
        "dataset_name": dataset.name,
        "dataset_id": str(dataset._doc.id),
        "params": params,
        "view": [],
        "filters": {},
        "extended": {},
        "selected": [sample],
        "selected_labels": [],
    }
    started = time.perf_counter()
    answer = _post(f"{url}operators/execute", body)
    seconds = time.perf_counter() - started
    if answer.get("error"):
        msg = f"the App's search failed: {answer['error'][-500:]}"
        raise RuntimeError(msg)
    return seconds, answer["result"]["run_id"]


def _sorted(url: str, dataset: Any, sample: str) -> float:
    """Seconds of the route that adds a sort by similarity to the view."""
    extended = {"query": [sample], "k": _NEAREST, "brain_key": "similar"}
    started = time.perf_counter()
    _post(f"{url}sort", {"dataset": dataset.name, "view": [], "filters": {}, "extended": extended})
    return time.perf_counter() - started


def _post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as response:
        answer: dict[str, Any] = json.load(response)
    return answer


def _compare(dataset: Any, run: str, expected: list[str]) -> None:
    from fiftyone.operators.store import ExecutionStore

    found = ExecutionStore.create(_STORE, dataset._doc.id).get(f"run:{run}")["result_ids"]
    if found != expected:
        msg = f"the App found {found}, Python {expected}"
        raise RuntimeError(msg)
