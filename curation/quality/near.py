"""Near duplicates: the same scene once more, told from parts that only look alike."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import faiss
import numpy as np
from numpy.typing import NDArray

from curation.quality.measure import to_grey
from curation.quality.table import Table
from learning.errors import DataError
from learning.images.pixels import read_pixels
from learning.progress import Progress, silent
from learning.tails import FEWEST, upper_limit

_NEIGHBOURS = 16
_ALIKE = slice(7, _NEIGHBOURS)
"""Neighbours that are alike and yet hardly ever the same scene."""
_PAIRS, _TRIED = 20_000, 300
_SURE, _SURE_WITHOUT = 0.98, 0.9
"""Similarity from which a pair is always looked at; and from which in sets too small to tell what is usual."""
_DETAIL_LEAST, _DETAIL_MOST, _DETAIL_WITHOUT = 0.5, 0.95, 0.8
_CHANCE = 0.05
_MOST_LOOKED_AT = 50_000
_BLOCK = 2048
_SIDE, _EDGE = 192, 10


@dataclass(frozen=True)
class NearPairs:
    """Pairs that show one scene.

    Attributes:
        pairs: ``[K, 2]`` places in the table, most similar first.
        detail: ``[K]`` correlation of their fine detail, 0..1.
        limit: From which correlation two pictures count as one scene.
        not_looked_at: Pairs that were similar and were left out, as there were too many.
    """

    pairs: NDArray[np.intp]
    detail: NDArray[np.float64]
    limit: float
    not_looked_at: int


def near_pairs(
    table: Table, places: NDArray[np.intp], embeddings: NDArray[np.floating] | None = None, progress: Progress = silent
) -> NearPairs:
    """Find pairs of pictures that show the same scene.

    Two steps. Candidates are neighbours by what is unusual about their signatures (and embeddings): so similar that an
    unrelated picture gets there with a chance of 1 in 20 among all pictures of the set. Then both pictures are read
    again, and their fine detail (grain, texture, dirt) is laid over each other: parts in the same pose differ there.
    What is usual there is learnt from pairs that are alike but not each other's nearest.

    Turned and mirrored pictures are not found.

    Args:
        table: Of the whole set.
        places: ``[M]`` which of its pictures to compare; no two with the same pixels.
        embeddings: ``[N, D]`` of a bundle, rows of NaN where there are none.
        progress: Told how far it is.
    """
    if len(places) < 2:
        return NearPairs(np.empty((0, 2), dtype=np.intp), np.empty(0), _DETAIL_WITHOUT, 0)
    groups = np.array([table.records[place].group for place in places])
    rng = np.random.default_rng(0)
    candidates: dict[tuple[int, int], float] = {}
    alike: list[tuple[int, int]] = []
    for vectors in _spaces(table, places, embeddings):
        near, similarity = _neighbours(vectors, progress)
        limit = similar_from(vectors, groups, rng)
        first, rank = np.nonzero(similarity >= limit)
        for a, b, value in zip(first, near[first, rank], similarity[first, rank], strict=True):
            if b >= 0 and a != b:
                key = (int(min(a, b)), int(max(a, b)))
                candidates[key] = max(candidates.get(key, 0.0), float(value))
        alike += _alike_pairs(near, groups, rng)
    chosen = sorted(candidates, key=lambda pair: (-candidates[pair], pair))
    left_out = max(0, len(chosen) - _MOST_LOOKED_AT)
    # In order of place, so that a picture is in memory while its pairs come by.
    chosen = sorted(chosen[:_MOST_LOOKED_AT])
    limit = _detail_limit(table, places, alike, len(chosen), progress)
    detail = _details(table, places, chosen, progress, "comparing similar pictures")
    kept = [(value, pair) for value, pair in zip(detail, chosen, strict=True) if value >= limit]
    kept.sort(key=lambda item: (-item[0], item[1]))
    pairs = np.array([[places[a], places[b]] for _, (a, b) in kept], dtype=np.intp).reshape(-1, 2)
    return NearPairs(pairs, np.array([value for value, _ in kept]), limit, left_out)


def unusual(vectors: NDArray[np.floating], strata: NDArray[np.str_]) -> NDArray[np.float32]:
    """What is unusual about each vector within its stratum: in robust deviations from the median, at most 6.

    Args:
        vectors: ``[N, D]``.
        strata: ``[N]``; the medians of all serve those with too few.
    """
    values = np.asarray(vectors, dtype=np.float32)
    result = _standardised(values, values)
    for stratum in np.unique(strata):
        own = strata == stratum
        if FEWEST <= own.sum() < len(own):
            result[own] = _standardised(values[own], values[own])
    return result


def _standardised(values: NDArray[np.float32], usual: NDArray[np.float32]) -> NDArray[np.float32]:
    low, median, high = np.quantile(usual, [0.25, 0.5, 0.75], axis=0).astype(np.float32)
    spread = (high - low) / 1.349
    # A direction in which hardly anything differs would otherwise be all rounding.
    least = 0.05 * float(np.median(spread)) + 1e-6
    return np.clip((values - median) / np.maximum(spread, least), -6, 6)


def _spaces(
    table: Table, places: NDArray[np.intp], embeddings: NDArray[np.floating] | None
) -> list[NDArray[np.float32]]:
    spaces = [np.asarray(table.signatures[places], dtype=np.float32)]
    if embeddings is not None:
        spaces.append(np.nan_to_num(np.asarray(embeddings[places], dtype=np.float32)))
    if len(places) >= FEWEST:
        spaces = [unusual(space, table.strata[places]) for space in spaces]
    for space in spaces:
        space /= np.maximum(np.linalg.norm(space, axis=1, keepdims=True), 1e-6)
    return spaces


def _neighbours(vectors: NDArray[np.float32], progress: Progress) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The nearest of each, without itself: ``[M, k]`` rows and cosines; -1 where there are fewer."""
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    near, similar = [], []
    for start in range(0, len(vectors), _BLOCK):
        cosines, rows = index.search(vectors[start : start + _BLOCK], min(_NEIGHBOURS + 1, len(vectors)))
        itself = rows == np.arange(start, start + len(rows))[:, None]
        itself[~itself.any(axis=1), -1] = True
        near.append(rows[~itself].reshape(len(rows), -1))
        similar.append(cosines[~itself].reshape(len(rows), -1))
        progress(start + len(rows), len(vectors), "looking for similar pictures")
    return np.concatenate(near), np.concatenate(similar)


