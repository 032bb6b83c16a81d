"""Searches by LanceDB, in an environment of its own.

python -m benchmarks.workers.search_lancedb ENGINE VECTORS.npy QUERIES.npy FOLDER
"""

import sys
from pathlib import Path
from typing import Any

import lancedb  # type: ignore[import-not-found,unused-ignore]
import numpy as np
import pyarrow as pa

from benchmarks.workers.search import serve

_WANTED = 0.97
_NEAREST = 25
_ASKED = 20
_SHARES = (32, 8, 2, 1)
_REFINED = (4, 16, 64)


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
        lists = int(np.sqrt(count))
        self._table.create_index(
            metric="cosine", index_type="IVF_PQ", num_partitions=lists, num_sub_vectors=dims // 4, num_bits=8
        )
        reached = self._tune(vectors, lists)
        return f"{self._probes} probes, {self._refine}-fold candidates, recall {reached:.2f}"

    def ask(self, query: np.ndarray, k: int) -> list[int]:
        """Search the table."""
        search = self._table.search(query).metric("cosine").limit(k).select(["row"])
        if self.name == "lancedb_ivfpq":
            search = search.nprobes(self._probes).refine_factor(self._refine)
        rows: list[int] = search.to_arrow()["row"].to_pylist()
        return rows

    def _tune(self, vectors: np.ndarray, lists: int) -> float:
        queries = vectors[:: max(1, len(vectors) // _ASKED)][:_ASKED]
        lengths = np.linalg.norm(vectors, axis=1)
        truth = [set(np.argpartition(-(vectors @ query) / lengths, _NEAREST)[:_NEAREST].tolist()) for query in queries]
        reached = 0.0
        for share in _SHARES:
            for self._refine in _REFINED:
                self._probes = max(1, lists // share)
                found = [set(self.ask(query, _NEAREST)) for query in queries]
                reached = sum(len(a & b) for a, b in zip(found, truth, strict=True)) / (_NEAREST * len(truth))
                if reached >= _WANTED:
                    return reached
        return reached


def main() -> None:
    """Serve."""
    name, vectors, queries, folder = sys.argv[1], *map(Path, sys.argv[2:5])
    serve(LanceEngine(name, folder), vectors, queries)


if __name__ == "__main__":
    main()
