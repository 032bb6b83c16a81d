"""Polygons against two other ways to fill them: the even-odd rule, and OpenCV."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage
from skimage.draw import polygon2mask

from synth.outlines import Polygon, outlines
from tests.synth.even_odd import filled


def drawn(polygons: list[Polygon], shape: tuple[int, int]) -> NDArray[np.bool_]:
    return np.logical_or.reduce([filled(polygon, shape) for polygon in polygons] or [np.zeros(shape, dtype=bool)])


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 24),
    width=st.integers(1, 24),
    share=st.floats(0, 1),
    seed=st.integers(0, 2**32 - 1),
    grain=st.sampled_from([0, 1, 3]),
)
def test_polygons_give_back_exactly_the_mask(height: int, width: int, share: float, seed: int, grain: int) -> None:
    noise = np.random.default_rng(seed).random((height, width))
    smooth = ndimage.uniform_filter(noise, grain) if grain else noise
    mask = smooth >= np.quantile(smooth, share)
    polygons = outlines(mask)
    assert np.array_equal(drawn(polygons, mask.shape), mask)
    assert len(polygons) == ndimage.label(mask, np.ones((3, 3)))[1]
    assert all(len(polygon) >= 4 for polygon in polygons)


def test_holes_in_a_row_and_an_island_in_a_hole() -> None:
    mask = np.ones((12, 20), dtype=bool)
    mask[3:6, 2:5] = mask[3:6, 8:11] = mask[7:11, 6:18] = False
    mask[9, 9:12] = True
    polygons = outlines(mask)
    assert len(polygons) == 2
    assert np.array_equal(drawn(polygons, mask.shape), mask)
    assert np.array_equal(
        np.logical_or.reduce([polygon2mask(mask.shape, p[:, ::-1] - 0.5) for p in polygons])[1:-1, 1:-1],
        mask[1:-1, 1:-1],
    )


def test_a_rectangle_has_four_corners() -> None:
    mask = np.zeros((9, 9), dtype=bool)
    mask[2:5, 3:8] = True
    (polygon,) = outlines(mask)
    assert sorted(map(tuple, polygon.tolist())) == [(3, 2), (3, 5), (8, 2), (8, 5)]


def test_an_empty_mask_has_no_outline() -> None:
    assert outlines(np.zeros((3, 3), dtype=bool)) == []


@pytest.mark.parametrize("seed", range(3))
def test_opencv_fills_them_to_within_a_pixel(seed: int) -> None:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).random((80, 120)), 3)
    mask = noise > np.quantile(noise, 0.7)
    canvas = np.zeros(mask.shape, np.uint8)
    for polygon in outlines(mask):
        cv2.fillPoly(canvas, [polygon.astype(np.int32)], 1)
    wrong = (canvas > 0) != mask
    assert not (wrong & ~(ndimage.binary_dilation(mask, np.ones((3, 3))) & ~ndimage.binary_erosion(mask))).any()
