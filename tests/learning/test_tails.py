"""The limits: the stated rate of false alarms holds, and flaws do not hide each other."""

from collections.abc import Callable

import numpy as np
import pytest

from learning.tails import lower_limit, outlying, upper_limit

DRAWN: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "normal": lambda rng, n: rng.normal(5, 2, n),
    "uniform": lambda rng, n: rng.uniform(0, 1, n),
    "laplace": lambda rng, n: rng.laplace(0, 1, n),
    "exponential": lambda rng, n: rng.exponential(3, n),
    "gamma": lambda rng, n: rng.gamma(2, 1, n),
}


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("size", [20, 50, 500])
@pytest.mark.parametrize("rate", [0.01, 0.001])
def test_false_alarms_are_as_rare_as_stated(name: str, rate: float, size: int) -> None:
    rng = np.random.default_rng(0)
    ordinary = np.sort(DRAWN[name](rng, 500_000))
    limits = [upper_limit(DRAWN[name](rng, size), rate) for _ in range(1000)]
    alarms = 1 - np.searchsorted(ordinary, np.array(limits, dtype=float)) / len(ordinary)
    # In the mean over sets of this size; an exponential tail is the longest that the promise covers.
    assert alarms.mean() <= 1.1 * rate


def test_the_limit_is_not_out_of_reach() -> None:
    values = np.random.default_rng(0).normal(0, 1, 5000)
    assert upper_limit(values, 0.001) == pytest.approx(4.0, abs=0.25)
    assert lower_limit(values, 0.001) == pytest.approx(-4.0, abs=0.25)


def test_flaws_up_to_a_twentieth_do_not_hide_each_other() -> None:
    values = np.random.default_rng(0).normal(0, 1, 1000)
    values[:40] = 15
    limit = upper_limit(values, 0.001)
    assert limit is not None
    assert limit < 10


def test_what_hardly_differs_is_not_worth_a_word() -> None:
    assert upper_limit(np.full(50, 3.0), 0.001, least=0.5) == 3.5


def test_few_values_are_not_judged_and_a_rate_has_a_range() -> None:
    assert upper_limit(np.arange(19.0), 0.001) is None
    with pytest.raises(ValueError, match=r"at most 0\.05"):
        upper_limit(np.arange(30.0), 0.2)


def test_the_farthest_come_first_and_nan_is_passed_over() -> None:
    values = np.random.default_rng(0).normal(0, 1, 100)
    values[[3, 5, 7]] = [20, 30, np.nan]
    found = outlying(values, np.full(100, "", dtype=np.str_), 0.001, 0.0, above=True)
    assert found.index.tolist() == [5, 3]
    assert found.judged == 99
