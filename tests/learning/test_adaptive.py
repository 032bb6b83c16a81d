"""The adaptive threshold, and what chooses without labels."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.filters import threshold_otsu

from learning.adaptive import adaptive_threshold
from learning.images.image_set import ImageSet
from learning.images.preprocessing import Preprocessing
from learning.selection import describe_divide, held_out_flaws


def test_it_parts_two_kinds_as_a_second_implementation_does() -> None:
    random = np.random.default_rng(0)
    scores = np.concatenate([random.normal(0, 1, 300), random.normal(9, 1, 40)])
    divide = adaptive_threshold(scores)
    assert np.count_nonzero(scores > divide.threshold) == 40
    assert divide.threshold == pytest.approx(threshold_otsu(scores, nbins=4096), abs=2)
    assert divide.separation > 0.85


def test_one_kind_is_parted_badly_and_equal_scores_not_at_all() -> None:
    normal = np.random.default_rng(1).normal(0, 1, 4000)
    assert adaptive_threshold(normal).separation == pytest.approx(2 / np.pi, abs=0.03)
    flat = adaptive_threshold([3.0, 3.0, 3.0])
    assert (flat.threshold, flat.separation) == (3.0, 0.0)
    assert adaptive_threshold([1.0, 1.0, 5.0, 5.0]).threshold == 3.0


@pytest.mark.parametrize("scores", [[1.0], [1.0, float("nan")]])
def test_what_cannot_be_parted_is_refused(scores: list[float]) -> None:
    with pytest.raises(ValueError, match="two finite scores"):
        adaptive_threshold(scores)


def test_shares_above_the_threshold_are_of_each_kind() -> None:
    figures = describe_divide(torch.tensor([0.0, 0.1, 0.2, 5.1]), torch.tensor([5.0, 5.2]))
    assert figures["good parts above it"] == 0.25
    assert figures["flawed parts above it"] == 1
    assert "flawed parts above it" not in describe_divide(torch.tensor([0.0, 1.0]), torch.zeros(0))


def test_flaws_are_painted_on_held_out_parts_and_the_same_by_the_same_seed(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for i in range(6):
        Image.fromarray(random.normal(120, 8, (48, 48)).clip(0, 255).astype(np.uint8)).save(tmp_path / f"{i}.png")
    images = ImageSet(sorted(tmp_path.iterdir()), Preprocessing(channels=1, height=48, width=48))
    held, again, other = (held_out_flaws(images, seed) for seed in (0, 0, 1))
    assert held.good.shape == (6, 1, 48, 48)
    assert 1 <= len(held.flawed) <= 6
    assert torch.equal(held.flawed, again.flawed)
    assert held.flawed.shape != other.flawed.shape or not torch.equal(held.flawed, other.flawed)
