"""Searches by LanceDB, in an environment of its own.

python -m benchmarks.workers.search_lancedb ENGINE VECTORS.npy QUERIES.npy FOLDER
"""

import sys
import time
from pathlib import Path
from typing import Any

import lancedb  # type: ignore[import-not-found,unused-ignore]
import numpy as np
import pyarrow as pa
from lancedb.index import IvfPq  # type: ignore[import-not-found,unused-ignore]

from benchmarks.workers.search import serve

_WANTED = 0.97
_NEAREST = 25
_ASKED = 20
_PER_LIST = 8192
"""Vectors of a list, as LanceDB has them by default."""
_PART = 8
"""Components of a code, as LanceDB advises for its speed; by default there are twice as many."""
_SHARES = (32, 8, 2, 1)
_REFINED = (4, 16, 64, 256)


class LanceEngine:
    """LanceDB on disk, with an IVF-PQ index or, as FiftyOne's own back end uses it, without one.

    Args:
        name: "lancedb_ivfpq" or "lancedb_flat".
        folder: For its files.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self._folder = folder
        self._table: Any = None
        self._probes, self._refine = 1, 1

    def build(self, vectors: np.ndarray) -> str:
        """Write the table and its index; then search as hard as it takes, which is measured as for ours."""
        count, dims = vectors.shape
        column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), dims)
        table = pa.table({"row": pa.array(np.arange(count)), "vector": column})
        self._table = lancedb.connect(str(self._folder / self.name)).create_table("vectors", table, mode="overwrite")
        if self.name == "lancedb_flat":
            return "exact"
        lists = max(1, count // _PER_LIST)
        config = IvfPq(distance_type="cosine", num_partitions=lists, num_sub_vectors=dims // _PART)
        self._table.create_index("vector", config=config)
        reached = self._tune(vectors, lists)
        return f"{self._probes} of {lists} lists, {self._refine}-fold candidates, recall {reached:.2f}"

    def ask(self, query: np.ndarray, k: int) -> list[int]:
        """Search the table."""
        search = self._table.search(query).metric("cosine").limit(k).select(["row"])
        if self.name == "lancedb_ivfpq":
            search = search.nprobes(self._probes).refine_factor(self._refine)
        rows: list[int] = search.to_arrow()["row"].to_pylist()
        return rows

    def _tune(self, vectors: np.ndarray, lists: int) -> float:
        """Take the fastest way to search that finds what is wanted, or else the one that finds most; says how much."""
        queries = vectors[:: max(1, len(vectors) // _ASKED)][:_ASKED]
        lengths = np.linalg.norm(vectors, axis=1)
        truth = [set(np.argpartition(-(vectors @ query) / lengths, _NEAREST)[:_NEAREST].tolist()) for query in queries]
        tried = []
        for self._probes in sorted({max(1, lists // share) for share in _SHARES}):
            for self._refine in _REFINED:
                started = time.perf_counter()
                found = [set(self.ask(query, _NEAREST)) for query in queries]
                seconds = time.perf_counter() - started
                reached = sum(len(a & b) for a, b in zip(found, truth, strict=True)) / (_NEAREST * len(truth))
                tried.append((min(reached, _WANTED), -seconds, reached, self._probes, self._refine))
        *_, reached, self._probes, self._refine = max(tried)
        return reached


def main() -> None:
    """Serve."""
    name, vectors, queries, folder = sys.argv[1], *map(Path, sys.argv[2:5])
    serve(LanceEngine(name, folder), vectors, queries)


if __name__ == "__main__":
    main()
