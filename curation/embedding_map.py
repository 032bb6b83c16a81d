"""A map of embeddings: a place in the plane for each image, near each other where images look alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from curation.faiss_files import Stamp, stamp
from curation.indexing import BRAIN_KEY, search_errors

if TYPE_CHECKING:
    from curation.samples import Dataset

Places = NDArray[np.float32]

_known: dict[str, tuple[Stamp | None, NDArray[np.str_], Places]] = {}
"""The last map by data set: the App asks for it at every change of the view."""


def places_of(vectors: NDArray[np.float32]) -> Places:
    """The two directions in which embeddings differ most (PCA), once each is of length 1, as the search takes them.

    Args:
        vectors: ``[N, D]``.

    Returns:
        ``[N, 2]``, -1 to 1 about the mean, the same for the same embeddings; 0 in a direction that is not there.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.where(lengths > 0, lengths, 1)
    unit -= unit.mean(axis=0)
    _, directions = np.linalg.eigh(unit.T @ unit)
    most = directions[:, :-3:-1]
    # A direction and its opposite are equally good.
    most = most * np.sign(most[np.abs(most).argmax(axis=0), np.arange(most.shape[1])])
    places = np.zeros((len(vectors), 2), dtype=np.float32)
    places[:, : most.shape[1]] = unit @ most
    return places


def map_of(dataset: Dataset) -> tuple[NDArray[np.str_], Places]:
    """The map of a data set, from the embeddings of its search by similarity.

    Args:
        dataset: That ``sync`` and ``index_similarity`` made.

    Returns:
        Sample ids ``[N]`` and their places ``[N, 2]``.

    Raises:
        DatabaseError: There is no search by similarity, or its files are damaged.
    """
    with search_errors(dataset):
        index = dataset.load_brain_results(BRAIN_KEY)
        now = stamp(index.config.path)
        known = _known.get(dataset.name)
        if known is None or known[0] != now:
            vectors, samples, _ = index.get_embeddings()
            known = _known[dataset.name] = now, samples, places_of(vectors)
    return known[1], known[2]
