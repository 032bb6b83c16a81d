"""Intervals cover what they say they cover."""

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from learning.intervals import clopper_pearson, group_bootstrap, rate_by_group


@pytest.mark.parametrize(("k", "n"), [(0, 10), (1, 10), (5, 10), (10, 10), (3, 200), (199, 200)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_clopper_pearson_is_that_of_scipy(k: int, n: int, confidence: float) -> None:
    theirs = binomtest(k, n).proportion_ci(confidence, method="exact")
    assert clopper_pearson(k, n, confidence) == pytest.approx((theirs.low, theirs.high))


def test_clopper_pearson_covers_exactly() -> None:
    n = 40
    intervals = [clopper_pearson(k, n) for k in range(n + 1)]
    for p in np.linspace(0.005, 0.995, 60):
        covered = sum(binom.pmf(k, n, p) for k, (low, high) in enumerate(intervals) if low <= p <= high)
        assert covered >= 0.95


def test_of_nothing_everything_is_possible() -> None:
    assert clopper_pearson(0, 0) == (0.0, 1.0)
    with pytest.raises(ValueError, match="between 0 and the trials"):
        clopper_pearson(3, 2)


def test_a_rate_over_parts_of_their_own_is_exact() -> None:
    found = rate_by_group([True] * 3 + [False] * 17, [str(i) for i in range(20)])
    assert (found.value, found.hits, found.n_parts, found.n_groups) == (0.15, 3, 20, 20)
    assert (found.low, found.high) == pytest.approx(clopper_pearson(3, 20))


def test_copies_of_a_part_add_nothing() -> None:
    hits, groups = [True] * 3 + [False] * 17, [str(i) for i in range(20)]
    once, six_times = rate_by_group(hits, groups), rate_by_group(hits * 6, groups * 6)
    assert (six_times.low, six_times.high) == pytest.approx((once.low, once.high))


def test_no_hits_among_few_groups_leave_much_possible() -> None:
    found = rate_by_group([False] * 300, [str(i % 3) for i in range(300)])
    assert found.low == 0
    assert found.high == pytest.approx(clopper_pearson(0, 3)[1])
    empty = rate_by_group([], [])
    assert np.isnan(empty.value)
    assert (empty.low, empty.high) == (0, 1)


@pytest.mark.parametrize("shared", [0.0, 0.5, 1.0])
def test_rates_by_group_cover_whatever_parts_share(shared: float) -> None:
    rng = np.random.default_rng(0)
    p, covered, draws = 0.2, 0, 400
    for _ in range(draws):
        sizes = rng.integers(1, 9, 25)
        groups = np.repeat(np.arange(25), sizes).astype(str)
        fate = np.repeat(rng.random(25) < p, sizes)
        hits = np.where(rng.random(len(fate)) < shared, fate, rng.random(len(fate)) < p)
        found = rate_by_group(hits, list(groups))
        covered += found.low <= p <= found.high
    assert covered / draws >= 0.94


def test_bootstrap_widens_with_what_groups_share() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=200)
    alone = group_bootstrap(lambda i: float(values[i].mean()), [str(i) for i in range(200)])
    low, high = group_bootstrap(
        lambda i: float(np.repeat(values[:20], 10)[i].mean()), [str(i // 10) for i in range(200)]
    )
    assert high - low > 2 * (alone[1] - alone[0])
    assert alone[1] - alone[0] == pytest.approx(2 * 1.96 / np.sqrt(200), rel=0.15)


def test_bootstrap_covers() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for draw in range(150):
        values = np.repeat(rng.normal(size=40), 3) + 0.3 * rng.normal(size=120)
        groups = [str(i // 3) for i in range(120)]
        low, high = group_bootstrap(lambda i, v=values: float(v[i].mean()), groups, draws=200, seed=draw)
        covered += low <= 0 <= high
    assert covered / 150 > 0.88


def test_bootstrap_follows_from_its_seed_and_skips_draws_without_a_value() -> None:
    def first_or_nan(chosen: np.ndarray) -> float:
        return float(chosen[0]) if 0 in chosen else float("nan")

    groups = list("abcdefgh")
    assert group_bootstrap(first_or_nan, groups, seed=1) == group_bootstrap(first_or_nan, groups, seed=1)
    assert np.isfinite(group_bootstrap(first_or_nan, groups)).all()
    assert np.isnan(group_bootstrap(first_or_nan, ["a", "a"])).all()
    assert np.isnan(group_bootstrap(lambda i: float("nan"), groups)).all()
