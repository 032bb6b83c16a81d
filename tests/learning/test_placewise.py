"""Errors by what is usual at each place."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from learning.detectors.placewise import Usual, fit_usual, lie_alike, stand_out, usual_errors
from learning.images.image_set import ImageSet
from learning.images.preprocessing import PartView, Preprocessing

SIDE = 32


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def with_busy_half(count: int, seed: int = 0) -> torch.Tensor:
    """Errors of two kinds in different units, ``[count, 2, 32, 32]``, high and varying much in the left half."""
    errors = 1 + 0.1 * noise(count, 2, SIDE, SIDE, seed=seed)
    errors[..., : SIDE // 2] = 5 + noise(count, 2, SIDE, SIDE // 2, seed=seed + 1)
    errors[:, 1] *= 1000
    return errors


def test_where_errors_are_usual_they_count_less() -> None:
    errors = with_busy_half(200)
    usual = fit_usual(errors, by_place=True, blur=1.0)
    above = usual(with_busy_half(50, seed=2))
    for half in (above[..., :12], above[..., 20:]):
        assert half.mean() == pytest.approx(0, abs=0.05)
        assert half.std() == pytest.approx(1, abs=0.2)
    odd = with_busy_half(1, seed=4)
    odd[:, 0, 16, 24] = 3  # lower than anywhere on the left, and never seen here
    assert usual(odd)[0, 0].argmax() == 16 * SIDE + 24


def test_kinds_of_any_unit_weigh_the_same() -> None:
    above = fit_usual(with_busy_half(100), by_place=True, blur=1.0)(with_busy_half(20, seed=2))
    assert above[:, 0].std() == pytest.approx(float(above[:, 1].std()), rel=0.1)


def test_where_places_are_alike_there_is_one_mean_and_one_deviation() -> None:
    errors = with_busy_half(20)
    usual = fit_usual(errors, by_place=False, blur=1.0)
    assert usual.mean.shape == usual.deviation.shape == (2, 1, 1)
    assert float(usual.mean[0]) == pytest.approx(float(errors[:, 0].mean()), rel=1e-4)
    assert float(usual.deviation[0]) == pytest.approx(float(errors[:, 0].std()), rel=1e-3)


def test_a_few_images_that_happen_to_be_equal_somewhere_do_not_make_it_sure() -> None:
    errors = 1 + 0.1 * noise(3, 1, SIDE, SIDE)
    errors[..., 8:24, 8:24] = 1
    deviation = fit_usual(errors, by_place=True, blur=1.0).deviation[0]
    assert deviation[16, 16] > 0.4 * deviation[2, 2]
    assert deviation[16, 16] < 0.9 * deviation[2, 2]


@pytest.mark.parametrize("count", [1, 2])
def test_errors_that_never_vary_give_finite_figures(count: int) -> None:
    usual = fit_usual(torch.ones(count, 1, SIDE, SIDE), by_place=True, blur=2.0)
    assert torch.isfinite(usual(torch.full((1, 1, SIDE, SIDE), 1.1))).all()


def test_it_comes_back_from_its_arrays_and_leaves_the_others() -> None:
    usual = fit_usual(with_busy_half(5), by_place=True, blur=1.0)
    arrays = usual.arrays() | {"weight": torch.ones(1)}
    loaded = Usual.of_arrays(arrays)
    assert list(arrays) == ["weight"]
    assert torch.equal(loaded(with_busy_half(1)), usual(with_busy_half(1)))


def pictures(folder: Path, alike: bool, part: PartView | None = None) -> ImageSet:
    random = np.random.default_rng(0)
    drawing = random.integers(60, 200, (SIDE // 4, SIDE // 4)).repeat(4, 0).repeat(4, 1)
    for i in range(6):
        if not alike:
            drawing = random.integers(60, 200, (SIDE // 4, SIDE // 4)).repeat(4, 0).repeat(4, 1)
        noisy = drawing + random.normal(0, 4, (SIDE, SIDE))
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f"{i}.png")
    preprocessing = Preprocessing(channels=1, height=SIDE, width=SIDE, part=part)
    return ImageSet(sorted(folder.glob("*.png")), preprocessing)


@pytest.mark.parametrize("alike", [True, False])
def test_pictures_that_are_alike_are_judged_place_by_place(alike: bool, tmp_path: Path) -> None:
    images = pictures(tmp_path, alike)
    assert lie_alike(images) is alike
    usual = usual_errors(lambda some: some[:, :1], images, images, blur=1.0, seed=0)
    assert usual.mean.shape == ((1, SIDE, SIDE) if alike else (1, 1, 1))


def test_parts_that_were_cut_out_lie_alike(tmp_path: Path) -> None:
    assert lie_alike(pictures(tmp_path, alike=False, part=PartView(turn=False, reach=0.5)))


@pytest.mark.parametrize("turn", [True, False])
def test_a_part_that_deviates_as_a_whole_does_not_stand_out_where_parts_are_turned(turn: bool) -> None:
    part = PartView(turn=turn, reach=0.5)
    above = noise(2, 2, SIDE, SIDE)
    above[1] = 2 + 3 * above[0]
    maps = stand_out(above, Preprocessing(channels=1, height=SIDE, width=SIDE, part=part))
    assert maps.min() == 0
    assert torch.allclose(maps[0], maps[1], atol=1e-5) is turn
    assert torch.equal(
        stand_out(torch.ones(1, 1, 4, 4), Preprocessing(channels=1, height=8, width=8))[0], torch.ones(4, 4)
    )


def test_parts_that_were_trained_on_fill_up_where_few_are_held_out(tmp_path: Path) -> None:
    images = pictures(tmp_path, alike=True)
    few = ImageSet(images.paths[:2], images.preprocessing)
    seen: list[int] = []

    def errors(some: torch.Tensor) -> torch.Tensor:
        seen.append(len(some))
        return some

    usual_errors(errors, images, few, blur=1.0, seed=0)
    assert seen == [2, 6]
