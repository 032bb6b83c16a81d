from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from integrations.label_studio.masks import mask_of, propose_regions, region
from integrations.label_studio.page import VERDICT
from integrations.label_studio.pull import _TaskReader

if TYPE_CHECKING:
    from curation.ledger import AskRow


@pytest.mark.parametrize("shape", [(1, 1), (7, 13), (64, 80)])
def test_a_mask_survives_the_encoding(shape: tuple[int, int]) -> None:
    mask = np.random.default_rng(0).random(shape) > 0.6
    mask[0, 0] = True
    decoded = mask_of([region(mask, "a")])
    assert decoded is not None
    np.testing.assert_array_equal(decoded, mask)


def test_regions_are_united_and_other_results_left_out() -> None:
    left, right = np.zeros((2, 6, 8), bool)
    left[:, :2] = True
    right[2, 5:] = True
    verdict = {"from_name": "verdict", "value": {"choices": ["defect"]}}
    united = mask_of([region(left, "a"), verdict, region(right, "b")])
    assert united is not None
    np.testing.assert_array_equal(united, left | right)


def test_nothing_painted_is_no_mask() -> None:
    assert mask_of([]) is None
    assert mask_of([region(np.zeros((4, 4), bool), "a")]) is None


def test_proposals_lie_where_the_map_peaks() -> None:
    anomaly_map = np.zeros((60, 80), np.uint8)
    anomaly_map[5:10, 5:12] = 240
    anomaly_map[40:46, 60:70] = 180
    anomaly_map[30, 30] = 200  # a single pixel is noise
    anomaly_map[50:55, 10:15] = 90  # below half of the peak
    first, second = propose_regions(anomaly_map)
    np.testing.assert_array_equal(np.argwhere(first).min(0), [5, 5])
    assert first.sum() == 5 * 7
    assert second.sum() == 6 * 10


@pytest.mark.parametrize("value", [0, 7, 255])
def test_a_flat_map_proposes_nothing(value: int) -> None:
    assert propose_regions(np.full((20, 20), value, np.uint8)) == []


def test_a_noisy_map_never_covers_the_image() -> None:
    noise = np.random.default_rng(1).integers(100, 140, (100, 100)).astype(np.uint8)
    assert sum(mask.mean() for mask in propose_regions(noise)) <= 0.2


def _polygon(points: list[list[float]]) -> dict:
    size = {"original_width": 40, "original_height": 20}
    return {"from_name": "outline", "value": {"points": points}, **size}


def test_a_polygon_is_the_pixels_whose_middle_is_inside() -> None:
    filled = mask_of([_polygon([[25, 50], [75, 50], [75, 100], [25, 100]])])
    assert filled is not None
    expected = np.zeros((20, 40), bool)
    expected[10:, 10:30] = True
    np.testing.assert_array_equal(filled, expected)
    painted = np.zeros((20, 40), bool)
    painted[0] = True
    united = mask_of([_polygon([[25, 50], [75, 50], [75, 100], [25, 100]]), region(painted, "a")])
    np.testing.assert_array_equal(united, expected | painted)


def test_a_polygon_thinner_than_a_pixel_is_not_lost_and_two_points_are_none() -> None:
    thin = mask_of([_polygon([[10, 51], [90, 51], [90, 51.5], [10, 51.5]])])
    assert thin is not None
    assert 20 <= thin.sum() <= 70
    assert mask_of([_polygon([[10, 10], [90, 90]])]) is None


@pytest.mark.parametrize("rle", [[1, 2, 3], [0, 0, 0, 9], ["x"]])
def test_an_outline_that_cannot_be_read_loses_no_verdict(rle: list[object], tmp_path: Path) -> None:
    damaged = region(np.ones((4, 4), bool), "a")
    damaged["value"]["rle"] = rle
    said = {"from_name": VERDICT, "value": {"choices": ["defect"]}}
    annotation = {
        "id": 7, "completed_by": 1, "updated_at": "2026-01-05T08:00:00Z", "result": [said, damaged],
    }  # fmt: skip
    unreadable: list[str] = []
    ask = cast("AskRow", SimpleNamespace(ask_id="a" * 32, image_id="b" * 64))
    entry = _TaskReader("project 1", ask, {1: "ann@plant"}, tmp_path, unreadable).verdict(annotation)
    assert entry is not None
    assert (entry.verdict, entry.inspector, entry.regions_mask) == ("defect", "ann@plant", None)
    assert len(unreadable) == 1
    assert "annotation 7" in unreadable[0]
    assert not list(tmp_path.iterdir())
