"""The comparison as a whole: any kind of image, any number of confirmed defects, and mistakes in the files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from learning.errors import DataError
from learning.images.preprocessing import Preprocessing
from learning.images.records import ImageRecord
from learning.realism import Space, find_confirmed, judge_realism, read_confirmed, read_synthetic
from learning.realism.examples import Examples
from learning.realism.features import bounded
from learning.realism.judging import compare_in_space, in_words

Confirmed = Callable[..., list[ImageRecord]]
Synthetic = Callable[..., Path]


def dense(images: torch.Tensor) -> torch.Tensor:
    """Stands in for a detector: brightness and its slopes, at half the resolution."""
    grey = torch.nn.functional.avg_pool2d(images.mean(dim=1, keepdim=True), 2)
    across, down = grey - grey.roll(1, -1), grey - grey.roll(1, -2)
    return torch.cat([grey, across.abs(), down.abs(), grey.square()], dim=1)


def compare(synthetic: Examples, real: Examples) -> Space:
    size = Preprocessing.for_images([one.image for one in synthetic.defects], 48)
    return compare_in_space(synthetic.defects, real.defects, dense, size, "a stub")


@pytest.mark.parametrize("mode", ["grey", "colour", "16 bit"])
def test_any_kind_of_image_can_be_compared(mode: str, synthetic: Synthetic, confirmed: Confirmed) -> None:
    made, real = read_synthetic(synthetic(mode)), read_confirmed(confirmed(6, mode))
    assert {one.kind for one in made.defects} == {"blob", "scratch"}
    assert made.images == made.available == 10
    assert all(one.measured.contrast > 0.2 for one in real.defects)
    space = compare(made, real)
    assert space.real_synthetic is not None
    assert space.real_synthetic.error is not None
    assert space.real_real is not None
    assert space.recall is not None
    assert len(space.matches) == 6
    assert sum(space.closest.values()) == 6


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4])
def test_few_confirmed_defects_say_what_they_can(count: int, synthetic: Synthetic, confirmed: Confirmed) -> None:
    real = read_confirmed(confirmed(count))
    space = compare(read_synthetic(synthetic()), real)
    assert space.synthetic_good is not None
    assert (space.real_synthetic is not None) == (count >= 2)
    assert (space.real_synthetic is not None and space.real_synthetic.error is not None) == (count >= 3)
    assert (space.real_real is not None) == (count >= 4)
    assert len(space.matches) == count
    first = in_words(real, space)[0]
    assert ("cannot be judged yet" in first) == (count == 0)
    assert ("One confirmed" in first) == (count == 1)
    assert ("real to real" in first) == (0 < count < 4)


def test_flaws_like_the_real_ones_are_nearer_than_good_parts(synthetic: Synthetic, confirmed: Confirmed) -> None:
    made, real = read_synthetic(synthetic()), read_confirmed(confirmed(16))
    halves = real.defects[:8], real.defects[8:]
    alike = [
        type(one)(one.image, one.mask, one.kind, one.group, one.measured, source=made.defects[0].source)
        for one in halves[0]
    ]
    size = Preprocessing.for_images([one.image for one in real.defects], 48)
    twins = compare_in_space([*alike, *made.defects], halves[1], dense, size, "a stub")
    assert twins.real_good is not None
    own = compare_in_space(alike, halves[1], dense, size, "a stub")
    assert own.real_synthetic is not None
    assert own.real_good is not None
    assert own.real_synthetic.value < 0.3 * own.real_good.value
    assert all(match.synthetic[0].kind == "spot" for match in twins.matches)


def test_without_a_bundle_only_what_can_be_measured_is_said(synthetic: Synthetic, confirmed: Confirmed) -> None:
    realism = judge_realism(read_synthetic(synthetic()), read_confirmed(confirmed(2)))
    assert realism.space is None
    assert "--bundle" in realism.sentences[-1]


def test_a_large_set_is_sampled_by_the_seed(synthetic: Synthetic) -> None:
    folder = synthetic()
    first, again, other = (read_synthetic(folder, most=4, seed=seed) for seed in (0, 0, 1))
    assert (first.images, first.available) == (4, 10)
    assert first == again != other


def test_defects_are_found_in_a_folder_with_or_without_good_parts(confirmed: Confirmed, tmp_path: Path) -> None:
    records = confirmed(3)
    folder = tmp_path / "grey" / "confirmed"
    found = find_confirmed(folder)
    assert [one.path for one in found] == [one.path for one in records]
    assert all(one.mask for one in found)
    with pytest.raises(DataError, match="no confirmed defects"):
        find_confirmed(tmp_path / "grey" / "confirmed" / "test")


def test_defects_without_a_usable_mask_are_counted(confirmed: Confirmed) -> None:
    first, second, third = confirmed(3)
    assert first.mask is not None
    Image.fromarray(np.zeros((48, 64), dtype=np.uint8)).save(first.mask)
    unmasked = ImageRecord(second.path, label="spot")
    real = read_confirmed([first, unmasked, third])
    assert len(real.defects) == 1
    assert real.left_out == {"an empty mask": 1, "no mask": 1}


def test_a_mask_of_the_wrong_size_is_named(confirmed: Confirmed) -> None:
    (record,) = confirmed(1)
    assert record.mask is not None
    Image.fromarray(np.full((20, 20), 255, dtype=np.uint8)).save(record.mask)
    with pytest.raises(DataError, match=r"0_mask.png is 20 × 20 pixels, but its image is 64 × 48"):
        read_confirmed([record])


def test_what_is_no_set_or_lost_its_good_images_is_refused(synthetic: Synthetic, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no manifest"):
        read_synthetic(tmp_path)
    made = read_synthetic(synthetic())
    for path in {one.source for one in made.defects}:
        assert path is not None
        path.unlink()
    with pytest.raises(DataError, match="not where they were"):
        compare(made, Examples())


def test_no_embedding_can_decide_alone() -> None:
    good = np.random.default_rng(0).normal(size=(50, 8))
    far = bounded(np.full((1, 8), 1e6), good)
    assert np.linalg.norm(far) == pytest.approx(np.sqrt(8), rel=1e-3)
    lengths = np.linalg.norm(bounded(good, good), axis=1) / np.sqrt(8)
    assert np.median(lengths) == pytest.approx(0.5, abs=0.02)
