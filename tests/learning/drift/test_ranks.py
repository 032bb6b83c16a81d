import numpy as np
from scipy.stats import kstest

from learning.drift.ranks import ranks_of


def by_counting(stream: np.ndarray, ties: np.ndarray, reference: np.ndarray) -> list[float]:
    found = []
    for place, value in enumerate(stream):
        earlier = np.concatenate([reference, stream[:place]])
        equal = (earlier == value).sum() + 1
        found.append(((earlier < value).sum() + ties[place] * equal) / (len(earlier) + 1))
    return found


def test_ranks_are_those_that_counting_gives() -> None:
    rng = np.random.default_rng(0)
    stream, reference = rng.integers(0, 5, 40).astype(float), rng.integers(0, 5, 10).astype(float)
    ties = rng.random(40)
    np.testing.assert_allclose(ranks_of(stream, ties, reference), by_counting(stream, ties, reference))


def test_ranks_of_an_exchangeable_stream_are_uniform_and_independent_whatever_the_distribution() -> None:
    rng = np.random.default_rng(1)
    pairs = []
    for _ in range(400):
        values = rng.standard_cauchy(24).round(1)  # with ties
        pairs.append(ranks_of(values[12:], rng.random(12), values[:12])[[3, 11]])
    early, late = np.array(pairs).T
    assert kstest(early, "uniform").pvalue > 0.01
    assert kstest(late, "uniform").pvalue > 0.01
    assert abs(np.corrcoef(early, late)[0, 1]) < 0.12


def test_a_fixed_reference_would_make_ranks_depend_on_each_other() -> None:
    rng = np.random.default_rng(2)
    pairs = []
    for _ in range(400):
        values = rng.normal(size=7)
        pairs.append([(values[:5] < value).mean() for value in values[5:]])
    assert np.corrcoef(np.array(pairs).T)[0, 1] > 0.12


def test_strata_are_ranked_on_their_own() -> None:
    lots = ["a", "b", "a", "b", "a"]
    ranks = ranks_of([1.0, 100.0, 2.0, 99.0, 3.0], np.full(5, 0.5), reference=[50.0], strata=lots)
    np.testing.assert_allclose(ranks, [0.5, 0.5, 0.75, 0.25, 2.5 / 3])
