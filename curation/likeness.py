"""How alike images are to the model that saw them, by what is unusual about them beside good parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from learning.tails import FEWEST

if TYPE_CHECKING:
    from curation.ledger import Ledger

DRAWN = 2000
"""Good parts that say what is usual; where there are more, as many are drawn."""
STAND_INS = 10_000
"""Parts that are good by the model alone; where there are more, as many are drawn, as they only stand in."""
_AT_ONCE = 64
"""Images that are compared with all others in one matrix."""


@dataclass(frozen=True)
class Usual:
    """What good parts usually look like.

    Attributes:
        mean: ``[D]``.
        whitening: ``[D, D]``; good parts differ by as much in every direction once they are multiplied by it.
    """

    mean: NDArray[np.float32]
    whitening: NDArray[np.float32]

    def unusual(self, vectors: NDArray[np.floating]) -> NDArray[np.float32]:
        """The direction in which each of ``[N, D]`` differs from usual good parts, of length 1."""
        found = (np.asarray(vectors, dtype=np.float32) - self.mean) @ self.whitening
        return np.asarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12), dtype=np.float32)


def usual_of(good: NDArray[np.floating]) -> Usual:
    """Learn what is usual from embeddings of good parts ``[N, D]``.

    Under ``FEWEST`` there is no telling, and embeddings are left as they are.
    """
    width = good.shape[1]
    if len(good) < FEWEST:
        return Usual(np.zeros(width, dtype=np.float32), np.eye(width, dtype=np.float32))
    from sklearn.covariance import ledoit_wolf  # takes a second, and only these questions need it

    mean = good.mean(axis=0, dtype=np.float64)
    covariance, _ = ledoit_wolf(good - mean, assume_centered=True)
    # A direction in which no good part differs would otherwise be all rounding.
    covariance = covariance + (1e-6 * np.trace(covariance) / width + 1e-12) * np.eye(width)
    whitening = np.linalg.inv(np.linalg.cholesky(covariance)).T
    return Usual(mean.astype(np.float32), whitening.astype(np.float32))


class Seen:
    """The images that one model saw: what is known of each, and how alike they are."""

    def __init__(self, ledger: Ledger, model_id: str) -> None:
        """Read what is known; embeddings stay on disk until they are compared.

        Args:
            ledger: With embeddings of the model.
            model_id: Which.

        Raises:
            LedgerError: If the model has left no embeddings, or their files were changed.
        """
        self.model_id = model_id
        self.embedded = ledger.embedded(model_id)
        self.groups = ledger.groups()
        self.states = {one.image_id: one.state for one in ledger.resolved()}
        self.decisions = ledger.decisions(model_id)
        seen = sorted(key for key in self.states if key in self.embedded)
        self.good = [key for key in seen if self.states[key] == "good"]
        self.defects = [key for key in seen if self.states[key] == "defect"]
        accepted = [
            key
            for key, decision in self.decisions.items()
            if decision == "accept" and key not in self.states and key in self.embedded
        ]
        rng = np.random.default_rng(0)
        self.accepted = [accepted[place] for place in drawn(len(accepted), STAND_INS, rng)]
        """Good by the model alone."""
        scored = ledger.detector_scores(model_id)
        middle = np.median([scored[key] for key in self.accepted]) if self.accepted else 0.0
        self.unquestioned = [key for key in self.accepted if scored[key] <= middle]
        """Half of them, those with the lowest scores: defects that a model misses tend to lie above."""
        usual = [*self.good, *self.accepted]
        some = drawn(len(usual), DRAWN, rng)
        self._usual = usual_of(self.embedded.take([usual[place] for place in some]))

    @property
    def standardised(self) -> bool:
        """Whether enough good parts are known to say what is usual."""
        return len(self.good) + len(self.accepted) >= FEWEST

    def unusual(self, image_ids: Sequence[str]) -> NDArray[np.float32]:
        """``[N, D]`` of length 1: what is unusual about images."""
        return self._usual.unusual(self.embedded.take(image_ids))

    def groups_of(self, image_ids: Sequence[str]) -> NDArray[np.str_]:
        """``[N]``."""
        return np.array([self.groups[key] for key in image_ids], dtype=np.str_)

    def nearest(self, image_ids: Sequence[str], among: Sequence[str]) -> dict[str, tuple[str, float]]:
        """For each image the nearest of others, of another group, and its distance (1 - cosine, 0 to 2).

        Those that have no embedding, or where all others are of the same group, are missing.
        """
        asked = [key for key in image_ids if key in self.embedded]
        if not asked or not among:
            return {}
        rows, away = nearest_other(
            self.unusual(asked), self.unusual(among), self.groups_of(asked), self.groups_of(among)
        )
        return {
            key: (among[row], float(distance))
            for key, row, distance in zip(asked, rows, away, strict=True)
            if np.isfinite(distance)
        }


def nearest_other(
    first: NDArray[np.floating],
    second: NDArray[np.floating],
    first_groups: NDArray[np.str_],
    second_groups: NDArray[np.str_],
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """For each of some vectors the nearest of others that is of another group.

    Args:
        first: ``[N, D]`` of length 1.
        second: ``[M, D]`` of length 1, at least one.
        first_groups: ``[N]``.
        second_groups: ``[M]``.

    Returns:
        Rows ``[N]`` of ``second`` and distances ``[N]``, 0 to 2; infinite where there is none.
    """
    rows = np.zeros(len(first), dtype=np.intp)
    away = np.full(len(first), np.inf)
    _, codes = np.unique(np.concatenate([first_groups, second_groups]), return_inverse=True)
    own, others = codes[: len(first)], codes[len(first) :]
    for start in range(0, len(first), _AT_ONCE):
        block = slice(start, start + _AT_ONCE)
        distances = 1 - first[block] @ second.T
        distances[own[block, None] == others] = np.inf
        rows[block] = distances.argmin(axis=1)
        away[block] = np.maximum(distances.min(axis=1), 0)
    return rows, away


def drawn(count: int, most: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Places of all of so many, or of as many as that at random, in order."""
    if count <= most:
        return np.arange(count, dtype=np.intp)
    return np.sort(rng.choice(count, most, replace=False)).astype(np.intp)