def similar_from(vectors: NDArray[np.float32], groups: NDArray[np.str_], rng: np.random.Generator) -> float:
    """Cosine that an unrelated picture reaches with a chance of 1 in 20 among all, from random independent pairs.

    Args:
        vectors: ``[N, D]`` of length 1.
        groups: ``[N]`` what is not independent.
        rng: Draws the pairs.
    """
    a, b = rng.integers(0, len(vectors), (2, _PAIRS))
    other = groups[a] != groups[b]
    # Fisher's transform: nearly normal, whatever the number of directions that matter.
    limit = None
    if len(vectors) >= FEWEST:
        cosines = np.einsum("nd,nd->n", vectors[a[other]], vectors[b[other]])
        limit = upper_limit(np.arctanh(np.clip(cosines, -0.9999, 0.9999)), _CHANCE / len(vectors))
    return _SURE_WITHOUT if limit is None else min(_SURE, math.tanh(limit))


def _alike_pairs(near: NDArray[np.int64], groups: NDArray[np.str_], rng: np.random.Generator) -> list[tuple[int, int]]:
    if near.shape[1] < _NEIGHBOURS:
        return []
    chosen = rng.permutation(len(near))[:_TRIED]
    ranks = rng.integers(_ALIKE.start, _ALIKE.stop, len(chosen))
    pairs = [(int(a), int(near[a, rank])) for a, rank in zip(chosen, ranks, strict=True)]
    return [(a, b) for a, b in pairs if b >= 0 and groups[a] != groups[b]]


def _detail_limit(
    table: Table, places: NDArray[np.intp], alike: Sequence[tuple[int, int]], tests: int, progress: Progress
) -> float:
    values = _details(table, places, sorted(alike), progress, "learning how alike parts are")
    limit = upper_limit(np.arctanh(np.clip(values, 0, 0.9999)), _CHANCE / max(tests, 1))
    return _DETAIL_WITHOUT if limit is None else min(max(math.tanh(limit), _DETAIL_LEAST), _DETAIL_MOST)


def _details(
    table: Table, places: NDArray[np.intp], pairs: Sequence[tuple[int, int]], progress: Progress, text: str
) -> list[float]:
    detail = lru_cache(maxsize=256)(_detail)
    found = []
    for done, (a, b) in enumerate(pairs):
        found.append(correlation(*(detail(table.records[places[at]].path) for at in (a, b))))
        progress(done + 1, len(pairs), text)
    return found


def correlation(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Highest correlation of two pictures' fine detail, -1..1, where one may be shifted by up to a twentieth."""
    inner = second[_EDGE:-_EDGE, _EDGE:-_EDGE]
    if not first.any() or not inner.any():
        return 0.0
    return float(cv2.matchTemplate(first, inner, cv2.TM_CCOEFF_NORMED).max())


def _detail(path: Path) -> NDArray[np.float32]:
    """``[192, 192]`` what is finer than two pixels of a small square picture; zeros where the file is gone."""
    try:
        grey = to_grey(read_pixels(path))
    except DataError:
        return np.zeros((_SIDE, _SIDE), dtype=np.float32)
    smaller = grey.size > _SIDE * _SIDE
    small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    return np.asarray(small - cv2.GaussianBlur(small, (0, 0), 2.0), dtype=np.float32)
