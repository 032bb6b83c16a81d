"""Measures of detection and of localisation, as pure functions."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

Floats = NDArray[np.float64]

_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=int)
_BINS = 2**20


def image_auroc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Probability that a defective image scores higher than a good one; ties count half.

    Args:
        scores: ``[N]``; higher is more anomalous.
        labels: ``[N]``; true where defective.

    Returns:
        0..1, or NaN where one of the two kinds is missing or a score is NaN.
    """
    values, defective = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=bool)
    high, low = np.sort(values[defective]), np.sort(values[~defective])
    if not len(high) or not len(low) or np.isnan(values).any():
        return float("nan")
    # Mann & Whitney's U, 1947, by counting: intervals ask for it thousands of times, for which ranks take too long.
    above = low.searchsorted(high, "left").sum() + low.searchsorted(high, "right").sum()
    return float(above / 2 / (len(high) * len(low)))


def pixel_auroc(maps: Sequence[ArrayLike], masks: Sequence[ArrayLike]) -> float:
    """Area under the ROC curve over all pixels of all maps.

    Args:
        maps: ``[H, W]`` each, of any sizes; higher is more anomalous.
        masks: ``[H, W]`` each; true where defective, false everywhere on a good image.

    Returns:
        0..1, or NaN where one of the two kinds is missing.
    """
    values, defective, _ = _pixels(maps, masks)
    return image_auroc(values, defective > 0)


def aupro(maps: Sequence[ArrayLike], masks: Sequence[ArrayLike], fpr_limit: float = 0.3) -> float:
    """Area under the per-region overlap curve (Bergmann et al., "MVTec AD", IJCV 2021, section 5.1).

    At each threshold the overlap is the share of a defect's region that is found, averaged over all regions
    (connected by 8 neighbours), so that small defects weigh as much as large ones. The curve runs over the share of
    good pixels that are found, up to ``fpr_limit``; the area is divided by that limit.

    Args:
        maps: ``[H, W]`` each, of any sizes; higher is more anomalous.
        masks: ``[H, W]`` each; true where defective, false everywhere on a good image.
        fpr_limit: In (0, 1].

    Returns:
        0..1, or NaN where there are no regions or no good pixels.
    """
    values, _, overlap = _pixels(maps, masks)
    order = np.argsort(-values, kind="stable")
    ends = np.flatnonzero(np.diff(values[order], append=-np.inf))
    found = np.cumsum(overlap[order])[ends]
    false = np.cumsum(overlap[order] == 0)[ends]
    return _area(found, false.astype(np.float64), fpr_limit)


class PixelMetrics:
    """Pixel AUROC and AUPRO of any number of maps, in constant memory.

    Map values are sorted into 2^20 bins by the leading bits of their float32: two values that differ by more than
    1/2048 of themselves are told apart.
    """

    def __init__(self) -> None:
        self._good = np.zeros(_BINS)
        self._defective = np.zeros(_BINS)
        self._overlap = np.zeros(_BINS)

    def update(self, anomaly_map: ArrayLike, mask: ArrayLike) -> None:
        """Add a map ``[H, W]`` and its mask ``[H, W]``, false everywhere on a good image."""
        defective = np.asarray(mask, dtype=bool)
        bins = _bins(np.asarray(anomaly_map, dtype=np.float32))
        self._good += np.bincount(bins[~defective], minlength=_BINS)
        if defective.any():
            self._defective += np.bincount(bins[defective], minlength=_BINS)
            self._overlap += np.bincount(bins[defective], _shares(defective)[defective], minlength=_BINS)

    def pixel_auroc(self) -> float:
        """As the function of this name."""
        return self._curve(self._defective, 1.0)

    def aupro(self, fpr_limit: float = 0.3) -> float:
        """As the function of this name."""
        return self._curve(self._overlap, fpr_limit)

    def _curve(self, weights: Floats, limit: float) -> float:
        return _area(np.cumsum(weights[::-1]), np.cumsum(self._good[::-1]), limit)


def rate(hits: ArrayLike) -> float:
    """Share of true values; NaN of none."""
    values = np.asarray(hits, dtype=bool)
    return float(values.mean()) if values.size else float("nan")


def _pixels(maps: Iterable[ArrayLike], masks: Iterable[ArrayLike]) -> tuple[Floats, Floats, Floats]:
    """Values, 1 where defective, and the share of its region that each defective pixel makes up; flat."""
    values, defective, overlap = [], [], []
    for anomaly_map, mask in zip(maps, masks, strict=True):
        truth = np.asarray(mask, dtype=bool)
        values.append(np.asarray(anomaly_map, dtype=np.float64).ravel())
        defective.append(truth.astype(np.float64).ravel())
        overlap.append(_shares(truth).ravel())
    return np.concatenate(values), np.concatenate(defective), np.concatenate(overlap)


def _shares(mask: NDArray[np.bool_]) -> Floats:
    """One over the size of the region that a pixel belongs to, zero outside: summed, they are regions found."""
    regions, _ = ndimage.label(mask, structure=_EIGHT_NEIGHBOURS)
    sizes = np.bincount(regions.ravel()).astype(np.float64)
    shares = 1 / np.maximum(sizes, 1)
    shares[0] = 0
    return np.asarray(shares[regions])


def _bins(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """Leading 20 bits of each value, in the order of the values: negative floats count backwards from their sign."""
    bits = np.ascontiguousarray(values).view(np.uint32)
    ordered = np.where(bits >> 31, ~bits, bits | np.uint32(0x80000000))
    return (ordered >> 12).astype(np.int64)


def _area(found: Floats, false: Floats, limit: float) -> float:
    """Area under found over false, both cumulated from the highest threshold down, up to a share of the false."""
    if not len(found) or not found[-1] or not false[-1]:
        return float("nan")
    y = np.concatenate([[0.0], found / found[-1]])
    x = np.concatenate([[0.0], false / false[-1]])
    inside = x <= limit
    edge = np.interp(limit, x, y)
    return float(np.trapezoid(np.append(y[inside], edge), np.append(x[inside], limit)) / limit)
