"""Ledger to FiftyOne: a window on what is known, that can be lost and is made again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from curation.app import App, open_app
from curation.connection import database_errors, dataset_lock, require_database
from curation.errors import LedgerError
from curation.plugin.binding import bind
from curation.rows import Row, rows_of
from learning.progress import Progress, silent

if TYPE_CHECKING:
    import fiftyone as fo

    from curation.faiss_backend import FaissSimilarityIndex
    from curation.ledger import Ledger

__all__ = ["BRAIN_KEY", "App", "SyncReport", "index_similarity", "open_app", "sync"]

BRAIN_KEY = "similar"
BATCH = 2000
CHANGED_SHARE = 0.5
HASH = "sync_hash"
MAP_RANGE = [64, 255]
"""Of a map's 0 to 255 what the App colours: lower values stay transparent, so that the part can be seen."""

Dataset = Any
"""A ``fiftyone.Dataset``: importing FiftyOne takes 6 s, so its types are not named here."""


@dataclass(frozen=True)
class SyncReport:
    """What a sync did.

    Attributes:
        added: Samples that are new in FiftyOne.
        updated: Samples that were written again because something about them changed.
        unchanged: Samples that were not touched.
        removed: Samples whose image is not in the ledger any more.
        missing: Image files that the ledger knows and that are gone from the disk (their samples stay, marked).
    """

    added: int
    updated: int
    unchanged: int
    removed: int
    missing: list[Path] = field(default_factory=list)


def sync(ledger: Ledger, name: str, model_id: str | None = None, progress: Progress = silent) -> SyncReport:
    """Bring a FiftyOne data set to what the ledger says; only what changed is written. Repeatable.

    A data set that was deleted in the App is made again; tags and fields that people added there are left alone.
    What was interrupted, or lost with a killed database, is written by the next sync: each sample carries the hash of
    what it should hold, written last.

    Args:
        ledger: The truth.
        name: Name of the data set.
        model_id: Whose scores to show; by default each image's latest.
        progress: Told how far it is.

    Raises:
        DatabaseError: The database does not answer; run it again when it does.
    """
    require_database()
    with database_errors(), dataset_lock(name):
        rows = rows_of(ledger, model_id)
        dataset = _dataset(name)
        held = _held(dataset)
        new = [row for key, row in rows.items() if key not in held]
        changed = [row for key, row in rows.items() if key in held and held[key][1] != row.hash]
        gone = [sample for key, (sample, _) in held.items() if key not in rows]
        total = len(new) + len(changed) + len(gone)
        done = 0
        for batch in _batches(new):
            dataset.add_samples([_sample(row) for row in batch], progress=False, dynamic=False)
            done += len(batch)
            progress(done, total, "adding images to FiftyOne")
        for batch in _batches(changed):
            _update(dataset, {held[row.image_id][0]: row for row in batch})
            done += len(batch)
            progress(done, total, "updating FiftyOne")
        if gone:
            dataset.delete_samples(gone)
            progress(total, total, "removing images from FiftyOne")
        _dress(dataset)
        bind(dataset, ledger, model_id)
    missing = [Path(row.values["filepath"]) for row in rows.values() if row.values["file_missing"]]
    return SyncReport(len(new), len(changed), len(rows) - len(new) - len(changed), len(gone), missing)


def show_rows(dataset: Dataset, rows: Sequence[Row]) -> None:
    """Write rows into the samples that the data set has for them; the rest is left alone.

    Args:
        dataset: That ``sync`` made.
        rows: Of some images.
    """
    found = dataset.select_by("image_id", [row.image_id for row in rows])
    samples = dict(zip(*found.values(["image_id", "id"]), strict=True))
    known = {samples[row.image_id]: row for row in rows if row.image_id in samples}
    if known:
        _update(dataset, known)


def index_similarity(
    ledger: Ledger, name: str, models: str | Sequence[str], progress: Progress = silent
) -> FaissSimilarityIndex:
    """Make or bring up to date the similarity index of a data set from the ledger's embeddings. Repeatable.

    Only embeddings that changed are written; a damaged or lost index is built anew. It answers the App's sort by
    similarity and ``dataset.sort_by_similarity(sample_id, brain_key="similar")``: exactly up to 10,000 images, by
    4-bit codes above, as hard as it takes for a measured recall.

    Args:
        ledger: The truth.
        name: Name of the data set, as given to ``sync``.
        models: Whose embeddings. Those of several models lie at right angles, as they cannot be compared: what one
            model saw is never similar to what another saw.
        progress: Told how far it is.

    Raises:
        LedgerError: The ledger has no embeddings of these models for these images.
        DatabaseError: The database does not answer.
    """
    require_database()
    models = [models] if isinstance(models, str) else list(models)
    image_ids, embeddings = _side_by_side([ledger.embeddings(model) for model in models])
    with database_errors(), dataset_lock(name):
        dataset = _dataset(name)
        held = _held(dataset)
        known = np.array([image_id in held for image_id in image_ids], dtype=bool)
        if not known.any():
            which = " or ".join(models)
            msg = f"No image of {name!r} has embeddings of model {which}: score the images with it and sync first"
            raise LedgerError(msg)
        samples = np.array([held[image_id][0] for image_id in image_ids if image_id in held])
        vectors = np.asarray(embeddings, dtype=np.float32)[known]
        progress(0, len(samples), "indexing embeddings")
        index = _updated_index(dataset, samples, vectors)
        if index is None:
            index = _new_index(dataset, samples, vectors)
        progress(len(samples), len(samples), "indexing embeddings")
    return index


