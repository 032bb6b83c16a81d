"""Which good parts an image is most like: the plainest explanation of a decision."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_ROWS = 512
"""Of the products of all good parts with each other that are held at once."""


@dataclass(frozen=True)
class Neighbor:
    """A good part and how alike it is.

    Attributes:
        image: Its file.
        similarity: Cosine of the angle between the embeddings, -1..1. Embeddings of one product are often all but
            parallel: what a similarity is worth, ``farther`` says.
        farther: Share of good parts, held-out ones where there are any, that are less like the good part that is most
            like them, 0..1; None where there is one alone.
    """

    image: str
    similarity: float
    farther: float | None


def nearest_good(
    embedding: NDArray[np.floating],
    images: Sequence[str],
    embeddings: NDArray[np.floating],
    count: int = 5,
    held_out: NDArray[np.floating] | None = None,
) -> list[Neighbor]:
    """Find the good parts whose embeddings point in the most similar direction.

    Args:
        embedding: ``[D]`` of the image to explain.
        images: ``[N]`` files of the good parts.
        embeddings: ``[N, D]`` of the good parts.
        count: How many to return at most.
        held_out: ``[M, D]`` of good parts that the network has not learnt from. Those that it has lie nearer to each
            other than any new part does, and by them every new part would look odd.

    Returns:
        The most similar first; equally similar ones by name.

    Raises:
        ValueError: If the embeddings are of another length.
    """
    if embeddings.ndim != 2 or embeddings.shape[1:] != embedding.shape or len(images) != len(embeddings):
        msg = f"{len(images)} images, embeddings {embeddings.shape} and one of {embedding.shape} do not fit together"
        raise ValueError(msg)
    query, good = _directions(np.asarray(embedding)[None])[0], _directions(np.asarray(embeddings))
    similarity = good @ query
    if held_out is None or not len(held_out):
        own = _nearest(good, good, themselves=True)
    else:
        own = _nearest(_directions(np.asarray(held_out)), good, themselves=False)
    own = np.sort(own)
    order = sorted(range(len(images)), key=lambda i: (-similarity[i], images[i]))[:count]
    farther = np.searchsorted(own, similarity[order]) / max(len(own), 1)
    return [
        Neighbor(images[i], float(similarity[i]), float(share) if len(own) else None)
        for i, share in zip(order, farther, strict=True)
    ]


def _directions(embeddings: NDArray[np.floating]) -> NDArray[np.float64]:
    values = embeddings.astype(np.float64)
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), np.finfo(np.float64).tiny)


def _nearest(parts: NDArray[np.float64], good: NDArray[np.float64], *, themselves: bool) -> NDArray[np.float64]:
    """Similarity of each part to the good part that is most like it.

    Where the parts are the good ones themselves it is another one; empty where there is none.
    """
    if themselves and len(good) < 2:
        return np.empty(0)
    found = np.empty(len(parts))
    for start in range(0, len(parts), _ROWS):
        rows = parts[start : start + _ROWS] @ good.T
        if themselves:
            rows[np.arange(len(rows)), np.arange(start, start + len(rows))] = -np.inf
        found[start : start + len(rows)] = rows.max(axis=1)
    return found
