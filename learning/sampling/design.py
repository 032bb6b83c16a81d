"""The sampling design: every part is drawn with a probability that is known, exact and above zero.

Priorities never choose by themselves: they are the sizes of a randomised systematic design with probability
proportional to size (Hartley & Rao, 1962). An estimate weighted by the inverse of the probabilities (Horvitz &
Thompson, 1952) is unbiased for the whole stream.
"""

import numpy as np
from numpy.typing import NDArray


def inclusion_probabilities(sizes: NDArray[np.floating], count: int) -> NDArray[np.float64]:
    """Probabilities proportional to size that add up to ``count``, none above one.

    Args:
        sizes: ``[G]`` above zero.
        count: Size of the sample, at most G.

    Returns:
        ``[G]`` in (0, 1].
    """
    probabilities = np.ones(len(sizes))
    free = np.ones(len(sizes), dtype=bool)
    left = count
    # Whoever would exceed one is certain; what it leaves over goes to the others, which may lift more of them to one.
    while left < free.sum():
        probabilities[free] = left * sizes[free] / sizes[free].sum()
        certain = free & (probabilities >= 1)
        if not certain.any():
            break
        probabilities[certain] = 1
        free &= ~certain
        left = count - int((~free).sum())
    return probabilities


def systematic_sample(probabilities: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.int64]:
    """Draw a sample of fixed size with exactly these inclusion probabilities (randomised systematic design).

    Args:
        probabilities: ``[G]`` in (0, 1], adding up to a whole number.
        generator: Of random numbers.

    Returns:
        ``[n]`` distinct indices, ascending; n is the sum of the probabilities.
    """
    certain = np.flatnonzero(probabilities >= 1)
    order = generator.permutation(np.flatnonzero(probabilities < 1))
    reached = np.cumsum(probabilities[order])
    count = round(float(reached[-1])) if len(order) else 0
    ticks = generator.random() + np.arange(count)
    # Rounding must not let the last tick fall off the end.
    places = np.searchsorted(reached, ticks, side="right").clip(max=max(len(order) - 1, 0))
    return np.sort(np.concatenate([certain, order[places]])).astype(np.int64)


def horvitz_thompson_total(values: NDArray[np.floating], probabilities: NDArray[np.floating]) -> float:
    """Unbiased estimate of a total over all groups, from those that were drawn (Horvitz & Thompson, 1952)."""
    return float(np.sum(np.asarray(values) / np.asarray(probabilities)))
