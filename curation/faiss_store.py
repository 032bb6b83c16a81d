"""Embeddings with a FAISS index over them; knows nothing of FiftyOne or of files.

A store is never changed in place: adding and removing give a new one, so that several threads (the App's server)
can query the one they hold.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import faiss
import numpy as np

from curation.faiss_effort import NEAREST, Effort, measure_effort, search_parameters
from curation.faiss_index import (
    BLOCK_ROWS,
    Floats,
    Ids,
    IndexOptions,
    Rows,
    blocks_of,
    build_index,
    code_bits,
    exact_distances,
    lengths,
    prepare,
)

logger = logging.getLogger(__name__)

EXACT_ROWS = 20_000
EXACT_SHARE = 4
"""Where more than a quarter of all rows would be ranked, all are."""
MATRIX_CELLS = 2**25
DEAD_SHARE = 0.2
GROWTH = 1.5
FEW_QUERIES = 16
"""Up to here FAISS compares component by component, which does not cancel for near twins."""


@dataclass(frozen=True)
class VectorStore:
    """Embeddings, their ids and the index over them.

    Attributes:
        options: How it searches.
        vectors: [N, D] float32 as they were given; they may lie on disk.
        sample_ids: [N] ids.
        label_ids: [N] ids of labels where patches are indexed, else None.
        positions: [N] number of each row within ``index`` (rows that were replaced or removed leave dead numbers).
        index: The FAISS index; None where search is exact.
        effort: How hard the index is searched; None where there is none.
    """

    options: IndexOptions
    vectors: Floats
    sample_ids: Ids
    label_ids: Ids | None
    positions: Rows
    index: faiss.Index | None
    effort: Effort | None = None

    @classmethod
    def build(
        cls, options: IndexOptions, vectors: Floats, sample_ids: Ids, label_ids: Ids | None = None
    ) -> VectorStore:
        """Make a store of vectors [N, D] with unique ids.

        Raises:
            ValueError: Wrong shape, not finite, or ids that do not match.
        """
        vectors = _checked(vectors, sample_ids, label_ids)
        rows = np.arange(len(vectors), dtype=np.int64)
        labels = None if label_ids is None else _text(label_ids)
        store = cls(options, vectors, _text(sample_ids), labels, rows, None)
        return store.indexed() if len(vectors) else store

    def indexed(self) -> VectorStore:
        """The same rows with an index built anew."""
        plain = replace(self, positions=np.arange(len(self), dtype=np.int64), index=None, effort=None)
        tried = code_bits(len(self), self.options)
        for bits in tried:
            index = build_index(self.vectors, self.options, bits)
            effort = measure_effort(index, self.vectors, self.options, plain._norms)
            if effort is not None:
                return replace(plain, index=index, effort=effort)
        if tried:
            logger.warning(
                "No search of a %s index finds %.0f %% of the true neighbours among these %d embeddings: search is "
                "exact",
                self.options.kind,
                100 * self.options.min_recall,
                len(self),
            )
        return plain

    @property
    def ids(self) -> Ids:
        """[N] what names a row: the label's id where patches are indexed, else the sample's."""
        return self.sample_ids if self.label_ids is None else self.label_ids

    def __len__(self) -> int:
        return len(self.vectors)

    def add(self, vectors: Floats, sample_ids: Ids, label_ids: Ids | None = None) -> VectorStore:
        """A store with these rows added; rows whose id is known are replaced (the last one given counts)."""
        vectors = _checked(vectors, sample_ids, label_ids)
        if not len(vectors):
            return self
        keys = _text(sample_ids if label_ids is None else label_ids)
        last = _last_of_each(keys)
        if len(last) < len(keys):
            keys, vectors, sample_ids = keys[last], vectors[last], _text(sample_ids)[last]
            label_ids = None if label_ids is None else _text(label_ids)[last]
        if not len(self):
            return VectorStore.build(self.options, vectors, sample_ids, label_ids)
        if vectors.shape[1] != self.vectors.shape[1]:
            msg = f"The index holds embeddings of {self.vectors.shape[1]} dimensions, given are {vectors.shape[1]}"
            raise ValueError(msg)
        kept = self._without(keys)
        merged = np.concatenate([kept.vectors, vectors])
        samples = np.concatenate([kept.sample_ids, _text(sample_ids)])
        labels = (
            None if label_ids is None or kept.label_ids is None else np.concatenate([kept.label_ids, _text(label_ids)])
        )
        if kept.index is None or kept._is_worn(len(merged)):
            return VectorStore.build(self.options, merged, samples, labels)
        # The graph grows; a copy of it, because others may be searching this one.
        index = faiss.clone_index(kept.index)
        new = np.arange(index.ntotal, index.ntotal + len(vectors), dtype=np.int64)
        index.add(prepare(vectors, self.options.metric))
        positions = np.concatenate([kept.positions, new])
        return VectorStore(self.options, merged, samples, labels, positions, index, self.effort)

    def remove(self, ids: Ids) -> VectorStore:
        """A store without the rows of these ids (unknown ones are ignored)."""
        kept = self._without(_text(ids))
        if len(kept) == len(self):
            return self
        return kept.indexed() if kept.index is not None and kept._is_worn(len(kept)) else kept

    def rows_of(self, ids: Ids) -> Rows:
        """[len(ids)] row of each id, -1 where it is unknown."""
        ids = _text(ids)
        if not len(self):
            return np.full(len(ids), -1, dtype=np.int64)
        order = self._order
        found = order[np.minimum(np.searchsorted(self.ids, ids, sorter=order), len(order) - 1)]
        return np.where(self.ids[found] == ids, found, -1).astype(np.int64)

    def nearest(
        self, queries: Floats, k: int | None, rows: Rows | None = None, farthest: bool = False
    ) -> tuple[list[Rows], list[Floats]]:
        """The k nearest rows of each query.

        Args:
            queries: [Q, D].
            k: How many; None for all, in order (exact).
            rows: The rows to search among; None for all.
            farthest: The least similar ones instead (exact).

        Returns:
            For each query the rows (numbers of this store) and their distances, nearest first.
        """
        count = len(self) if rows is None else len(rows)
        if not count:
            return [np.empty(0, np.int64)] * len(queries), [np.empty(0, np.float32)] * len(queries)
        few = rows is not None and count <= EXACT_ROWS
        if k is None or farthest or few or self.effort is None or EXACT_SHARE * self._candidates(k) > count:
            return self._nearest_exactly(queries, count if k is None else min(k, count), rows, farthest)
        return self._nearest_by_index(queries, k, rows)

    def within(self, queries: Floats, radius: float, rows: Rows | None = None) -> tuple[list[Rows], list[Floats]]:
        """All rows not farther than the radius, nearest first (exact, whatever the kind)."""
        found: list[Rows] = []
        dists: list[Floats] = []
        for block in self._distance_blocks(queries, rows):
            for line in block:
                hits = np.flatnonzero(line <= radius)
                hits = hits[np.argsort(line[hits], kind="stable")]
                found.append(hits if rows is None else rows[hits])
                dists.append(line[hits])
        return found, dists

    def distances(self, queries: Floats, rows: Rows | None = None) -> Floats:
        """Exact distances [Q, N] to all rows, or to those given."""
        if rows is None:
            return exact_distances(queries, self.vectors, self.options.metric, self._norms)
        # Lengths of these alone: those of all would be read from disk for the sake of a few candidates.
        return exact_distances(queries, self.vectors[rows], self.options.metric)

    @property
    def is_exact(self) -> bool:
        """Whether every row is compared."""
        return self.index is None

    @cached_property
    def _order(self) -> Rows:
        # Stable: ids of FiftyOne grow with time, and this is fast for what is nearly sorted.
        return np.argsort(self.ids, kind="stable")

    @cached_property
    def _norms(self) -> Floats | None:
        return lengths(self.vectors) if self.options.metric == "cosine" and len(self) else None

    @cached_property
    def _row_of(self) -> Rows:
        """[ntotal] row of each number of the index, -1 where it is dead."""
        assert self.index is not None
        row_of = np.full(self.index.ntotal, -1, dtype=np.int64)
        row_of[self.positions] = np.arange(len(self))
        return row_of

    def _is_worn(self, count: int) -> bool:
        """Whether the index has so many dead numbers, or so many more rows, that it is better built anew."""
        assert self.index is not None
        assert self.effort is not None
        return self.index.ntotal - len(self) > DEAD_SHARE * self.index.ntotal or count > GROWTH * self.effort.rows

    def _candidates(self, k: int) -> int:
        assert self.effort is not None
        return int(np.ceil(self.effort.candidates * max(1.0, k / NEAREST)))

    def _without(self, ids: Ids) -> VectorStore:
        rows = self.rows_of(ids)
        rows = rows[rows >= 0]
        if not len(rows):
            return self
        keep = np.ones(len(self), dtype=bool)
        keep[rows] = False
        labels = None if self.label_ids is None else self.label_ids[keep]
        return replace(
            self,
            vectors=self.vectors[keep],
            sample_ids=self.sample_ids[keep],
            label_ids=labels,
            positions=self.positions[keep],
        )

    def _distance_blocks(self, queries: Floats, rows: Rows | None) -> Iterator[Floats]:
        count = max(1, len(self) if rows is None else len(rows))
        step = max(1, MATRIX_CELLS // count)
        for start in range(0, len(queries), step):
            yield self.distances(queries[start : start + step], rows)

    def _nearest_exactly(
        self, queries: Floats, k: int, rows: Rows | None, farthest: bool
    ) -> tuple[list[Rows], list[Floats]]:
        if self.options.metric == "euclidean" and k < len(self) and rows is None and not farthest:
            return self._nearest_euclidean(queries, k)
        found: list[Rows] = []
        dists: list[Floats] = []
        for block in self._distance_blocks(queries, rows):
            for line in block:
                best = _least(-line if farthest else line, k)
                found.append(best if rows is None else rows[best])
                dists.append(line[best])
        return found, dists

    def _nearest_euclidean(self, queries: Floats, k: int) -> tuple[list[Rows], list[Floats]]:
        """FAISS's own exact search: it needs neither a copy of the vectors nor float64 for near twins."""
        found: list[Rows] = []
        dists: list[Floats] = []
        for start in range(0, len(queries), FEW_QUERIES):
            squares, rows = faiss.knn(
                prepare(queries[start : start + FEW_QUERIES], "euclidean"), self.vectors, min(k + NEAREST, len(self))
            )
            for line, hits in zip(np.sqrt(squares), rows, strict=True):
                order = np.lexsort((hits, line))[:k]
                found.append(hits[order])
                dists.append(line[order])
        return found, dists

    def _nearest_by_index(self, queries: Floats, k: int, rows: Rows | None) -> tuple[list[Rows], list[Floats]]:
        index, effort = self.index, self.effort
        assert index is not None
        assert effort is not None
        selector: Any = None
        if rows is not None or index.ntotal > len(self):
            chosen = np.zeros(index.ntotal, dtype=bool)
            chosen[self.positions if rows is None else self.positions[rows]] = True
            library: Any = faiss  # its stubs leave the Python side of the selector out
            selector = library.IDSelectorBitmap(np.packbits(chosen, bitorder="little"))
        wanted = self._candidates(k)
        probes = max(effort.probes, wanted) if isinstance(index, faiss.IndexHNSW) else effort.probes
        prepared = prepare(queries, self.options.metric)
        positions = index.search(prepared, wanted, params=search_parameters(index, probes, selector))[1]
        found: list[Rows] = []
        dists: list[Floats] = []
        for query, line in zip(queries, positions, strict=True):
            # Ranked again by exact distances: those of the codes are rough.
            hits = self._row_of[line[line >= 0]]
            exact = self.distances(query[None], hits)[0]
            order = np.lexsort((hits, exact))[:k]
            hits, exact = hits[order], exact[order]
            if len(hits) < k:
                # A selective view can exhaust the graph or the lists: then every row is compared.
                more, more_dists = self._nearest_exactly(query[None], k, rows, farthest=False)
                hits, exact = more[0], more_dists[0]
            found.append(hits)
            dists.append(exact)
        return found, dists


