"""What each place of a picture looks like, and which pictures have one that is unlike all places of the others."""

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

_SIDE, _GRID = 128, 8
_SCALES = (0.7, 1.4, 2.8, 5.6, 11.0)
"""Standard deviations in pixels of the smoothing; neighbours make a band each."""
_BANDS = 3 * (len(_SCALES) - 1)
_NUMBERS = _BANDS + 3
PLACES = _GRID * _GRID * _NUMBERS
"""Numbers that describe the places of a picture."""

_NEIGHBOR = 5
"""A place is compared with its fifth nearest: several pictures with the same defect do not vouch for each other."""
_COMPARED = 6000
"""Places that all are compared with; where there are more, as many are drawn."""
_POSITION = 8.0
"""How much it counts where a place lies: as much from side to side as a difference of so many deviations."""
_FARTHEST = 12.0
_RIDGE = 0.03


def describe_places(grey: NDArray[np.float32]) -> NDArray[np.float16]:
    """Describe a picture in a grid of 8 × 8 places, free of its brightness and contrast.

    Of each place the highest, lowest and root mean square of four bands of detail, and the mean products of the
    gradient (structure tensor).

    Args:
        grey: ``[H, W]``, 0..1.

    Returns:
        ``[PLACES]``.
    """
    small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    small = np.asarray((small - small.mean()) / (small.std() + 1e-4), dtype=np.float32)
    smooth = [cv2.GaussianBlur(small, (0, 0), scale) for scale in _SCALES]
    numbers = []
    for fine, coarse in pairwise(smooth):
        band = _cut(np.asarray(fine - coarse))
        numbers += [band.max(axis=(1, 3)), band.min(axis=(1, 3)), np.sqrt((band**2).mean(axis=(1, 3)))]
    across, down = (cv2.Sobel(smooth[0], cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    numbers += [_cut(np.asarray(one)).mean(axis=(1, 3)) for one in (across**2, down**2, across * down)]
    return np.stack(numbers, axis=-1).ravel().clip(-1e4, 1e4).astype(np.float16)


def oddness(places: NDArray[np.float16]) -> NDArray[np.float64]:
    """How far the oddest place of each picture is from the places of the others; 2 is usual.

    As in PatchCore (Roth et al., CVPR 2022, arXiv 2106.08265), each place is compared with those of other pictures, and
    the farthest counts; here by plain descriptors, in two grids, with the picture itself left out, as nobody knows
    which are good. Both grids count in units of their median.

    Args:
        places: ``[N, PLACES]`` of pictures of one camera, at least two.

    Returns:
        ``[N]``.
    """
    total = np.zeros(len(places))
    for grid in (_GRID, _GRID // 2):
        farthest = _farthest(places, grid)
        total += farthest / max(float(np.median(farthest)), 1e-6)
    return total


def _cut(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    cell = _SIDE // _GRID
    return picture.reshape(_GRID, cell, _GRID, cell)


@dataclass(frozen=True)
class _Usual:
    """What is usual for a place: median and deviation ``[D]``, and what decorrelates, ``[D, D]``."""

    median: NDArray[np.float64]
    deviation: NDArray[np.float64]
    whitening: NDArray[np.float64]

    def unusual(self, numbers: NDArray[np.float32], at: NDArray[np.intp], grid: int) -> NDArray[np.float32]:
        """``[P, D + 2]`` of places ``[P, D]``: what is unusual about each, and where it lies."""
        white = _clipped((numbers - self.median) / self.deviation) @ self.whitening
        where = _POSITION / grid * np.column_stack(np.divmod(at, grid))
        return np.concatenate([white, where], axis=1).astype(np.float32)


def _usual(numbers: NDArray[np.float32]) -> _Usual:
    low, median, high = np.quantile(numbers, [0.25, 0.5, 0.75], axis=0)
    deviation = np.maximum((high - low) / 1.349, 1e-3)
    scaled = _clipped((numbers - median) / deviation).clip(-_FARTHEST / 2, _FARTHEST / 2)
    covariance = np.cov(scaled.T) + _RIDGE * np.eye(scaled.shape[1])
    return _Usual(median, deviation, np.linalg.inv(np.linalg.cholesky(covariance)).T)


def _clipped(scaled: NDArray[np.float64]) -> NDArray[np.float64]:
    return scaled.clip(-_FARTHEST, _FARTHEST)


def _farthest(places: NDArray[np.float16], grid: int) -> NDArray[np.float64]:
    """``[N]`` the largest distance of a place of each picture to its fifth nearest in other pictures."""
    count, cells = len(places), grid * grid
    chosen = np.random.default_rng(0).permutation(count * cells)[:_COMPARED]
    owner, at = np.divmod(chosen, cells)
    pictures, back = np.unique(owner, return_inverse=True)
    numbers = _numbers(places[pictures], grid)[back, at]
    usual = _usual(numbers)
    others = usual.unusual(numbers, at, grid)
    lengths = (others**2).sum(axis=1)
    found = np.zeros(count)
    for row in range(count):
        # One picture at a time: all of a large set would take gigabytes.
        own = usual.unusual(_numbers(places[row : row + 1], grid)[0], np.arange(cells), grid)
        distances = (own**2).sum(axis=1)[:, None] + lengths - 2 * own @ others.T
        distances[:, owner == row] = np.inf
        nearest = np.partition(distances, _NEIGHBOR - 1, axis=1)[:, _NEIGHBOR - 1]
        found[row] = np.sqrt(max(float(nearest.max()), 0.0))
    return found


def _numbers(places: NDArray[np.float16], grid: int) -> NDArray[np.float32]:
    """``[N, G * G, D]`` of a grid as it is kept, or half as fine: energies as logarithms, gradients as directions."""
    kept = places.astype(np.float32).reshape(len(places), grid, _GRID // grid, grid, _GRID // grid, _NUMBERS)
    highest, lowest, energy = (kept[..., kind:_BANDS:3] for kind in range(3))
    across, down, both = np.moveaxis(kept[..., _BANDS:].mean(axis=(2, 4)), -1, 0)
    strength = across + down + 1e-6
    numbers = [
        highest.max(axis=(2, 4)),
        lowest.min(axis=(2, 4)),
        np.log(np.sqrt((energy**2).mean(axis=(2, 4))) + 1e-3),
        np.stack([(across - down) / strength, 2 * both / strength], axis=-1),
    ]
    return np.concatenate(numbers, axis=-1).reshape(len(places), grid * grid, -1)
