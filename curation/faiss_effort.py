"""How hard an index has to be searched: measured against exact search when it is built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np

from curation.faiss_index import Floats, IndexOptions, Rows, exact_distances, prepare

NEAREST = 25
"""Neighbours that recall is measured on; the App asks for as many."""
ASKED = 100
CANDIDATES = (50, 100, 200, 400, 800, 1600)
BREADTHS = (64, 128, 256, 512, 1024)
GATHERING = 16
"""What ranking a candidate costs per dimension, in components scanned: it is read from anywhere in memory."""
ROUNDING = 1e-5


@dataclass(frozen=True)
class Effort:
    """How hard to search.

    Attributes:
        probes: Inverted lists to look into, or nodes of the graph to keep in view.
        candidates: What is ranked by exact distances for the 25 nearest.
        recall: Share of the true 25 nearest that were found so, measured on embeddings of the index.
        rows: Number of embeddings when it was measured.
    """

    probes: int
    candidates: int
    recall: float
    rows: int


def search_parameters(index: faiss.Index, probes: int, selector: Any = None) -> Any:
    """Parameters of one search.

    Args:
        index: A graph or inverted lists.
        probes: As in ``Effort``.
        selector: A FAISS selector of ids; None for all.
    """
    library: Any = faiss  # its stubs leave the search parameters out
    chosen = {} if selector is None else {"sel": selector}
    if isinstance(index, faiss.IndexHNSW):
        return library.SearchParametersHNSW(efSearch=probes, **chosen)
    return library.SearchParametersIVF(nprobe=probes, **chosen)


def measure_effort(index: faiss.Index, vectors: Floats, options: IndexOptions, norms: Floats | None) -> Effort | None:
    """The least effort that finds the wanted share of true neighbours, or None where none does.

    Embeddings of the index ask for their own neighbours, themselves left out. What is as near as the last true
    neighbour counts as found.

    Args:
        index: Over the vectors.
        vectors: [N, D].
        options: Metric and wanted recall.
        norms: [N] of the vectors, for the cosine.
    """
    count, dims = vectors.shape
    asked = np.sort(np.random.default_rng(0).choice(count, min(ASKED, count), replace=False))
    queries = np.asarray(vectors[asked])
    near = [
        _nearest(exact_distances(query[None], vectors, options.metric, norms)[0], own)
        for query, own in zip(queries, asked, strict=True)
    ]
    prepared = prepare(queries, options.metric)
    found: list[tuple[float, Effort]] = []
    for probes in _ladder(index):
        width = probes if isinstance(index, faiss.IndexHNSW) else CANDIDATES[-1]
        hits = index.search(prepared, min(width, count), params=search_parameters(index, probes))[1]
        for candidates in (probes,) if isinstance(index, faiss.IndexHNSW) else CANDIDATES:
            recall = _recall(hits[:, :candidates], near)
            if recall >= options.min_recall:
                effort = Effort(probes, candidates, recall, count)
                found.append((_cost(index, effort, dims), effort))
                break
    return min(found, key=lambda pair: pair[0])[1] if found else None


def _nearest(distances: Floats, own: int) -> Rows:
    """Rows that are as near as the last of the nearest, the one that asks left out."""
    distances[own] = np.inf
    limit = np.partition(distances, NEAREST - 1)[NEAREST - 1]
    return np.flatnonzero(distances <= limit + ROUNDING * (1 + abs(limit)))


def _recall(hits: Rows, near: list[Rows]) -> float:
    counts = [min(int(np.isin(rows, hits_of).sum()), NEAREST) for rows, hits_of in zip(near, hits, strict=True)]
    return float(np.mean(counts)) / NEAREST


def _ladder(index: Any) -> tuple[int, ...]:
    if isinstance(index, faiss.IndexHNSW):
        return BREADTHS
    steps = (max(1, index.nlist // share) for share in (64, 32, 16, 8, 4, 2, 1))
    return tuple(sorted(set(steps)))


def _cost(index: Any, effort: Effort, dims: int) -> float:
    """Components that are read, about."""
    if isinstance(index, faiss.IndexHNSW):
        return float(effort.probes)
    # Codes of 4 bits are scanned some 32 at a time, those of 8 some 4.
    at_once = 4 if isinstance(index, faiss.IndexIVFScalarQuantizer) else 32
    return effort.rows * effort.probes / index.nlist * dims / at_once + effort.candidates * dims * GATHERING / 4
