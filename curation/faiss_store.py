"""Embeddings with a FAISS index over them; knows nothing of FiftyOne or of files.

A store is never changed in place: adding and removing give a new one, so that several threads (the App's server)
can query the one they hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import faiss
import numpy as np

from curation.faiss_index import Floats, Ids, IndexOptions, Rows, build_index, exact_distances, prepare

EXACT_ROWS = 20_000
MATRIX_CELLS = 2**25
DEAD_SHARE = 0.2
SPARE = 8


@dataclass(frozen=True)
class VectorStore:
    """Embeddings, their ids and the index over them.

    Attributes:
        options: How it searches.
        vectors: [N, D] float32 as they were given.
        sample_ids: [N] ids.
        label_ids: [N] ids of labels where patches are indexed, else None.
        positions: [N] number of each row within ``index`` (rows that were replaced or removed leave dead numbers).
        index: The FAISS index; None while the store is empty.
    """

    options: IndexOptions
    vectors: Floats
    sample_ids: Ids
    label_ids: Ids | None
    positions: Rows
    index: faiss.Index | None

    @classmethod
    def build(
        cls, options: IndexOptions, vectors: Floats, sample_ids: Ids, label_ids: Ids | None = None
    ) -> VectorStore:
        """Make a store of vectors [N, D] with unique ids.

        Raises:
            ValueError: Wrong shape, not finite, or ids that do not match.
        """
        vectors = _checked(vectors, sample_ids, label_ids)
        index = build_index(vectors, options) if len(vectors) else None
        rows = np.arange(len(vectors), dtype=np.int64)
        return cls(options, vectors, _text(sample_ids), None if label_ids is None else _text(label_ids), rows, index)

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
        last = np.sort(len(keys) - 1 - np.unique(keys[::-1], return_index=True)[1])
        vectors, sample_ids = vectors[last], _text(sample_ids)[last]
        label_ids = None if label_ids is None else _text(label_ids)[last]
        if not len(self):
            return VectorStore.build(self.options, vectors, sample_ids, label_ids)
        if vectors.shape[1] != self.vectors.shape[1]:
            msg = f"The index holds embeddings of {self.vectors.shape[1]} dimensions, given are {vectors.shape[1]}"
            raise ValueError(msg)
        kept = self._without(keys[last])
        merged = np.concatenate([kept.vectors, vectors])
        samples = np.concatenate([kept.sample_ids, sample_ids])
        labels = None if label_ids is None or kept.label_ids is None else np.concatenate([kept.label_ids, label_ids])
        if self.index is None or kept.is_exact or kept._is_worn:
            return VectorStore.build(self.options, merged, samples, labels)
        # The graph grows; a copy of it, because others may be searching this one.
        index = faiss.clone_index(self.index)
        new = np.arange(index.ntotal, index.ntotal + len(vectors), dtype=np.int64)
        index.add(prepare(vectors, self.options.metric))
        positions = np.concatenate([kept.positions, new])
        return VectorStore(self.options, merged, samples, labels, positions, index)

    def remove(self, ids: Ids) -> VectorStore:
        """A store without the rows of these ids (unknown ones are ignored)."""
        kept = self._without(_text(ids))
        if len(kept) == len(self):
            return self
        if kept.is_exact or kept._is_worn:
            return VectorStore.build(self.options, kept.vectors, kept.sample_ids, kept.label_ids)
        return kept

    def rows_of(self, ids: Ids) -> Rows:
        """[len(ids)] row of each id, -1 where it is unknown."""
        ids = _text(ids)
        if not len(self):
            return np.full(len(ids), -1, dtype=np.int64)
        order = np.argsort(self.ids)
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
        if k is None or farthest or few or k >= count:
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
        return exact_distances(queries, self.vectors if rows is None else self.vectors[rows], self.options.metric)

    @property
    def is_exact(self) -> bool:
        """Whether the index compares every row."""
        return self.index is None or isinstance(self.index, faiss.IndexFlat)

    @property
    def _is_worn(self) -> bool:
        """Whether so many numbers of the index are dead that it is better built anew."""
        return self.index is not None and self.index.ntotal - len(self) > DEAD_SHARE * self.index.ntotal

    def _without(self, ids: Ids) -> VectorStore:
        keep = ~np.isin(self.ids, ids)
        if keep.all():
            return self
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
        found: list[Rows] = []
        dists: list[Floats] = []
        for block in self._distance_blocks(queries, rows):
            for line in block:
                keys = -line if farthest else line
                best = np.argpartition(keys, k - 1)[:k] if k < len(keys) else np.arange(len(keys))
                best = best[np.lexsort((best, keys[best]))]
                found.append(best if rows is None else rows[best])
                dists.append(line[best])
        return found, dists

    def _nearest_by_index(self, queries: Floats, k: int, rows: Rows | None) -> tuple[list[Rows], list[Floats]]:
        index = self.index
        assert index is not None
        allowed = rows
        if rows is None and index.ntotal > len(self):
            allowed = np.arange(len(self), dtype=np.int64)
        selector = None if allowed is None else faiss.IDSelectorBatch(self.positions[allowed])
        refine = self.options.refine if isinstance(index, faiss.IndexIVFPQ) else 1
        prepared = prepare(queries, self.options.metric)
        wanted = min(k * refine + SPARE, len(self))
        positions = index.search(prepared, wanted, params=self._parameters(index, selector))[1]
        row_of = np.full(index.ntotal, -1, dtype=np.int64)
        row_of[self.positions] = np.arange(len(self))
        found: list[Rows] = []
        dists: list[Floats] = []
        for query, line in zip(queries, positions, strict=True):
            # Ranked again by exact distances: quantised and float32 ones are wrong for near twins.
            hits = row_of[line[line >= 0]]
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

    def _parameters(self, index: faiss.Index, selector: Any) -> Any:
        library: Any = faiss  # its stubs leave the search parameters out
        chosen = {} if selector is None else {"sel": selector}
        if isinstance(index, faiss.IndexHNSW):
            return library.SearchParametersHNSW(efSearch=self.options.ef_search, **chosen)
        if isinstance(index, faiss.IndexIVF):
            probes = min(self.options.probes or max(8, index.nlist // 8), index.nlist)
            if isinstance(index, faiss.IndexIVFPQ):
                return library.IVFPQSearchParameters(nprobe=probes, **chosen)
            return library.SearchParametersIVF(nprobe=probes, **chosen)
        return library.SearchParameters(**chosen)


def _checked(vectors: Floats, sample_ids: Ids, label_ids: Ids | None) -> Floats:
    vectors = np.asarray(vectors, dtype=np.float32)
    if (
        vectors.ndim != 2
        or len(vectors) != len(sample_ids)
        or (label_ids is not None and len(label_ids) != len(vectors))
    ):
        msg = f"Embeddings of shape {vectors.shape} do not match {len(sample_ids)} ids: one row per id is wanted"
        raise ValueError(msg)
    if not np.isfinite(vectors).all():
        msg = f"{int((~np.isfinite(vectors)).any(axis=1).sum())} embeddings hold values that are not finite"
        raise ValueError(msg)
    return vectors


def _text(ids: Any) -> Ids:
    return np.asarray(ids, dtype=np.str_).reshape(-1)
