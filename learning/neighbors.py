"""Which good parts an image is most like: the plainest explanation of a decision."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Neighbor:
    """A good part and how alike it is.

    Attributes:
        image: Its file.
        similarity: Cosine of the angle between the embeddings, -1..1.
    """

    image: str
    similarity: float


def nearest_good(
    embedding: NDArray[np.floating], images: Sequence[str], embeddings: NDArray[np.floating], count: int = 5
) -> list[Neighbor]:
    """Find the good parts whose embeddings point in the most similar direction.

    Args:
        embedding: ``[D]`` of the image to explain.
        images: ``[N]`` files of the good parts.
        embeddings: ``[N, D]`` of the good parts.
        count: How many to return at most.

    Returns:
        The most similar first; equally similar ones by name.

    Raises:
        ValueError: If the embeddings are of another length.
    """
    if embeddings.ndim != 2 or embeddings.shape[1:] != embedding.shape or len(images) != len(embeddings):
        msg = f"{len(images)} images, embeddings {embeddings.shape} and one of {embedding.shape} do not fit together"
        raise ValueError(msg)
    query = np.asarray(embedding, dtype=np.float64)
    good = np.asarray(embeddings, dtype=np.float64)
    lengths = np.linalg.norm(good, axis=1) * np.linalg.norm(query)
    similarity = good @ query / np.maximum(lengths, np.finfo(np.float64).tiny)
    order = sorted(range(len(images)), key=lambda i: (-similarity[i], images[i]))
    return [Neighbor(images[i], float(similarity[i])) for i in order[:count]]
