"""Each measure against a second implementation."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from sklearn.metrics import roc_auc_score
from torchmetrics.functional.classification import binary_auroc

from learning.metrics import PixelMetrics, aupro, image_auroc, pixel_auroc, rate


def data(seed: int, n: int = 6, levels: int | None = None) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Maps and masks of various sizes; the last mask is empty."""
    rng = np.random.default_rng(seed)
    maps, masks = [], []
    for i in range(n):
        size = tuple(rng.integers(12, 40, 2))
        smooth = ndimage.gaussian_filter(rng.normal(size=size), 2)
        mask = smooth > np.quantile(smooth, 0.93) if i < n - 1 else np.zeros(size, dtype=bool)
        values = rng.normal(size=size) + 1.5 * mask
        maps.append(np.round(values * levels) / levels if levels else values)
        masks.append(mask)
    return maps, masks


def slow_aupro(maps: list[np.ndarray], masks: list[np.ndarray], limit: float) -> float:
    """Threshold by threshold, region by region, straight from the definition."""
    points = [(0.0, 0.0)]
    regions = []
    for values, mask in zip(maps, masks, strict=True):
        labelled, count = ndimage.label(mask, structure=np.ones((3, 3)))
        regions += [values[labelled == k] for k in range(1, count + 1)]
    good = np.concatenate([values[~mask] for values, mask in zip(maps, masks, strict=True)])
    for threshold in np.unique(np.concatenate([v.ravel() for v in maps]))[::-1]:
        points.append((float((good >= threshold).mean()), float(np.mean([(r >= threshold).mean() for r in regions]))))
    area = 0.0
    for (x0, y0), (x1, y1) in pairwise(points):
        if x0 >= limit:
            break
        if x1 > limit:
            y1 = y0 + (y1 - y0) * (limit - x0) / (x1 - x0)
            x1 = limit
        area += (x1 - x0) * (y0 + y1) / 2
    return area / limit


@given(st.integers(0, 10_000), st.integers(2, 60), st.sampled_from([1, 3, 100]))
@settings(max_examples=60)
def test_image_auroc_is_that_of_sklearn_and_torchmetrics(seed: int, n: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    scores = np.round(rng.random(n) * levels) / levels
    labels = rng.integers(0, 2, n)
    labels[:2] = [0, 1]
    assert image_auroc(scores, labels) == pytest.approx(roc_auc_score(labels, scores))
    theirs = binary_auroc(torch.from_numpy(scores), torch.from_numpy(labels))
    assert image_auroc(torch.from_numpy(scores), labels) == pytest.approx(float(theirs), abs=1e-6)


def test_one_kind_alone_has_no_auroc() -> None:
    assert np.isnan(image_auroc([1, 2], [0, 0]))
    assert np.isnan(image_auroc([], []))
    assert np.isnan(image_auroc([1, np.nan, 2], [0, 0, 1]))
    assert np.isnan(aupro([np.ones((3, 3))], [np.zeros((3, 3))]))


@pytest.mark.parametrize("levels", [None, 2])
def test_pixel_auroc_is_that_of_sklearn(levels: int | None) -> None:
    maps, masks = data(1, levels=levels)
    theirs = roc_auc_score(np.concatenate([m.ravel() for m in masks]), np.concatenate([m.ravel() for m in maps]))
    assert pixel_auroc(maps, masks) == pytest.approx(theirs)


@pytest.mark.parametrize("levels", [None, 2])
@pytest.mark.parametrize("limit", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_aupro_is_that_of_the_definition(seed: int, limit: float, levels: int | None) -> None:
    maps, masks = data(seed, levels=levels)
    assert aupro(maps, masks, limit) == pytest.approx(slow_aupro(maps, masks, limit), abs=1e-9)


def test_aupro_of_perfect_and_useless_maps() -> None:
    _, masks = data(0)
    assert aupro([m.astype(float) for m in masks], masks) == pytest.approx(1)
    assert aupro([np.zeros(m.shape) for m in masks], masks) == pytest.approx(0.15)


def test_small_regions_weigh_as_much_as_large_ones() -> None:
    mask = np.zeros((40, 40), dtype=bool)
    mask[:20, :20] = True
    mask[30, 30] = True
    found_large = np.where(mask, 1.0, 0.0)
    found_large[30, 30] = -1
    assert aupro([found_large], [mask], 1e-6) == pytest.approx(0.5)


def test_regions_touch_at_corners() -> None:
    mask = np.zeros((6, 6), dtype=bool)
    mask[0, 0] = mask[1, 1] = mask[4, 4] = True
    found = np.zeros((6, 6))
    found[4, 4] = 1
    assert aupro([found], [mask], 1e-6) == pytest.approx(1 / 2, abs=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_streamed_measures_are_the_exact_ones(seed: int) -> None:
    maps, masks = data(seed, n=12)
    streamed = PixelMetrics()
    for values, mask in zip(maps, masks, strict=True):
        streamed.update(values, mask)
    assert streamed.pixel_auroc() == pytest.approx(pixel_auroc(maps, masks), abs=2e-4)
    assert streamed.aupro() == pytest.approx(aupro(maps, masks), abs=2e-4)


def test_rate() -> None:
    assert rate([True, False, False, True]) == 0.5
    assert np.isnan(rate([]))
