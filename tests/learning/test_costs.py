"""The value of least cost is the least one, wherever defects are few, and on any scale of scores."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import norm

from learning.costs import accepted_weight, least_cost_value

parts = st.lists(
    st.tuples(st.integers(0, 12), st.booleans(), st.floats(0.5, 20)), min_size=1, max_size=30
)  # score, defective, weight


@given(parts, st.floats(0, 50), st.floats(0, 50))
@settings(max_examples=150, deadline=None)
def test_no_other_value_costs_less(rows: list[tuple[int, bool, float]], escape: float, false_reject: float) -> None:
    scores, labels, weights = (np.array(column) for column in zip(*rows, strict=True))

    origin = scores.min() if labels.all() else np.median(scores[~labels])
    accepted = accepted_weight(np.arange(13), scores[labels], weights[labels], float(origin))

    def cost(value: float) -> float:
        """At the highest score that is accepted: nothing is known of what lies between two scores."""
        rejected = scores > value
        of_good = float((rejected & ~labels) @ weights * false_reject)
        if rejected.all():
            return of_good
        return of_good + escape * float(accepted[scores[~rejected].max()])

    value = least_cost_value(scores, labels, weights, escape, false_reject)
    others = [cost(v) for v in np.arange(-1, 13) + 0.5]
    assert cost(value) <= min(others) + 1e-6 * max(1, *others)


def test_weights_count() -> None:
    scores, labels = [1.0, 2.0, 3.0], [False, True, False]
    assert least_cost_value(scores, labels, [1, 10, 1], 1, 1) == 1.5
    assert least_cost_value(scores, labels, [1, 1, 10], 1, 1) == 3.0
    assert least_cost_value([1.0], [True], [1], 1, 1) < 1


@pytest.mark.parametrize(
    ("escape", "false_reject", "share"), [(20, 1, 1 / 21), (1, 1, 0.5), (1, 3, 0.75), (1, 0, 0.0), (0, 1, 1.0)]
)
def test_in_a_gap_the_dearer_mistake_is_kept_farther_off(escape: float, false_reject: float, share: float) -> None:
    value = least_cost_value([1.0, 3.0], [False, True], [1, 1], escape, false_reject)
    assert value == pytest.approx(1 + 2 * share)
    assert value < 3
    x = np.linspace(0, 1, 1001)
    assert x[np.argmin(false_reject * (1 - x) ** 2 + escape * x**2)] == pytest.approx(share, abs=1e-3)


def test_where_nothing_costs_anything_all_is_rejected() -> None:
    assert least_cost_value([1.0, 3.0], [False, True], [1, 1], 0, 0) < 1


def test_a_value_between_scores_next_to_each_other_still_parts_them() -> None:
    low = 1.0
    high = float(np.nextafter(low, 2))
    assert low <= least_cost_value([low, high], [False, True], [1, 1], 1, 20) < high
    assert 0 <= least_cost_value([0.0, 5e-324], [False, True], [1, 1], 1, 20) < 5e-324
    assert low <= least_cost_value([0.0, low, high, 2.0], [False, False, True, True], [1, 1, 1, 1], 1, 1) < high


def test_a_place_that_no_defect_was_met_in_is_not_taken_for_free_of_them() -> None:
    """The lowest confirmed defects are at 2.4 and 2.6, and a good part at 2: none was met there by chance."""
    defects = norm.ppf((np.arange(2, 12) + 0.5) / 12, loc=3.2, scale=1)
    good = np.concatenate([norm.ppf((np.arange(300) + 0.5) / 300) * 0.5, [2.0]])
    scores, labels = np.concatenate([defects, good]), np.arange(len(defects) + len(good)) < len(defects)
    assert defects.min() > 2.2  # so that counting defects would let that part through
    assert least_cost_value(scores, labels, np.ones(len(scores)), 20, 1) < 2.0
    assert 2.0 <= least_cost_value(scores, labels, np.ones(len(scores)), 0.1, 1) < defects.min()


def test_far_below_all_defects_good_parts_are_let_through() -> None:
    generator = np.random.default_rng(0)
    defects, good = generator.normal(8, 0.5, 30), np.concatenate([generator.normal(0, 0.5, 300), [3.0]])
    labels = np.arange(330 + 1) < 30
    value = least_cost_value(np.concatenate([defects, good]), labels, np.ones(331), 20, 1)
    assert 3.0 <= value < defects.min()


@pytest.mark.parametrize("outlier", [100.0, 1e3, 1e6])
@pytest.mark.parametrize("count", [4, 8, 20])
def test_one_defect_far_off_rejects_no_good_parts(count: int, outlier: float) -> None:
    for seed in range(10):
        generator = np.random.default_rng(seed)
        good, defects = generator.normal(0, 1, 60), np.append(generator.normal(6, 1, count), outlier)
        scores, labels = np.concatenate([good, defects]), np.arange(60 + len(defects)) >= 60
        value = least_cost_value(scores, labels, np.ones(len(scores)), 20, 1)
        assert (good > value).sum() <= 2
        assert least_cost_value(np.append(scores, -100), np.append(labels, False), np.ones(len(scores) + 1), 20, 1) == (
            pytest.approx(value, abs=0.3)
        )


@pytest.mark.parametrize("scale", [np.asarray, np.exp, lambda z: 1 / (1 + np.exp(-z)), lambda z: 1e3 + 1e-3 * z])
def test_smoothed_shares_come_near_the_true_ones_on_any_scale(scale: Callable[[object], NDArray[np.float64]]) -> None:
    at = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    errors = [
        accepted_weight(
            scale(at), scale(np.random.default_rng(seed).normal(size=40)), np.full(40, 1 / 40), float(scale(-4))
        )
        - norm.cdf(at)
        for seed in range(20)
    ]
    assert np.abs(np.mean(errors, axis=0)).max() < 0.04


def test_shares_grow_from_nothing_to_all() -> None:
    scores, weights = np.array([0.2, 0.5, 0.6, 0.9]), np.array([1.0, 4.0, 2.0, 1.0])
    found = accepted_weight(np.linspace(-50, 50, 401), scores, weights, 0.1)
    assert (np.diff(found) >= 0).all()
    assert found[0] == pytest.approx(0, abs=1e-3)
    assert found[-1] == pytest.approx(8, abs=1e-3)


@given(st.lists(st.floats(-1e6, 1e6), min_size=0, max_size=12), st.floats(0.01, 100), st.floats(-1e6, 1e6))
@settings(max_examples=150, deadline=None)
def test_any_scores_have_finite_shares(scores: list[float], weight: float, origin: float) -> None:
    own = np.array(scores)
    found = accepted_weight([-1e9, 0.0, 1e9, *scores], own, np.full(len(own), weight), origin)
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    assert (found <= weight * len(own) * (1 + 1e-9)).all()


def test_one_score_is_a_step() -> None:
    assert accepted_weight([0.9, 1.0, 1.1], [1.0, 1.0], [2.0, 3.0], 0.0).tolist() == [0.0, 5.0, 5.0]
    assert accepted_weight([0.9, 1.1], [], [], 0.0).tolist() == [0.0, 0.0]


def test_costs_take_weights_and_scores_of_one_length() -> None:
    with pytest.raises(ValueError, match="one length"):
        least_cost_value([], [], [], 1, 1)
    with pytest.raises(ValueError, match="above zero"):
        least_cost_value([1.0], [True], [0], 1, 1)
    with pytest.raises(ValueError, match="finite"):
        least_cost_value([float("nan")], [True], [1], 1, 1)
