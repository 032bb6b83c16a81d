"""What strategies know of the parts that could be asked about."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

import faiss
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import rankdata

from learning.images.records import GOOD

Floats = NDArray[np.float64]

_LEAST_SPREAD = 0.1
"""Of a feature, as a share of the median one's."""

NARROWEST = 0.02
"""Least width of the borderline, in ranks as a fraction of the stream."""


class Reason(StrEnum):
    """Why an inspector is asked."""

    BORDERLINE = "borderline"
    REJECTED = "rejected"
    DIVERSE = "diverse"
    DISAGREEMENT = "disagreement"
    CHANGE = "change"
    BALANCE = "balance"
    AUDIT = "audit"


Shares = dict[Reason, Floats]
"""How much of a sample each part gets, ``[G]`` by the reason; all together add up to one."""


@dataclass(frozen=True)
class Known:
    """Parts of which it is known what they are.

    Attributes:
        embeddings: ``[A, D]``; a row that is not finite is of a part that was not embedded.
        labels: ``[A]`` ``good``, or a kind of defect (empty where no kind was named).
    """

    embeddings: Floats
    labels: Sequence[str]


@dataclass(frozen=True)
class Candidates:
    """Parts that could be asked about, one image of each.

    Attributes:
        scores: ``[G]`` finite decision scores; higher is more anomalous.
        threshold: A part is rejected above it.
        count: Size of the sample.
        embeddings: ``[G, D]``, or None; a row that is not finite is of a part that was not embedded.
        opinions: Scores ``[G]`` of other models, or of the detector and of its fallback by themselves, on any scale;
            what is not finite is no opinion.
        known: Parts that were answered.
        trained: ``[T, D]`` embeddings of the good parts that trained the detector, or None.
    """

    scores: Floats
    threshold: float
    count: int
    embeddings: Floats | None = None
    opinions: Sequence[Floats] = ()
    known: Known | None = field(default=None)
    trained: Floats | None = None

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def width(self) -> float:
        """Width of the borderline, in ranks as a fraction of the stream."""
        return max(self.count / len(self), NARROWEST)

    @cached_property
    def distance(self) -> Floats:
        """``[G]`` signed distance from the threshold, by ranks: a detector's scores have no scale of their own."""
        distance: Floats = (rankdata(self.scores) - 0.5 - (self.scores <= self.threshold).sum()) / len(self)
        return distance

    @cached_property
    def votes(self) -> Floats:
        """``[G]`` in 0..1 how sure it is that a part is rejected; one half at the threshold."""
        return soft_votes(self.distance, self.width)

    @cached_property
    def embedded(self) -> NDArray[np.bool_]:
        """``[G]`` which parts have an embedding."""
        if self.embeddings is None:
            return np.zeros(len(self), dtype=bool)
        return finite_rows(self.embeddings)

    @cached_property
    def standardised(self) -> NDArray[np.float32]:
        """``[E, D]`` embeddings of the parts that have one, in spreads of the good parts that trained the detector.

        A defect moves features that hardly move on good parts: divided by their own spread over a stream, in which it
        is, it would stand out less.
        """
        return self.standardise(self._finite)

    def standardise(self, embeddings: Floats) -> NDArray[np.float32]:
        """Embeddings of other parts, beside ``standardised``; rows that are not finite are left out."""
        rows = embeddings[finite_rows(embeddings)]
        good = self._finite if self.trained is None or len(self.trained) < 2 else self.trained
        spread = good.std(axis=0)
        # A feature that never moves must neither be divided by nothing nor drown the others.
        least = max(_LEAST_SPREAD * float(np.median(spread)), _LEAST_SPREAD * float(spread.max()) / 100, 1e-12)
        return np.ascontiguousarray((rows - good.mean(axis=0)) / np.maximum(spread, least), dtype=np.float32)

    @cached_property
    def labelled(self) -> tuple[NDArray[np.float32], list[str]]:
        """Standardised embeddings ``[A, D]`` and labels of the known parts that have one."""
        if self.known is None or self.embeddings is None or not self.embedded.any():
            return np.zeros((0, 0), dtype=np.float32), []
        there = finite_rows(self.known.embeddings)
        labels = [label for label, one in zip(self.known.labels, there, strict=True) if one]
        return self.standardise(self.known.embeddings), labels

    def labels_of_known(self) -> list[str]:
        """``good`` or a kind of defect of every known part, embedded or not."""
        return [] if self.known is None else list(self.known.labels)

    def kinds_alike(self) -> list[str] | None:
        """The kind of the confirmed defect that each embedded part is most like; None where there is no such defect."""
        embeddings, labels = self.labelled
        defective = np.array([label != GOOD for label in labels], dtype=bool)
        if not defective.any():
            return None
        nearest = nearest_rows(self.standardised, embeddings[defective], 1)[1][:, 0]
        kinds = [label for label in labels if label != GOOD]
        return [kinds[i] for i in nearest]

    @cached_property
    def _finite(self) -> Floats:
        assert self.embeddings is not None
        return np.asarray(self.embeddings[self.embedded], dtype=np.float64)


def soft_votes(distance: Floats, width: float) -> Floats:
    """How surely something is rejected, 0..1, by its signed distance from the threshold in ranks."""
    votes: Floats = expit(distance / width)
    return votes


def nearest_rows(
    queries: NDArray[np.float32], rows: NDArray[np.float32], count: int
) -> tuple[Floats, NDArray[np.int64]]:
    """Euclidean distances ``[Q, k]`` and indices ``[Q, k]`` of the nearest rows, by an exact FAISS index."""
    index = faiss.IndexFlatL2(rows.shape[1])
    index.add(rows)
    squares, indices = index.search(queries, min(count, len(rows)))
    return np.sqrt(np.maximum(squares, 0)).astype(np.float64), indices


def finite_rows(embeddings: Floats) -> NDArray[np.bool_]:
    """``[N]`` which rows of ``[N, D]`` are whole."""
    return np.asarray(np.isfinite(embeddings).all(axis=1), dtype=np.bool_)


def to_shares(priorities: Floats) -> Floats:
    """Priorities of zero and more, made to add up to one; even shares where all are zero."""
    total = priorities.sum()
    if not total > 0:
        return np.full(len(priorities), 1 / len(priorities))
    return priorities / total


def fill_in(priorities: Floats, embedded: NDArray[np.bool_]) -> Floats:
    """Priorities of the embedded parts, and their mean for the others, of which nothing is known: ``[G]``."""
    filled = np.full(len(embedded), float(priorities.mean()))
    filled[embedded] = priorities
    return filled