def _last_of_each(keys: Ids) -> Rows:
    """Places of the last occurrence of each key, in order; without copies of the keys, which may be a million."""
    order = np.argsort(keys, kind="stable")
    ends = np.ones(len(keys), dtype=bool)
    for start in range(0, len(keys) - 1, BLOCK_ROWS):
        stop = min(start + BLOCK_ROWS, len(keys) - 1)
        ends[start:stop] = keys[order[start:stop]] != keys[order[start + 1 : stop + 1]]
    return np.sort(order[ends])


def _least(keys: Floats, k: int) -> Rows:
    """Places of the k least values, in order; equal ones by place."""
    if k < len(keys):
        limit = np.partition(keys, k - 1)[k - 1]
        below, equal = np.flatnonzero(keys < limit), np.flatnonzero(keys == limit)
        best = np.concatenate([below, equal[: k - len(below)]])
    else:
        best = np.arange(len(keys))
    return best[np.lexsort((best, keys[best]))]


def _checked(vectors: Floats, sample_ids: Ids, label_ids: Ids | None) -> Floats:
    vectors = np.asarray(vectors, dtype=np.float32)
    if (
        vectors.ndim != 2
        or len(vectors) != len(sample_ids)
        or (label_ids is not None and len(label_ids) != len(vectors))
    ):
        msg = f"Embeddings of shape {vectors.shape} do not match {len(sample_ids)} ids: one row per id is wanted"
        raise ValueError(msg)
    wrong = sum(int((~np.isfinite(block)).any(axis=1).sum()) for block in blocks_of(vectors))
    if wrong:
        msg = f"{wrong} embeddings hold values that are not finite"
        raise ValueError(msg)
    return vectors


def _text(ids: Any) -> Ids:
    return np.asarray(ids, dtype=np.str_).reshape(-1)
