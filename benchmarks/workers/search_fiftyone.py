"""Searches by a similarity back end of FiftyOne Brain, in a process of its own.

python -m benchmarks.workers.search_fiftyone ENGINE VECTORS.npy QUERIES.npy FOLDER
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.workers.search import serve
from curation.mongo import MongoServer

KINDS = ("flat", "hnsw", "ivfpq")


class FiftyOneEngine:
    """FiftyOne's sklearn back end, or ours with one of its kinds.

    Args:
        name: "sklearn" or one of ``KINDS``.
    """

    def __init__(self, name: str) -> None:
        import fiftyone as fo
        import fiftyone.brain as fob

        options = {"backend": "sklearn"} if name == "sklearn" else {"backend": "faiss", "index": name}
        # Ours is saved as it is made; sklearn's embeddings would go into the database, which takes far longer.
        options |= {} if name == "sklearn" else {"brain_key": "similar"}
        self._index: Any = fob.compute_similarity(fo.Dataset(), embeddings=False, metric="cosine", **options)

    def build(self, vectors: np.ndarray) -> str:
        """Make an index, and for ours write it to its folder."""
        ids = np.array([f"{number:024x}" for number in range(len(vectors))])
        self._index.add_to_index(vectors, ids)
        effort = getattr(self._index, "effort", None)
        return "exact" if effort is None else f"{effort.probes} probes, {effort.candidates} candidates"

    def ask(self, query: np.ndarray, k: int) -> list[int]:
        """As FiftyOne's ``sort_by_similarity`` asks an index."""
        ids, _ = self._index._kneighbors(query=query, k=k, aggregation="mean")
        return [int(found, 16) for found in ids]


def main() -> None:
    """Start the database and serve."""
    name, vectors, queries, folder = sys.argv[1], *map(Path, sys.argv[2:5])
    with MongoServer(folder):
        serve(FiftyOneEngine(name), vectors, queries)


if __name__ == "__main__":
    main()
