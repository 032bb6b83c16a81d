"""Scores and embeddings of a bundle, kept between runs."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from curation.quality.cache import Cache
from curation.quality.table import Table
from learning.bundle import Bundle
from learning.progress import Progress, silent
from learning.scoring import ScoreFailure, score_records

_KEPT = 32


def score_all(
    table: Table, bundle: Bundle, cache: Cache, progress: Progress = silent
) -> tuple[NDArray[np.float64], NDArray[np.float16]]:
    """Score the readable images of a table; what the cache knows is not scored again.

    Returns:
        ``[N]`` scores and ``[N, D]`` embeddings, NaN where there are none.
    """
    # The manifest holds the checksums of the weights.
    model = hashlib.sha256((bundle.folder / "bundle.json").read_bytes()).hexdigest()
    scores = np.full(len(table.records), np.nan)
    known: dict[int, NDArray[np.float16]] = {}
    missing = []
    for place in np.flatnonzero(table.readable):
        held = cache.scored(table.checksums[place], model)
        if held is None:
            missing.append(int(place))
        else:
            scores[place], known[int(place)] = held
    new: list[tuple[bytes, float, np.ndarray]] = []
    found = score_records(bundle, [table.records[place] for place in missing], progress=progress)
    for place, item in zip(missing, found, strict=True):
        if isinstance(item, ScoreFailure):
            continue
        scores[place], known[place] = item.score, item.embedding.astype(np.float16)
        new.append((table.checksums[place], item.score, item.embedding))
        if len(new) >= _KEPT:
            cache.keep_scored(model, new)
            new = []
    cache.keep_scored(model, new)
    width = len(next(iter(known.values()))) if known else 0
    embeddings = np.full((len(table.records), width), np.nan, dtype=np.float16)
    for place, embedding in known.items():
        embeddings[place] = embedding
    return scores, embeddings
