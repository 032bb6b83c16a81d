"""What parts have in common when they roll: few directions explain it, for parts that were left out too."""

import math

import pytest
import torch
from torch import Tensor

from learning.detectors.subspace import Apart, Subspace, fit_subspace


def threads(count: int, seed: int, noise: float = 0.05) -> Tensor:
    """Screws in any phase, ``[count, 1, 16, 48]``: no two alike, and all in a plane beside their mean."""
    generator = torch.Generator().manual_seed(seed)
    phase = 2 * math.pi * torch.rand(count, 1, 1, 1, generator=generator)
    pattern = (torch.arange(48) * 2 * math.pi / 6 + phase).sin().expand(-1, 1, 16, -1)
    return pattern + 3 + noise * torch.randn(pattern.shape, generator=generator)


def own(count: int) -> list[str]:
    """A group for each part."""
    return [f"{i}" for i in range(count)]


def test_a_pattern_that_slides_takes_two_directions() -> None:
    usual, _, _, squares = fit_subspace(threads(40, seed=0), own(40))
    assert len(usual.directions) == 2
    assert float(squares.mean()) == pytest.approx(0.05**2, rel=0.15)
    others = threads(20, seed=1)
    assert float((others - usual.nearest(others)).square().mean()) == pytest.approx(0.05**2, rel=0.15)
    assert float((others - usual.mean).square().mean()) > 0.4


def test_a_missing_thread_stands_out_and_the_rest_stays_as_it_is() -> None:
    usual = fit_subspace(threads(40, seed=0), own(40))[0]
    worn = threads(1, seed=2)
    worn[..., 18:30] = 3
    left = (worn - usual.nearest(worn)).abs()
    assert float(left[..., 18:30].mean()) > 2 * float(left[..., :12].mean())


def test_directions_are_orthonormal_and_fit_16_bits() -> None:
    usual = fit_subspace(threads(12, seed=0), own(12))[0]
    flat = usual.directions.flatten(1)
    torch.testing.assert_close(flat @ flat.T, torch.eye(len(flat)), atol=2e-3, rtol=0)
    assert torch.equal(usual.directions, usual.directions.half().float())


def test_parts_that_differ_by_noise_alone_take_none() -> None:
    parts = torch.randn(30, 1, 16, 48, generator=torch.Generator().manual_seed(0))
    usual, _, _, squares = fit_subspace(parts, own(30))
    assert len(usual.directions) == 0
    assert float(squares.mean()) == pytest.approx(1, rel=0.1)  # not less: parts were left out


def test_the_folds_know_none_of_their_own_parts() -> None:
    parts = threads(24, seed=0, noise=0.3)
    usual, subspaces, folds, squares = fit_subspace(parts.clone(), own(24))
    left = parts - Apart(subspaces, folds).nearest(usual, parts, torch.arange(24))
    torch.testing.assert_close(left.square().mean(dim=0), squares, atol=1e-4, rtol=1e-3)
    by_heart = parts - usual.nearest(parts)
    assert left.square().mean() > 1.05 * by_heart.square().mean()
    for part, fold in zip(parts, folds.tolist(), strict=True):
        again = fit_subspace(parts[folds != fold].clone(), own(18))[0]
        assert torch.allclose(again.mean, subspaces[fold].mean, atol=1e-5)
        assert part.shape == again.mean.shape


def test_parts_of_one_group_are_left_out_together() -> None:
    twice = threads(10, seed=0, noise=0.3).repeat_interleave(2, dim=0)
    alone = fit_subspace(twice.clone(), own(20))[3].mean()
    _, _, folds, together = fit_subspace(twice.clone(), [f"{i // 2}" for i in range(20)])
    assert torch.equal(folds[::2], folds[1::2])
    assert float(together.mean()) > 1.5 * float(alone)  # a twin had given them away


def test_parts_that_no_subspace_knows_have_the_whole_one() -> None:
    usual, subspaces, folds, _ = fit_subspace(threads(24, seed=0), own(24))
    apart = Apart(subspaces, torch.cat([folds, torch.tensor([-1])]))
    parts = threads(3, seed=3)
    expected = usual.nearest(parts)
    found = apart.nearest(usual, parts, torch.tensor([24, -1, 0]))
    assert torch.equal(found[:2], expected[:2])
    assert not torch.equal(found[2], expected[2])


def test_a_batch_of_one_is_a_row_of_a_batch() -> None:
    usual = fit_subspace(threads(24, seed=0), own(24))[0]
    parts = threads(5, seed=4)
    together = usual.nearest(parts)
    for i in range(5):
        assert torch.equal(usual.nearest(parts[i : i + 1])[0], together[i])


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_parts_are_no_trouble(count: int) -> None:
    usual, subspaces, folds, squares = fit_subspace(threads(count, seed=0), own(count))
    assert len(usual.directions) < count
    assert torch.isfinite(squares).all()
    assert len(subspaces) == (count if count > 1 else 0)
    assert len(folds) == count
    assert torch.isfinite(usual.nearest(threads(2, seed=1))).all()


def test_parts_that_are_all_the_same_have_no_directions() -> None:
    usual, _, _, squares = fit_subspace(torch.ones(6, 1, 8, 8), own(6))
    assert len(usual.directions) == 0
    assert float(squares.max()) == 0


def test_large_parts_have_fewer_directions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("learning.detectors.subspace._MOST_VALUES", 16 * 48)
    assert len(fit_subspace(threads(24, seed=0), own(24))[0].directions) == 0


def test_without_directions_the_mean_is_nearest() -> None:
    mean = torch.rand(1, 4, 4)
    assert torch.equal(Subspace(mean, mean[None][:0]).nearest(torch.rand(2, 1, 4, 4)), mean.expand(2, -1, -1, -1))
