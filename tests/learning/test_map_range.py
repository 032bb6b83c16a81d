import pytest
import torch

from learning.map_range import MapRange
from learning.scoring import grey_map


def test_what_is_usual_stays_black_and_what_goes_beyond_good_parts_is_white() -> None:
    # As a detector that hardly trained has them: all maps far from 0, and far from each other's ends.
    draws = torch.Generator().manual_seed(0)
    good = 0.05 + 0.001 * torch.randn(20, 1, 40, 50, generator=draws)
    gathered = MapRange()
    for batch in good.split(8):
        gathered.add(batch)
    ends = gathered.ends()
    black = [float((grey_map(one[0].numpy(), ends) == 0).mean()) for one in good]
    assert sum(black) / len(black) == pytest.approx(0.99, abs=0.002)
    assert ends[1] == pytest.approx(float(good.max()))
    flawed = good[0, 0].clone()
    flawed[10:20, 10:20] += 0.01
    grey = grey_map(flawed.numpy(), ends)
    assert (grey[10:20, 10:20] == 255).all()
    assert (grey[30:] == 0).mean() > 0.95


def test_few_odd_good_parts_do_not_hide_a_weak_defect() -> None:
    good = torch.rand(10, 30, 30, generator=torch.Generator().manual_seed(0))
    good[:3] += 5
    gathered = MapRange()
    gathered.add(good)
    low, high = gathered.ends()
    assert low < 1
    assert high == pytest.approx(float(good.max()))


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_flat_maps_are_black(value: float) -> None:
    gathered = MapRange()
    gathered.add(torch.full((2, 8, 8), value))
    low, high = gathered.ends()
    assert low < high
    assert (grey_map(torch.full((8, 8), value).numpy(), (low, high)) == 0).all()


def test_nothing_says_nothing() -> None:
    with pytest.raises(ValueError, match="no maps"):
        MapRange().ends()
