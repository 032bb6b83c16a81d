import numpy as np
from scipy.stats import kstest

from learning.drift.windows import Features, window_ranks, witness


def test_ranks_of_windows_are_uniform_and_independent_where_nothing_drifts() -> None:
    rng = np.random.default_rng(0)
    pairs = []
    for replay in range(200):
        features = Features.of(rng.normal(size=(20, 6)))
        items = features(rng.exponential(size=(12 + 16, 6)))
        pairs.append(window_ranks(items[:12], items[12:], 4, seed=replay, permutations=99)[[0, 3]])
    first, last = np.array(pairs).T
    assert kstest(first, "uniform").pvalue > 0.01
    assert kstest(last, "uniform").pvalue > 0.01
    assert abs(np.corrcoef(first, last)[0, 1]) < 0.2


def test_a_moved_window_has_a_high_rank_and_its_items_bear_witness() -> None:
    rng = np.random.default_rng(1)
    features = Features.of(rng.normal(size=(40, 8)))
    items = rng.normal(size=(60, 8))
    items[52:] += 2
    ranks = window_ranks(features(items[:20]), features(items[20:]), 8, permutations=199)
    assert len(ranks) == 5
    assert ranks[4] > 0.99
    told = witness(features(items), features(items[52:]), features(items[:52]))
    assert set(np.argsort(-told)[:6]) <= set(range(52, 60))


def test_the_same_seed_gives_the_same_ranks_and_later_windows_change_no_earlier_one() -> None:
    rng = np.random.default_rng(2)
    features = Features.of(rng.normal(size=(20, 4)))
    items = features(rng.normal(size=(50, 4)))
    whole = window_ranks(items[:10], items[10:], 5, seed=3)
    np.testing.assert_array_equal(whole[:4], window_ranks(items[:10], items[10:30], 5, seed=3))


def test_equal_items_say_nothing() -> None:
    features = Features.of(np.zeros((5, 3)))
    ranks = window_ranks(features(np.zeros((8, 3))), features(np.zeros((400, 3))), 4, permutations=49)
    assert kstest(ranks, "uniform").pvalue > 0.01


def test_the_first_window_of_all_is_a_coin() -> None:
    features = Features.of(np.random.default_rng(0).normal(size=(20, 3)))
    ranks = window_ranks(features(np.zeros((0, 3))), features(np.ones((4, 3))), 4)
    assert 0 < ranks[0] < 1
