"""The similarity index of a data set, from the ledger's embeddings."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from curation.connection import database_errors, dataset_lock, require_database
from curation.errors import DatabaseError, LedgerError
from curation.mongo import EXTERNAL_URI
from curation.samples import Dataset, held_by, open_dataset
from learning.progress import Progress, silent

if TYPE_CHECKING:
    from curation.faiss_backend import FaissSimilarityIndex
    from curation.ledger import Ledger

logger = logging.getLogger(__name__)

BRAIN_KEY = "similar"
CHANGED_SHARE = 0.5
"""Of the embeddings: where more have changed, the index is made anew."""


def index_similarity(
    ledger: Ledger, name: str, models: str | Sequence[str], progress: Progress = silent
) -> FaissSimilarityIndex:
    """Make or bring up to date the similarity index of a data set from the ledger's embeddings. Repeatable.

    Only embeddings that changed are indexed, but where any did all files are written anew; a damaged or lost index is
    built anew. It answers the App's sort by similarity and
    ``dataset.sort_by_similarity(sample_id, brain_key="similar")``: exactly up to 10,000 images, by 4-bit codes above,
    as hard as it takes for a measured recall.

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
        dataset = open_dataset(name)
        held = held_by(dataset)
        known = np.array([image_id in held for image_id in image_ids], dtype=bool)
        if not known.any():
            which = " or ".join(models)
            msg = f"No image of {name!r} has embeddings of model {which}: score the images with it and sync first"
            raise LedgerError(msg)
        samples = np.array([str(held[image_id].sample) for image_id in image_ids if image_id in held])
        vectors = np.asarray(embeddings, dtype=np.float32)[known]
        progress(0, len(samples), "indexing embeddings")
        index = _updated_index(dataset, samples, vectors)
        if index is None:
            index = _new_index(dataset, samples, vectors)
            _delete_those_of_deleted_data_sets()
        progress(len(samples), len(samples), "indexing embeddings")
    return index


@contextmanager
def search_errors(dataset: Dataset) -> Iterator[None]:
    """Say in one line why the similarity index of a data set cannot be used.

    Raises:
        DatabaseError: There is none, or its files are damaged.
    """
    if not dataset.has_brain_run(BRAIN_KEY):
        msg = f"{dataset.name!r} has no search by similarity: score with a model and run curate sync"
        raise DatabaseError(msg)
    try:
        yield
    except (ValueError, RuntimeError) as error:
        msg = f"The search failed: {error}. If files are damaged, flawsmith curate sync mends them"
        raise DatabaseError(msg) from error


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


def _delete_those_of_deleted_data_sets() -> None:
    """Delete files of indexes that no data set has any more: FiftyOne deletes a data set and leaves them.

    Only those that are made here, and only beside a database of our own: another one may have data sets that this one
    does not know.
    """
    import fiftyone.core.odm as foo

    if EXTERNAL_URI in os.environ:
        return
    # In this order: an index that is made meanwhile is named before it has files.
    found = list(Path(os.environ["FIFTYONE_BRAIN_SIMILARITY_FAISS_FOLDER"]).glob(f"*/{BRAIN_KEY}"))
    named = set(foo.get_db_conn()["runs"].distinct("config.location"))
    for folder in found:
        if f"{folder.parent.name}/{folder.name}" not in named:
            shutil.rmtree(folder, ignore_errors=True)
            folder.with_name(f"{folder.name}.lock").unlink(missing_ok=True)


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
    except DamagedIndexError as error:
        logger.warning("%s; built anew from the ledger", str(error).partition(";")[0])
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
