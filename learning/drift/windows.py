"""Whether windows of embeddings come from where all before them came from: two-sample tests in a row.

The distance is the squared maximum mean discrepancy (Gretton et al., "A kernel two-sample test", JMLR 2012) under a
Gaussian kernel, by random Fourier features (Rahimi & Recht, NeurIPS 2007), so that the cost grows with the stream and
not with its square. The p-value comes from permutations and is exact whatever the kernel.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import pdist

Floats = NDArray[np.float64]
Features32 = NDArray[np.float32]

_FREQUENCIES = 64
_DIMENSIONS = 32
_FOR_BANDWIDTH = 300
_RIDGE = 0.05
PERMUTATIONS = 499


@dataclass(frozen=True)
class Features:
    """A map from embeddings to features whose means differ where the distributions do.

    Attributes:
        centre: ``[D]``.
        axes: ``[D, K]`` to principal axes, scaled.
        frequencies: ``[K, F]`` over the bandwidth.
    """

    centre: Floats
    axes: Floats
    frequencies: Floats

    @classmethod
    def of(cls, sample: NDArray[np.floating], seed: int = 0) -> "Features":
        """Choose scale and bandwidth (the median distance) by a sample that is not tested itself.

        Args:
            sample: ``[M, D]``, at least two.
            seed: Of the frequencies.
        """
        rows = np.asarray(sample, dtype=np.float64)
        centre = rows.mean(axis=0)
        _, deviations, axes = np.linalg.svd(rows - centre, full_matrices=False)
        variances = deviations**2 / max(1, len(rows) - 1)
        kept = max(1, min(_DIMENSIONS, len(rows) // 4, int((variances > 1e-10 * max(variances[0], 1e-12)).sum())))
        # Axes on which parts hardly differ count too, but rounding errors do not.
        scaled = axes[:kept].T / np.sqrt(variances[:kept] + _RIDGE * variances[0] + 1e-12)
        places = (rows[:_FOR_BANDWIDTH] - centre) @ scaled
        bandwidth = float(np.median(pdist(places))) if len(places) > 1 else 1.0
        rng = np.random.default_rng(seed)
        return cls(centre, scaled, rng.normal(size=(kept, _FREQUENCIES)) / max(bandwidth, 1e-9))

    def __call__(self, embeddings: NDArray[np.floating]) -> Features32:
        """``[N, 2 F]`` float32 of ``[N, D]``; products of two rows approximate the kernel."""
        angles = (np.asarray(embeddings, dtype=np.float64) - self.centre) @ self.axes @ self.frequencies
        features = np.concatenate([np.cos(angles), np.sin(angles)], axis=1) / np.sqrt(_FREQUENCIES)
        return features.astype(np.float32)


def window_ranks(
    reference: Features32, stream: Features32, size: int, seed: int = 0, permutations: int = PERMUTATIONS
) -> Floats:
    """How far each window lies from all before it, as a rank in (0, 1) among random windows of the same items.

    As long as reference and stream are exchangeable, a window is as likely as any other choice of so many items from
    it and all before it; so its rank is uniform, and independent of the ranks of the windows before, as these depend on
    the order of what came before it alone.

    Args:
        reference: ``[R, F]`` features.
        stream: ``[N, F]``.
        size: Items in a window.
        seed: Of the permutations; independent of the items.
        permutations: Random windows.

    Returns:
        ``[N // size]``; near 1 where a window is far from all before it. Uniform by a coin where nothing came before.
    """
    items = np.concatenate([reference, stream]) if len(reference) else stream
    summed = items[: len(reference)].sum(axis=0, dtype=np.float64)
    found = np.empty(len(stream) // size)
    for place in range(len(found)):
        rng = np.random.default_rng((seed, place))
        first = len(reference) + place * size
        last = first + size
        window = items[first:last]
        summed = summed + window.sum(axis=0)
        mean = summed / last
        distance = float(((window.mean(axis=0) - mean) ** 2).sum())
        chosen = (
            np.argsort(rng.random((permutations, last)), axis=1)[:, :size]
            if last < 4 * size
            else _draw(rng, permutations, last, size)
        )
        others = ((items[chosen].mean(axis=1) - mean) ** 2).sum(axis=1)
        # A window that is drawn again is equal but for rounding.
        near = 1e-5 * distance + 1e-12
        below = int((others < distance - near).sum())
        equal = int((np.abs(others - distance) <= near).sum())
        found[place] = (below + rng.random() * (equal + 1)) / (permutations + 1)
    return found


def witness(features: Features32, recent: Features32, before: Features32) -> Floats:
    """How much each item is like the recent ones and unlike those before: the witness function of the distance.

    Args:
        features: ``[N, F]``.
        recent: ``[R, F]``.
        before: ``[B, F]``.

    Returns:
        ``[N]``.
    """
    values: Floats = (features @ (recent.mean(axis=0) - before.mean(axis=0))).astype(np.float64)
    return values


def _draw(rng: np.random.Generator, count: int, population: int, size: int) -> NDArray[np.int64]:
    """``[count, size]`` places, no two equal in a row; drawn again where two are."""
    chosen = rng.integers(population, size=(count, size))
    while True:
        ordered = np.sort(chosen, axis=1)
        doubled = (np.diff(ordered, axis=1) == 0).any(axis=1)
        if not doubled.any():
            return chosen
        chosen[doubled] = rng.integers(population, size=(int(doubled.sum()), size))
