"""Defects as regions, and what is measured of them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.realism.defects import MOST_REGIONS, measure_defects


def part(height: int = 80, width: int = 120, channels: int = 1) -> torch.Tensor:
    """A brighter part, 60 x 40, in the middle of a dark background."""
    image = torch.full((channels, height, width), 0.1)
    image[:, height // 2 - 20 : height // 2 + 20, width // 2 - 30 : width // 2 + 30] = 0.6
    return image


def marked(image: torch.Tensor, *boxes: tuple[int, int, int, int]) -> torch.Tensor:
    mask = torch.zeros(image.shape[-2:], dtype=torch.bool)
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = True
    return mask


@pytest.mark.parametrize("channels", [1, 3])
def test_size_contrast_and_place(channels: int) -> None:
    image = part(channels=channels)
    image[-1, 30:34, 40:50] = 0.3
    (found,) = measure_defects(image, marked(image, (40, 30, 50, 34)))
    assert found.box == (40, 30, 50, 34)
    assert found.area == pytest.approx(40 / (80 * 120))
    assert found.length == pytest.approx(10 / 80)
    assert found.contrast == pytest.approx(-0.3, abs=1e-6)
    assert found.across == pytest.approx(15 / 60, abs=0.03)
    assert found.down == pytest.approx(12 / 40, abs=0.03)


def test_pieces_close_together_are_one_defect_and_others_are_not() -> None:
    image = part()
    close, apart = marked(image, (40, 30, 43, 33), (44, 30, 46, 33)), marked(image, (40, 30, 43, 33), (70, 30, 80, 33))
    assert [found.box for found in measure_defects(image, close)] == [(40, 30, 46, 33)]
    assert [found.box for found in measure_defects(image, apart)] == [(70, 30, 80, 33), (40, 30, 43, 33)]


def test_an_empty_mask_has_no_defects_and_specks_have_not_too_many() -> None:
    image = part()
    assert measure_defects(image, marked(image)) == []
    specks = marked(image, *((x, y, x + 1, y + 1) for x in range(5, 115, 9) for y in range(5, 75, 9)))
    assert len(measure_defects(image, specks)) == MOST_REGIONS


def test_a_mask_all_over_has_no_surroundings() -> None:
    image = part()
    (found,) = measure_defects(image, torch.ones(80, 120, dtype=torch.bool))
    assert found.contrast == 0
    assert found.area == 1


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        measure_defects(part(), torch.ones(8, 8, dtype=torch.bool))


@given(st.integers(0, 2**16), st.integers(8, 70), st.integers(8, 70))
@settings(deadline=None, max_examples=25)
def test_figures_stay_in_their_ranges(seed: int, height: int, width: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(1, height, width, generator=generator)
    mask = torch.rand(height, width, generator=generator) < 0.05
    found = measure_defects(image, mask)
    assert bool(found) == bool(mask.any())
    for one in found:
        left, top, right, bottom = one.box
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        assert 0 < one.area <= 1
        assert abs(one.contrast) <= 1
        assert 0 <= one.across <= 1
        assert 0 <= one.down <= 1
