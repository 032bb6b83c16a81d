"""Filling polygons by a rule of its own, to check what the exports write."""

import numpy as np
from numpy.typing import NDArray


def filled(polygon: NDArray[np.int64], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels whose centres lie inside, by counting vertical edges to the left of each (the even-odd rule)."""
    crossings = np.zeros((shape[0], shape[1] + 1), dtype=int)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if x0 == x1:
            crossings[min(y0, y1) : max(y0, y1), x0] += 1
    return crossings.cumsum(axis=1)[:, :-1] % 2 == 1
