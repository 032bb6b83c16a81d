"""FAISS as a similarity back end of FiftyOne Brain: a config, a factory and an index.

Registered by ``FIFTYONE_BRAIN_SIMILARITY_BACKENDS=*,faiss`` and
``FIFTYONE_BRAIN_SIMILARITY_FAISS_CONFIG_CLS=curation.faiss_backend.FaissSimilarityConfig``; the App's server finds it
by the class path that a brain run stores. The index lies in a folder beside the data set, with checksums.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.brain.internal.core.utils as fbu
import numpy as np
from fiftyone.brain.similarity import DuplicatesMixin, Similarity, SimilarityConfig, SimilarityIndex
from filelock import FileLock
from numpy.typing import NDArray

from curation.faiss_effort import Effort
from curation.faiss_files import DamagedIndexError, Stamp, open_store, save_store, stamp
from curation.faiss_index import Floats, Ids, IndexOptions, Kind, Metric, Rows
from curation.faiss_store import VectorStore

AGGREGATIONS: dict[str, Callable[..., Floats]] = {
    "mean": np.mean,
    "post-mean": np.mean,
    "post-min": np.min,
    "post-max": np.max,
}
LOCK_SECONDS = 600


class FaissSimilarityConfig(SimilarityConfig):
    """Configuration of a FAISS similarity index.

    Args:
        metric: "cosine", "euclidean" or "dotproduct".
        index: "flat" (exact), "hnsw" or "ivfpq".
        min_recall: Share of the true 25 nearest that a search has to find. How hard it searches is measured when the
            index is built; where that is not enough search is exact.
        folder: Folder of all indexes; by default the parameter of the back end
            (``FIFTYONE_BRAIN_SIMILARITY_FAISS_FOLDER``), else ``faiss`` in FiftyOne's folder of data sets.
        location: Where in the folder this index lies; set when it is made.
        approximate_from: Number of embeddings from which an approximate kind is used.
        m: Links per node of the HNSW graph.
        ef_construction: Breadth of the search when the graph is built.
        lists: Number of inverted lists, None for a number that fits.
        pq_bytes: Bytes of a quantised embedding, None for a number that fits.
        **kwargs: What :class:`fiftyone.brain.similarity.SimilarityConfig` takes.
    """

    def __init__(
        self,
        metric: Metric = "cosine",
        index: Kind = "flat",
        min_recall: float = 0.97,
        folder: str | None = None,
        location: str | None = None,
        approximate_from: int = 10_000,
        m: int = 32,
        ef_construction: int = 80,
        lists: int | None = None,
        pq_bytes: int | None = None,
        **kwargs: Any,
    ) -> None:
        if metric not in ("cosine", "euclidean", "dotproduct"):
            msg = f"Unknown metric {metric!r}: cosine, euclidean and dotproduct are known"
            raise ValueError(msg)
        if index not in ("flat", "hnsw", "ivfpq"):
            msg = f"Unknown index {index!r}: flat, hnsw and ivfpq are known"
            raise ValueError(msg)
        if not 0 < min_recall <= 1:
            msg = f"min_recall is {min_recall}; it is a share, above 0 and up to 1"
            raise ValueError(msg)
        super().__init__(**kwargs)
        self.metric = metric
        self.index = index
        self.min_recall = min_recall
        self.folder = folder
        self.location = location
        self.approximate_from = approximate_from
        self.m = m
        self.ef_construction = ef_construction
        self.lists = lists
        self.pq_bytes = pq_bytes

    @property
    def method(self) -> str:
        """Name of the back end."""
        return "faiss"

    @property
    def max_k(self) -> int | None:
        """No limit to the number of neighbours."""
        return None

    @property
    def supports_least_similarity(self) -> bool:
        """Least similar queries are answered (exactly)."""
        return True

    @property
    def supported_aggregations(self) -> tuple[str, ...]:
        """How several queries can be made one."""
        return tuple(AGGREGATIONS)

    @property
    def options(self) -> IndexOptions:
        """The part of the configuration that the store needs."""
        return IndexOptions(
            metric=self.metric,
            kind=self.index,
            min_recall=self.min_recall,
            approximate_from=self.approximate_from,
            m=self.m,
            ef_construction=self.ef_construction,
            lists=self.lists,
            pq_bytes=self.pq_bytes,
        )

    @property
    def path(self) -> Path | None:
        """Folder of this index; None where it is kept in memory only."""
        if self.location is None:
            return None
        return Path(self.folder or Path(fo.config.default_dataset_dir) / "faiss") / self.location

    def load_credentials(self, folder: str | None = None) -> None:
        """Let the parameters of the back end win over the folder of the time when the index was made."""
        self._load_parameters(folder=folder)


class FaissSimilarity(Similarity):
    """Factory of FAISS similarity indexes.

    Args:
        config: A :class:`FaissSimilarityConfig`.
    """

    def ensure_requirements(self) -> None:
        """Nothing to check: this module cannot be imported without FAISS."""

    def initialize(self, samples: Any, brain_key: str | None) -> FaissSimilarityIndex:
        """Make an empty index for a collection."""
        index = FaissSimilarityIndex(samples, self.config, brain_key, backend=self)
        if index.is_external and index.config.path is not None:
            # FiftyOne saves the run before anything is added: no files would look like lost ones.
            index.rebuild(np.empty((0, 0), np.float32), [], None if index.config.patches_field is None else [])
        return index

    def cleanup(self, samples: Any, key: str) -> None:
        """Delete the files of a brain run; those of the data set that it was cloned from stay."""
        _delete_files(self.config, samples)


class FaissSimilarityIndex(SimilarityIndex, DuplicatesMixin):
    """A FAISS similarity index on a data set.

    Args:
        samples: The collection.
        config: A :class:`FaissSimilarityConfig`.
        brain_key: Key of the brain run; None keeps the index in memory only.
        backend: The factory.
    """

    def __init__(
        self, samples: Any, config: FaissSimilarityConfig, brain_key: str | None, backend: FaissSimilarity | None = None
    ) -> None:
        self._store: VectorStore | None = None
        self._stamp: Stamp | None = None
        self._dataset = samples._root_dataset
        SimilarityIndex.__init__(self, samples, config, brain_key, backend=backend)
        DuplicatesMixin.__init__(self)
        if brain_key is not None and config.location is None:
            config.location = f"{self._dataset._doc.id}/{brain_key}"
            self.save_config()

    @property
    def is_external(self) -> bool:
        """Whether the index keeps the embeddings itself, and not a field of the data set."""
        return self.config.embeddings_field is None

    @property
    def sample_ids(self) -> Ids:
        """[N] ids of the samples in the index."""
        return self._current_store().sample_ids

    @property
    def label_ids(self) -> Ids | None:
        """[N] ids of the labels in the index, where patches are indexed."""
        return self._current_store().label_ids

    @property
    def total_index_size(self) -> int:
        """Number of embeddings."""
        return len(self._refreshed())

    @property
    def effort(self) -> Effort | None:
        """How hard the index is searched and the recall that was measured so; None where search is exact."""
        return self._refreshed().effort

    def add_to_index(
        self,
        embeddings: Floats,
        sample_ids: Any,
        label_ids: Any = None,
        overwrite: bool = True,
        allow_existing: bool = True,
        warn_existing: bool = False,
        reload: bool = True,
    ) -> None:
        """Add embeddings [N, D], see :meth:`fiftyone.brain.similarity.SimilarityIndex.add_to_index`."""
        samples = np.asarray(sample_ids, dtype=np.str_)
        labels = None if self.config.patches_field is None else np.asarray(label_ids, dtype=np.str_)
        vectors = np.asarray(embeddings, dtype=np.float32)
        with _Writing(self) as path:
            store = self._refreshed()
            if not overwrite:
                rows = store.rows_of(samples if labels is None else labels)
                self._report((rows >= 0).sum(), "already in the index", allow_existing, warn_existing)
                new = rows < 0
                vectors, samples, labels = (vectors[new], samples[new], None if labels is None else labels[new])
            if not len(vectors):
                return
            self._put(store.add(vectors, samples, labels), path)
        if self.config.embeddings_field is not None:
            fbu.add_embeddings(
                self._dataset,
                vectors,
                samples,
                labels,
                self.config.embeddings_field,
                patches_field=self.config.patches_field,
            )
        if reload:
            self.reload()

    def remove_from_index(
        self,
        sample_ids: Any = None,
        label_ids: Any = None,
        allow_missing: bool = True,
        warn_missing: bool = False,
        reload: bool = True,
    ) -> None:
        """Remove embeddings, see :meth:`fiftyone.brain.similarity.SimilarityIndex.remove_from_index`."""
        with _Writing(self) as path:
            store = self._refreshed()
            rows = self._rows(store, sample_ids, label_ids, allow_missing, warn_missing)
            samples = store.sample_ids[rows]
            labels = None if store.label_ids is None else store.label_ids[rows]
            self._put(store.remove(store.ids[rows]), path)
        if self.config.embeddings_field is not None and len(rows):
            fbu.remove_embeddings(
                self._dataset,
                self.config.embeddings_field,
                sample_ids=samples if labels is None else None,
                label_ids=labels,
                patches_field=self.config.patches_field,
            )
        if reload:
            self.reload()

    def rebuild(self, embeddings: Floats, sample_ids: Any, label_ids: Any = None) -> None:
        """Replace the whole index, whatever state its files are in.

        Args:
            embeddings: [N, D].
            sample_ids: [N] ids of samples.
            label_ids: [N] ids of labels, where patches are indexed.
        """
        with _Writing(self) as path:
            self._put(VectorStore.build(self.config.options, embeddings, sample_ids, label_ids), path)
        self.reload()

    def get_embeddings(
        self, sample_ids: Any = None, label_ids: Any = None, allow_missing: bool = True, warn_missing: bool = False
    ) -> tuple[Floats, Ids, Ids | None]:
        """Embeddings as they were given, see :meth:`fiftyone.brain.similarity.SimilarityIndex.get_embeddings`."""
        store = self._refreshed()
        rows: Rows = np.arange(len(store), dtype=np.int64)
        if sample_ids is not None or label_ids is not None:
            rows = self._rows(store, sample_ids, label_ids, allow_missing, warn_missing)
        labels = None if store.label_ids is None else store.label_ids[rows]
        return np.array(store.vectors[rows]), store.sample_ids[rows], labels

    def cleanup(self) -> None:
        """Delete the files of this index."""
        _delete_files(self.config, self._dataset)
        self._store = None

    def _kneighbors(
        self,
        query: Any = None,
        k: int | None = None,
        reverse: bool = False,
        aggregation: str | None = None,
        return_dists: bool = False,
    ) -> Any:
        store = self._refreshed()
        rows = self._current_inds
        if query is None:
            if aggregation is not None:
                msg = "A query of the whole index cannot be aggregated"
                raise ValueError(msg)
            found, dists = self._all_neighbors(store, rows, k, reverse)
            return self._indices(found, dists, rows, return_dists)
        queries, single = self._queries(store, query)
        if aggregation is None:
            found, dists = store.nearest(queries, k, rows, farthest=reverse)
            return self._ids(store, found, dists, single, return_dists)
        if aggregation not in AGGREGATIONS:
            msg = f"Unknown aggregation {aggregation!r}: {', '.join(AGGREGATIONS)} are known"
            raise ValueError(msg)
        if aggregation == "mean" or len(queries) == 1:
            found, dists = store.nearest(queries.mean(axis=0, keepdims=True), k, rows, farthest=reverse)
        else:
            joint = AGGREGATIONS[aggregation](store.distances(queries, rows), axis=0)
            order = np.argsort(-joint if reverse else joint, kind="stable")[:k]
            found, dists = [order if rows is None else rows[order]], [joint[order]]
        return self._ids(store, found, dists, True, return_dists)

    def _radius_neighbors(self, query: Any = None, thresh: float | None = None, return_dists: bool = False) -> Any:
        if thresh is None:
            msg = "A radius query needs a threshold"
            raise ValueError(msg)
        store = self._refreshed()
        rows = self._current_inds
        if query is None:
            own = np.arange(len(store)) if rows is None else rows
            found, dists = store.within(store.vectors[own], thresh, rows)
            pairs = [_without_self(hits, line, me) for hits, line, me in zip(found, dists, own, strict=True)]
            return self._indices([hits for hits, _ in pairs], [line for _, line in pairs], rows, return_dists)
        queries, single = self._queries(store, query)
        found, dists = store.within(queries, thresh, rows)
        return self._ids(store, found, dists, single, return_dists)

    def _all_neighbors(
        self, store: VectorStore, rows: Rows | None, k: int | None, reverse: bool
    ) -> tuple[list[Rows], list[Floats]]:
        """The neighbours of every row of the view, itself left out."""
        own = np.arange(len(store)) if rows is None else rows
        found, dists = store.nearest(store.vectors[own], None if k is None else k + 1, rows, farthest=reverse)
        pairs = [_without_self(hits, line, me) for hits, line, me in zip(found, dists, own, strict=True)]
        return [hits[:k] for hits, _ in pairs], [line[:k] for _, line in pairs]

    def _indices(self, found: list[Rows], dists: list[Floats], rows: Rows | None, return_dists: bool) -> Any:
        """Results of a query of the whole index: numbers within the view."""
        if rows is not None:
            order = np.argsort(rows)
            found = [order[np.searchsorted(rows, hits, sorter=order)] for hits in found]
        return (found, dists) if return_dists else found

    def _ids(
        self, store: VectorStore, found: list[Rows], dists: list[Floats], single: bool, return_dists: bool
    ) -> tuple[Any, ...]:
        samples: Any = [store.sample_ids[hits].tolist() for hits in found]
        labels: Any = None if store.label_ids is None else [store.label_ids[hits].tolist() for hits in found]
        values: Any = [line.tolist() for line in dists]
        if single:
            samples, labels, values = (samples[0], None if labels is None else labels[0], values[0])
        return (samples, labels, values) if return_dists else (samples, labels)

    def _queries(self, store: VectorStore, query: Any) -> tuple[Floats, bool]:
        """Query vectors [Q, D], and whether a single one was asked for."""
        array: NDArray[Any] = np.asarray(query)
        if np.issubdtype(array.dtype, np.number):
            vectors = np.atleast_2d(array).astype(np.float32)
            if len(store) and (vectors.shape[1] != store.vectors.shape[1] or not np.isfinite(vectors).all()):
                msg = f"A query needs {store.vectors.shape[1]} finite values, given are {vectors.shape[1]}"
                raise ValueError(msg)
            return vectors, array.ndim == 1
        ids = array.reshape(-1)
        rows = store.rows_of(ids)
        if (rows < 0).any():
            msg = f"{(rows < 0).sum()} ids of the query are not indexed, {ids[rows < 0][0]} for one: reload the page"
            raise ValueError(msg)
        return np.array(store.vectors[rows]), array.ndim == 0

    def _rows(
        self, store: VectorStore, sample_ids: Any, label_ids: Any, allow_missing: bool, warn_missing: bool
    ) -> Rows:
        if label_ids is not None and store.label_ids is None and len(store):
            msg = "This index holds samples, not labels: give sample ids"
            raise ValueError(msg)
        if label_ids is None and store.label_ids is not None:
            return np.flatnonzero(np.isin(store.sample_ids, np.atleast_1d(sample_ids)))
        rows = store.rows_of(np.atleast_1d(sample_ids if label_ids is None else label_ids))
        self._report((rows < 0).sum(), "not in the index", allow_missing, warn_missing)
        return rows[rows >= 0]

    @staticmethod
    def _report(count: int, what: str, allowed: bool, warn: bool) -> None:
        if count and not allowed:
            msg = f"{count} ids are {what}"
            raise ValueError(msg)
        if count and warn:
            fbu.logger.warning("Ignoring %d ids that are %s", count, what)

    def _put(self, store: VectorStore, path: Path | None) -> None:
        self._store = store
        if path is not None:
            self._store = save_store(store, path)
            self._stamp = stamp(path)

    def _current_store(self) -> VectorStore:
        return self._refreshed() if self._store is None else self._store

    def _refreshed(self) -> VectorStore:
        """The store, read again where another process has changed it."""
        path = self.config.path
        known = self._store
        if path is None or (known is None and not path.exists() and not self._was_saved):
            self._store = known if known is not None else self._first_store()
            return self._store
        if known is not None and stamp(path) == self._stamp:
            return known
        try:
            self._stamp, self._store = open_store(path, self.config.options)
        except DamagedIndexError:
            if self.is_external:
                raise
            self._put(self._first_store(), path)
        self.reload()
        assert self._store is not None
        return self._store

    @property
    def _was_saved(self) -> bool:
        """Whether the data set holds results of this run: then its files have to be there."""
        run = self._dataset._doc.brain_methods.get(self.key)
        return run is not None and bool(run.results)

    def _first_store(self) -> VectorStore:
        """Empty, or what the field of embeddings holds."""
        options = self.config.options
        patches = self.config.patches_field
        if self.config.embeddings_field is None:
            none: Ids = np.empty(0, dtype="U24")
            return VectorStore.build(options, np.empty((0, 0), np.float32), none, None if patches is None else none)
        vectors, samples, labels = fbu.get_embeddings(
            self._dataset, patches_field=patches, embeddings_field=self.config.embeddings_field
        )
        vectors = np.asarray(vectors, np.float32).reshape(len(samples), -1 if len(samples) else 0)
        return VectorStore.build(options, vectors, samples, labels)

    @classmethod
    def _from_dict(
        cls,
        d: dict[str, Any],  # noqa: ARG003 (the signature is FiftyOne's)
        samples: Any,
        config: FaissSimilarityConfig,
        brain_key: str,
    ) -> FaissSimilarityIndex:
        # Nothing is read here: the App loads results on every request, and a damaged file must not hide the run.
        return cls(samples, config, brain_key)


class _Writing:
    """A write that no other process interleaves with; a clone of a data set first gets files of its own."""

    def __init__(self, index: FaissSimilarityIndex) -> None:
        self.index = index
        self.lock: FileLock | None = None

    def __enter__(self) -> Path | None:
        config = self.index.config
        if config.location is None:
            return None
        own = f"{self.index._dataset._doc.id}/{self.index.key}"
        if config.location.split("/")[0] != own.split("/")[0]:
            self.index._refreshed()
            config.location = own
            self.index.save_config()
            self.index._stamp = stamp(config.path)
        path: Path = config.path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.lock = FileLock(f"{path}.lock", timeout=LOCK_SECONDS)
        self.lock.acquire()
        return path

    def __exit__(self, *error: object) -> None:
        if self.lock is not None:
            self.lock.release()


def _without_self(hits: Rows, dists: Floats, me: int) -> tuple[Rows, Floats]:
    others = hits != me
    return hits[others], dists[others]


def _delete_files(config: FaissSimilarityConfig, samples: Any) -> None:
    path, own = config.path, str(samples._root_dataset._doc.id)
    if path is not None and (config.location or "").split("/")[0] == own:
        shutil.rmtree(path, ignore_errors=True)
        Path(f"{path}.lock").unlink(missing_ok=True)
