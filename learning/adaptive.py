"""A threshold where nobody has labelled anything: between two kinds of scores, wherever they are."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Divide:
    """Where scores fall into two kinds.

    Attributes:
        threshold: Those above it are the higher kind.
        separation: Variance between the kinds over the variance of all, 0..1; a single normal distribution cut in the
            middle has 0.64.
    """

    threshold: float
    separation: float


def adaptive_threshold(scores: ArrayLike) -> Divide:
    """Divide scores so that the two kinds differ most (Otsu, "A Threshold Selection Method", 1979), without bins.

    Of n sorted scores the first k have weight w = k / n and mean a, the others mean b; k makes w (1 - w) (a - b)²
    largest. It is no promise: it says where two kinds part, if there are two, and not how many of either are missed.

    Args:
        scores: ``[N]`` of a mixture, without labels.

    Raises:
        ValueError: If there are fewer than two scores, or one is not finite.
    """
    values = np.sort(np.asarray(scores, dtype=np.float64).ravel())
    if len(values) < 2 or not np.isfinite(values).all():
        msg = f"two kinds of scores are told apart by at least two finite scores; got {len(values)}"
        raise ValueError(msg)
    counts = np.arange(1, len(values))
    sums = np.cumsum(values)
    share = counts / len(values)
    low, high = sums[:-1] / counts, (sums[-1] - sums[:-1]) / (len(values) - counts)
    between = share * (1 - share) * (high - low) ** 2
    # Equal scores are one kind: a cut between them is none.
    between[np.diff(values) <= 0] = -1
    best = int(between.argmax())
    variance = values.var()
    if between[best] <= 0 or variance == 0:
        return Divide(float(values[-1]), 0.0)
    return Divide(float((values[best] + values[best + 1]) / 2), float(between[best] / variance))
