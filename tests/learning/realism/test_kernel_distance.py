"""KID by all pairs: against another implementation, and what has to hold for any distance."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.image.kid import poly_mmd

from learning.realism.kernel_distance import kernel_distance, split_half_distances


def normal(seed: int, count: int, shift: float = 0.0, width: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, 1, (count, width))


def value(x: np.ndarray, y: np.ndarray, **groups: list[str]) -> float:
    distance = kernel_distance(x, y, **groups)
    assert distance is not None
    return distance.value


@given(st.integers(2, 30), st.integers(1, 12), st.integers(0, 2**16))
@settings(deadline=None, max_examples=30)
def test_samples_of_one_size_give_what_torchmetrics_gives(count: int, width: int, seed: int) -> None:
    x, y = normal(seed, count, width=width), normal(seed + 1, count, 0.4, width)
    theirs = float(poly_mmd(torch.from_numpy(x), torch.from_numpy(y)))
    assert value(x, y) == pytest.approx(theirs, rel=1e-6, abs=1e-8)


def test_equal_distributions_are_around_zero_within_the_error_that_is_stated() -> None:
    found = [kernel_distance(normal(2 * i, 12), normal(2 * i + 1, 150)) for i in range(80)]
    values = np.array([one.value for one in found if one])
    errors = np.array([one.error for one in found if one and one.error is not None])
    assert abs(values.mean()) < 3 * values.std() / np.sqrt(len(values))
    assert 0.6 < errors.mean() / values.std() < 1.8
    assert (np.abs(values) < 3 * errors).mean() > 0.9


@given(st.integers(0, 2**16))
@settings(deadline=None, max_examples=20)
def test_it_grows_with_the_shift(seed: int) -> None:
    x, y = normal(seed, 40), normal(seed + 1, 60)
    values = [value(x, y + shift) for shift in (0.0, 0.7, 1.4, 2.8)]
    assert values == sorted(values)


@given(st.integers(3, 12), st.integers(3, 12), st.integers(0, 2**16))
@settings(deadline=None, max_examples=20)
def test_it_is_symmetric_and_the_order_of_rows_does_not_matter(n: int, m: int, seed: int) -> None:
    x, y = normal(seed, n), normal(seed + 1, m, 1.0)
    assert value(x, y) == pytest.approx(value(y[::-1], x[::-1]))


def test_pairs_of_one_group_are_left_out() -> None:
    x, y = normal(0, 6), normal(1, 6)
    copies, groups = np.repeat(x, 3, axis=0), [str(i) for i in range(6) for _ in range(3)]
    # Three copies of every row say nothing new, and seeing them as independent would.
    assert value(copies, y, x_groups=groups) == pytest.approx(value(x, y))
    assert value(copies, y) > value(x, y)


def test_what_too_few_cannot_say() -> None:
    many = normal(0, 20)
    assert kernel_distance(np.empty((0, 6)), many) is None
    assert kernel_distance(many[:1], many) is None
    assert kernel_distance(many[:4], many, x_groups=["same"] * 4) is None
    two, three = kernel_distance(many[:2], many), kernel_distance(many[:3], many)
    assert two is not None
    assert two.error is None
    assert three is not None
    assert three.error is not None
    assert len(split_half_distances(many[:3])) == 0


def test_halves_of_one_sample_differ_by_chance_alone() -> None:
    halves = split_half_distances(normal(0, 30), splits=200)
    assert abs(halves.mean()) < 0.2 * np.quantile(halves, 0.95)
    assert np.array_equal(halves, split_half_distances(normal(0, 30), splits=200))
    assert not np.array_equal(halves, split_half_distances(normal(0, 30), splits=200, seed=1))


def test_groups_have_to_fit() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        kernel_distance(normal(0, 4), normal(1, 4), x_groups=["a"])
