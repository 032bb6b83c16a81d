"""Parts unlike all that is known, and unlike each other: greedy k-centre."""

from typing import ClassVar

import faiss
import numpy as np
from numpy.typing import NDArray

from learning.sampling.candidates import Candidates, Floats, Reason, Shares, fill_in, nearest_rows, to_shares

_BESIDE = 0.1
"""Weight of the distance that a part is left with when all centres are chosen: centres come first."""


class Diverse:
    """Core-set selection (Sener & Savarese, 2018, arXiv 1708.00489) by greedy k-centre (Gonzalez, 1985).

    Centres are what trained the detector and what was answered; then, one after the other, the part that is farthest
    from all of them.
    """

    name: ClassVar[str] = "diverse"

    def missing(self, candidates: Candidates) -> str:
        """Embeddings."""
        return "" if candidates.embedded.any() else "the images have no embeddings in the ledger"

    def shares(self, candidates: Candidates) -> Shares:
        """By the square of the distance at which a part becomes a centre; of others, of a tenth of what is left."""
        start = [rows for rows in (_trained(candidates), candidates.labelled[0]) if len(rows)]
        radii, left = k_centre(candidates.standardised, np.concatenate(start) if start else None, candidates.count)
        priorities = np.where(radii > 0, radii, _BESIDE * left) ** 2
        return {Reason.DIVERSE: to_shares(fill_in(priorities, candidates.embedded))}


def k_centre(rows: NDArray[np.float32], start: NDArray[np.float32] | None, count: int) -> tuple[Floats, Floats]:
    """Choose rows one after the other, each the farthest from all centres so far.

    Args:
        rows: ``[N, D]``.
        start: ``[S, D]`` centres to begin with; without any the first is the row farthest from the mean.
        count: How many to choose.

    Returns:
        ``[N]`` distance from the centres at which a row was chosen, 0 of those that were not; and ``[N]`` distance from
        the nearest centre in the end.
    """
    if start is not None and len(start):
        nearest = nearest_rows(rows, start, 1)[0][:, 0]
    else:
        nearest = _distances(rows, rows.mean(axis=0))
    radii = np.zeros(len(rows))
    for place in range(min(count, len(rows))):
        farthest = int(np.argmax(nearest))
        if nearest[farthest] <= 0:
            break
        radii[farthest] = nearest[farthest]
        away = _distances(rows, rows[farthest])
        # Distances from the mean are none from a centre.
        nearest = away if place == 0 and (start is None or not len(start)) else np.minimum(nearest, away)
    return radii, nearest


def _distances(rows: NDArray[np.float32], centre: NDArray[np.float32]) -> Floats:
    squares = faiss.pairwise_distances(np.ascontiguousarray(centre[None]), rows)[0]
    # By differences of squares a row is not quite at no distance from itself.
    own = np.all(rows == centre, axis=1)
    return np.where(own, 0.0, np.sqrt(np.maximum(squares, 0))).astype(np.float64)


def _trained(candidates: Candidates) -> NDArray[np.float32]:
    if candidates.trained is None or candidates.embeddings is None:
        return np.zeros((0, 0), dtype=np.float32)
    return candidates.standardise(np.asarray(candidates.trained, dtype=np.float64))
