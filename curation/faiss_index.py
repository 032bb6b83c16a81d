"""Which FAISS index is built for which metric, and the exact distances that it approximates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import faiss
import numpy as np
from numpy.typing import NDArray

Metric = Literal["cosine", "euclidean", "dotproduct"]
Kind = Literal["flat", "hnsw", "ivfpq"]
Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
Ids = NDArray[np.str_]

BLOCK_ROWS = 16_384
CODE_BITS = 4
PER_LIST = 64
"""Rows that each centroid of the inverted lists is learnt from: more take longer and find no better neighbours."""
FEWEST_TRAINED = 1024


@dataclass(frozen=True)
class IndexOptions:
    """How a store searches.

    Attributes:
        metric: "cosine" (1 - cosine similarity), "euclidean", or "dotproduct" (1 - inner product).
        kind: "flat" (exact), "hnsw" (graph; Malkov and Yashunin 2018) over components of 8 bits, or "ivfpq" (inverted
            lists with product quantisation, Jegou et al. 2011, of 4 bits, scanned in registers, Andre et al. 2017).
            What either finds is ranked again by exact distances.
        min_recall: Share of the true 25 nearest that a search has to find. How hard it searches is measured against
            exact search when the index is built; one that cannot reach it is not used.
        approximate_from: Number of embeddings from which the approximate kinds are used; below it search is exact.
        m: Links per node of the graph.
        ef_construction: Breadth of the search when the graph is built.
        lists: Number of inverted lists; by default about the square root of the number of embeddings.
        pq_bytes: Bytes of a quantised embedding; by default a quarter of the dimensions.
    """

    metric: Metric = "cosine"
    kind: Kind = "flat"
    min_recall: float = 0.97
    approximate_from: int = 10_000
    m: int = 32
    ef_construction: int = 80
    lists: int | None = None
    pq_bytes: int | None = None


def prepare(vectors: Floats, metric: Metric) -> Floats:
    """Contiguous float32; of unit length for the cosine (a vector of zeros stays one: it is like nothing)."""
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    if metric != "cosine":
        return vectors
    return np.asarray(vectors / np.maximum(lengths(vectors), 1e-12)[:, None], dtype=np.float32)


def lengths(vectors: Floats) -> Floats:
    """[N] Euclidean norms of vectors [N, D]; reads them in blocks, as they may lie on disk."""
    blocks = [np.linalg.norm(block, axis=1) for block in blocks_of(vectors)]
    return np.concatenate(blocks).astype(np.float32) if blocks else np.empty(0, np.float32)


def blocks_of(vectors: Floats) -> Iterator[Floats]:
    """Rows of vectors [N, D], some thousands at a time."""
    for start in range(0, len(vectors), BLOCK_ROWS):
        yield vectors[start : start + BLOCK_ROWS]


def exact_distances(queries: Floats, vectors: Floats, metric: Metric, norms: Floats | None = None) -> Floats:
    """Distances of queries [Q, D] to vectors [N, D] as [Q, N], in blocks so that memory stays small.

    Args:
        queries: [Q, D].
        vectors: [N, D].
        metric: Of the distance.
        norms: [N] of the vectors, for the cosine; None to measure them.
    """
    left = prepare(queries, metric)
    result = np.empty((len(left), len(vectors)), dtype=np.float32)
    if metric == "cosine" and norms is None:
        norms = lengths(vectors)
    start = 0
    for right in blocks_of(vectors):
        stop = start + len(right)
        if metric == "euclidean":
            result[:, start:stop] = np.sqrt(np.maximum(_squared_distances(left, right), 0.0))
        elif metric == "cosine":
            assert norms is not None
            cosine = left @ right.T / np.maximum(norms[start:stop], 1e-12)
            result[:, start:stop] = np.clip(1.0 - cosine, 0.0, 2.0)
        else:
            result[:, start:stop] = 1.0 - left @ right.T
        start = stop
    return result


def _squared_distances(left: Floats, right: Floats) -> NDArray[np.float64]:
    # In float64: |a|² + |b|² - 2ab cancels for near twins, which are what one looks for.
    a, b = left.astype(np.float64), right.astype(np.float64)
    return np.asarray((a * a).sum(1)[:, None] + (b * b).sum(1)[None] - 2.0 * (a @ b.T))


def code_bits(count: int, options: IndexOptions) -> tuple[int, ...]:
    """Bits of the codes that are tried for so many embeddings, one after another; none where search is exact.

    Those of 4 bits are the fastest. Embeddings that lie close together in few directions, as those of a network that
    sees similar parts do, take 8.
    """
    if options.kind == "flat" or count < max(options.approximate_from, FEWEST_TRAINED):
        return ()
    return (4, 8) if options.kind == "ivfpq" else (8,)


def build_index(vectors: Floats, options: IndexOptions, bits: int) -> faiss.Index:
    """A FAISS index over vectors [N, D]; ids are the row numbers. Seeded, so repeatable on one thread.

    Its memory is a fraction of the vectors', which are read in blocks and may lie on disk.

    Args:
        vectors: [N, D].
        options: Kind and metric.
        bits: One of ``code_bits``.
    """
    count, dims = vectors.shape
    metric = faiss.METRIC_L2 if options.metric == "euclidean" else faiss.METRIC_INNER_PRODUCT
    library: Any = faiss  # its stubs know of few arguments
    index: Any
    if options.kind == "hnsw":
        index = library.IndexHNSWSQ(dims, faiss.ScalarQuantizer.QT_8bit, options.m, metric)
        index.hnsw.efConstruction = options.ef_construction
        wanted = 100_000
    else:
        lists = max(1, min(options.lists or int(np.sqrt(count)), count // 39))
        index = _lists_of_codes(dims, lists, options, bits)
        wanted = max(PER_LIST * lists, 20_000)
    chosen = np.sort(np.random.default_rng(0).choice(count, min(wanted, count), replace=False))
    index.train(prepare(vectors[chosen], options.metric))
    for block in blocks_of(vectors):
        index.add(prepare(block, options.metric))
    made: faiss.Index = index
    return made


def _lists_of_codes(dims: int, lists: int, options: IndexOptions, bits: int) -> Any:
    library: Any = faiss
    # Among vectors of one length both orders are the same; components of 8 bits lose less as differences.
    angles = options.metric == "dotproduct" or (options.metric == "cosine" and bits == CODE_BITS)
    metric = faiss.METRIC_INNER_PRODUCT if angles else faiss.METRIC_L2
    coarse = faiss.IndexFlat(dims, metric)
    if bits == CODE_BITS:
        parts = _pq_parts(dims, options.pq_bytes)
        index = library.IndexIVFPQFastScan(coarse, dims, lists, parts, bits, metric)
    else:
        index = library.IndexIVFScalarQuantizer(coarse, dims, lists, faiss.ScalarQuantizer.QT_8bit, metric)
    index.cp.niter = 10
    index.cp.max_points_per_centroid = PER_LIST
    return index


def _pq_parts(dims: int, pq_bytes: int | None) -> int:
    """The largest number of sub-vectors that divides the dimensions and takes no more bytes than wanted."""
    limit = min(2 * (pq_bytes or max(1, dims // 4)), dims)
    return max(part for part in range(1, limit + 1) if dims % part == 0)
