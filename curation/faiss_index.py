"""Which FAISS index is built for which metric, and the exact distances that it approximates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import faiss
import numpy as np
from numpy.typing import NDArray

Metric = Literal["cosine", "euclidean", "dotproduct"]
Kind = Literal["flat", "hnsw", "ivf", "ivfpq"]
Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
Ids = NDArray[np.str_]

BLOCK_ROWS = 16_384


@dataclass(frozen=True)
class IndexOptions:
    """How a store searches.

    Attributes:
        metric: "cosine" (1 - cosine similarity), "euclidean", or "dotproduct" (1 - inner product).
        kind: "flat" (exact), "hnsw" (graph; Malkov and Yashunin 2018), "ivf" (inverted lists) or "ivfpq" (inverted
            lists with product quantisation, Jegou et al. 2011; candidates are ranked again by their exact distance).
        approximate_from: Number of embeddings from which the approximate kinds are used; below it search is exact.
        m: Links per node of the graph.
        ef_construction: Breadth of the search when the graph is built.
        ef_search: Breadth of the search at a query.
        lists: Number of inverted lists; by default about 4 times the square root of the number of embeddings.
        probes: Number of lists that a query looks into; by default an eighth of them, at least 8.
        pq_bytes: Bytes of a quantised embedding; by default a quarter of the dimensions.
        refine: Candidates ranked again per wanted neighbour, for "ivfpq".
    """

    metric: Metric = "cosine"
    kind: Kind = "flat"
    approximate_from: int = 10_000
    m: int = 32
    ef_construction: int = 80
    ef_search: int = 128
    lists: int | None = None
    probes: int | None = None
    pq_bytes: int | None = None
    refine: int = 16


def prepare(vectors: Floats, metric: Metric) -> Floats:
    """Contiguous float32; of unit length for the cosine (a vector of zeros stays one: it is like nothing)."""
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    if metric != "cosine":
        return vectors
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, 1e-12), dtype=np.float32)


def exact_distances(queries: Floats, vectors: Floats, metric: Metric) -> Floats:
    """Distances of queries [Q, D] to vectors [N, D] as [Q, N], in blocks so that memory stays small."""
    left = prepare(queries, metric)
    result = np.empty((len(left), len(vectors)), dtype=np.float32)
    for start in range(0, len(vectors), BLOCK_ROWS):
        right = prepare(vectors[start : start + BLOCK_ROWS], metric)
        if metric == "euclidean":
            block = np.sqrt(np.maximum(_squared_distances(left, right), 0.0))
        elif metric == "cosine":
            block = np.clip(1.0 - left @ right.T, 0.0, 2.0)
        else:
            block = 1.0 - left @ right.T
        result[:, start : start + BLOCK_ROWS] = block
    return result


def _squared_distances(left: Floats, right: Floats) -> NDArray[np.float64]:
    # In float64: |a|² + |b|² - 2ab cancels for near twins, which are what one looks for.
    a, b = left.astype(np.float64), right.astype(np.float64)
    return np.asarray((a * a).sum(1)[:, None] + (b * b).sum(1)[None] - 2.0 * (a @ b.T))


def build_index(vectors: Floats, options: IndexOptions) -> faiss.Index:
    """A FAISS index over vectors [N, D]; ids are the row numbers. Seeded by FAISS, so repeatable on one thread."""
    prepared = prepare(vectors, options.metric)
    count, dims = prepared.shape
    metric = faiss.METRIC_L2 if options.metric == "euclidean" else faiss.METRIC_INNER_PRODUCT
    kind = options.kind if count >= options.approximate_from else "flat"
    index: faiss.Index
    if kind == "hnsw":
        index = faiss.IndexHNSWFlat(dims, options.m, metric)
        index.hnsw.efConstruction = options.ef_construction
    elif kind in ("ivf", "ivfpq"):
        lists = max(1, min(options.lists or int(4 * np.sqrt(count)), count // 39 or 1))
        coarse = faiss.IndexFlat(dims, metric)
        if kind == "ivfpq" and count >= 39 * 256:
            index = faiss.IndexIVFPQ(coarse, dims, lists, _pq_parts(dims, options.pq_bytes), 8, metric)
        else:
            index = faiss.IndexIVFFlat(coarse, dims, lists, metric)
        index.train(prepared)
    else:
        index = faiss.IndexFlat(dims, metric)
    index.add(prepared)
    return index


def _pq_parts(dims: int, wanted: int | None) -> int:
    """The largest number of sub-vectors that divides the dimensions and is not above what is wanted."""
    limit = min(wanted or max(1, dims // 4), dims)
    return max(part for part in range(1, limit + 1) if dims % part == 0)
