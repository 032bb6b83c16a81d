"""What each place of a picture looks like, and which pictures have one that is unlike all places of the others."""

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

_SIDE, _GRID = 128, 8
_SCALES = (0.7, 1.4, 2.8, 5.6, 11.0)
"""Standard deviations in pixels of the smoothing; neighbours make a band each."""
_NUMBERS = 3 * (len(_SCALES) - 1) + 3
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
    fine = places.astype(np.float32).reshape(len(places), _GRID, _GRID, _NUMBERS)
    total = np.zeros(len(places))
    for numbers in (fine, _coarser(fine)):
        farthest = _farthest(_told(numbers), numbers.shape[1])
        total += farthest / max(float(np.median(farthest)), 1e-6)
    return total


def _cut(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    cell = _SIDE // _GRID
    return picture.reshape(_GRID, cell, _GRID, cell)


def _coarser(numbers: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same of a grid of 4 × 4."""
    count, grid = len(numbers), _GRID // 2
    four = numbers.reshape(count, grid, 2, grid, 2, _NUMBERS)
    coarse = four.mean(axis=(2, 4))
    bands = 3 * (len(_SCALES) - 1)
    coarse[..., 0:bands:3] = four[..., 0:bands:3].max(axis=(2, 4))
    coarse[..., 1:bands:3] = four[..., 1:bands:3].min(axis=(2, 4))
    coarse[..., 2:bands:3] = np.sqrt((four[..., 2:bands:3] ** 2).mean(axis=(2, 4)))
    return coarse


def _told(numbers: NDArray[np.float32]) -> NDArray[np.float32]:
    """``[N, G * G, D]``: energy by its logarithm, the gradient as direction, in robust deviations, decorrelated."""
    bands = 3 * (len(_SCALES) - 1)
    across, down, both = (numbers[..., bands + at] for at in range(3))
    energy = across + down + 1e-6
    told = np.concatenate([numbers[..., :bands], np.stack([(across - down) / energy, 2 * both / energy], -1)], axis=-1)
    told[..., 2:bands:3] = np.log(told[..., 2:bands:3] + 1e-3)
    flat = told.reshape(-1, told.shape[-1])
    low, median, high = np.quantile(flat, [0.25, 0.5, 0.75], axis=0)
    scaled = ((flat - median) / np.maximum((high - low) / 1.349, 1e-3)).clip(-_FARTHEST, _FARTHEST)
    covariance = np.cov(scaled.clip(-_FARTHEST / 2, _FARTHEST / 2).T) + _RIDGE * np.eye(scaled.shape[1])
    white = scaled @ np.linalg.inv(np.linalg.cholesky(covariance)).T
    return white.reshape(len(numbers), -1, white.shape[1]).astype(np.float32)


def _farthest(told: NDArray[np.float32], grid: int) -> NDArray[np.float64]:
    """``[N]`` the largest distance of a place of each picture to its fifth nearest in other pictures."""
    count, places, _ = told.shape
    where = np.stack(np.meshgrid(np.arange(grid), np.arange(grid), indexing="ij"), axis=-1).reshape(places, 2) / grid
    position = np.broadcast_to(_POSITION * where, (count, places, 2)).astype(np.float32)
    full = np.concatenate([told, position], axis=2)
    chosen = np.random.default_rng(0).permutation(count * places)[:_COMPARED]
    others, owner = full.reshape(count * places, -1)[chosen], chosen // places
    lengths = (others**2).sum(axis=1)
    found = np.zeros(count)
    for row, own in enumerate(full):
        distances = (own**2).sum(axis=1)[:, None] + lengths - 2 * own @ others.T
        distances = distances[:, owner != row]
        nearest = np.partition(distances, _NEIGHBOR - 1, axis=1)[:, _NEIGHBOR - 1]
        found[row] = np.sqrt(max(float(nearest.max()), 0.0))
    return found