def _side_by_side(parts: Sequence[tuple[list[str], np.ndarray]]) -> tuple[list[str], np.ndarray]:
    """Embeddings of several models, each in columns of its own; an image that several saw counts for the last."""
    width = sum(vectors.shape[1] for ids, vectors in parts if ids)
    found: dict[str, np.ndarray] = {}
    first = 0
    for ids, vectors in parts:
        if not ids:
            continue
        for image_id, vector in zip(ids, vectors, strict=True):
            found[image_id] = np.zeros(width, dtype=np.float32)
            found[image_id][first : first + len(vector)] = vector
        first += vectors.shape[1]
    return list(found), np.stack(list(found.values())) if found else np.empty((0, 0), dtype=np.float32)


def _new_index(dataset: Dataset, samples: np.ndarray, vectors: np.ndarray) -> FaissSimilarityIndex:
    import fiftyone.brain as fob

    if dataset.has_brain_run(BRAIN_KEY):
        dataset.delete_brain_run(BRAIN_KEY)
    index: FaissSimilarityIndex = fob.compute_similarity(
        dataset, brain_key=BRAIN_KEY, backend="faiss", embeddings=False, metric="cosine", index="ivfpq"
    )
    index.rebuild(vectors, samples)
    return index


def _updated_index(dataset: Dataset, samples: np.ndarray, vectors: np.ndarray) -> FaissSimilarityIndex | None:
    """The index with what changed written; None where it is better made anew."""
    from curation.faiss_backend import FaissSimilarityIndex
    from curation.faiss_files import DamagedIndexError

    if not dataset.has_brain_run(BRAIN_KEY):
        return None
    index = dataset.load_brain_results(BRAIN_KEY)
    if not isinstance(index, FaissSimilarityIndex):
        return None
    try:
        old, old_samples, _ = index.get_embeddings()
    except DamagedIndexError:
        return None
    if old.shape[1:] != vectors.shape[1:]:
        return None
    row_of = {sample: row for row, sample in enumerate(old_samples.tolist())}
    rows = np.array([row_of.get(sample, -1) for sample in samples.tolist()], dtype=np.int64)
    changed = (rows < 0) | (old[rows] != vectors).any(axis=1)
    gone = np.setdiff1d(old_samples, samples)
    if changed.sum() + len(gone) > CHANGED_SHARE * len(samples):
        return None
    if len(gone):
        index.remove_from_index(sample_ids=gone)
    if changed.any():
        index.add_to_index(vectors[changed], samples[changed])
    return index


def _dataset(name: str) -> Dataset:
    """The data set of this name with our fields; made where there is none."""
    import fiftyone as fo

    if fo.dataset_exists(name):
        dataset = fo.load_dataset(name)
        dataset.reload()
    else:
        dataset = fo.Dataset(name, persistent=True)
    schema = dataset.get_field_schema()
    for path, kind in _fields().items():
        if path not in schema:
            if isinstance(kind, type) and issubclass(kind, fo.Label):
                dataset.add_sample_field(path, fo.EmbeddedDocumentField, embedded_doc_type=kind)
            else:
                dataset.add_sample_field(path, kind)
    if "image_id" not in dataset.get_index_information():
        dataset.create_index("image_id", unique=True)
        dataset.create_index("score")
    return dataset


def _fields() -> dict[str, Any]:
    import fiftyone as fo

    text = ("image_id", "part", "group", "lot", "camera", "model_id", "decision", "verdict", "ask_reason", "ask_state")
    numbers = ("score", "decision_score", "percentile")
    return {
        **dict.fromkeys(text, fo.StringField),
        **dict.fromkeys(numbers, fo.FloatField),
        "threshold_version": fo.IntField,
        "time": fo.DateTimeField,
        "file_missing": fo.BooleanField,
        "anomaly_map": fo.Heatmap,
        "confirmed_mask": fo.Segmentation,
        HASH: fo.StringField,
    }


def _held(dataset: Dataset) -> dict[str, tuple[str, str | None]]:
    """What FiftyOne holds: image id -> sample id and hash."""
    images, samples, hashes = dataset.values(["image_id", "id", HASH])
    return {image: (sample, sync_hash) for image, sample, sync_hash in zip(images, samples, hashes, strict=True)}


def _sample(row: Row) -> fo.Sample:
    import fiftyone as fo

    return fo.Sample(**{key: _label(key, value) for key, value in row.values.items()}, **{HASH: row.hash})


def _update(dataset: Dataset, rows: dict[str, Row]) -> None:
    """Write rows over the samples of these ids, each sample and its hash at once.

    Raises:
        DatabaseError: The database does not answer.
    """
    import fiftyone.core.odm as foo
    from bson import ObjectId
    from pymongo import UpdateOne

    now = datetime.now(UTC)
    writes = []
    for sample, row in rows.items():
        document = _sample(row).to_mongo_dict()
        content = {key: document[key] for key in (*row.values, HASH)}
        writes.append(UpdateOne({"_id": ObjectId(sample)}, {"$set": {**content, "last_modified_at": now}}))
    # One write per sample; FiftyOne's set_values takes one per field and sample, a sixth of the speed.
    foo.get_db_conn()[dataset._sample_collection_name].bulk_write(writes, ordered=False)
    dataset.reload()


def _label(key: str, value: Any) -> Any:
    import fiftyone as fo

    if value is None:
        return None
    if key == "anomaly_map":
        return fo.Heatmap(map_path=value, range=MAP_RANGE)
    if key == "confirmed_mask":
        return fo.Segmentation(mask_path=value)
    return value


def _dress(dataset: Dataset) -> None:
    """Say once what the App shows: the map over the picture, score, decision and verdict below it."""
    if dataset.app_config.color_scheme is not None:
        return
    from curation.appearance import dress

    dress(dataset)


def _batches(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    for start in range(0, len(rows), BATCH):
        yield rows[start : start + BATCH]
