"""Asks are drawn with the probabilities that are stated, and estimates weighted by them are unbiased."""

from collections import Counter

import numpy as np
import pytest

from learning.sampling import draw_asks, horvitz_thompson_total, inclusion_probabilities, systematic_sample

ROUNDS = 4000


def line(parts: int = 60, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    return np.random.default_rng(seed).gamma(2, size=parts), [f"part-{i}" for i in range(parts)]


def test_parts_are_drawn_as_often_as_stated() -> None:
    scores, groups = line()
    seen: Counter[int] = Counter()
    stated = {}
    for seed in range(ROUNDS):
        for draw in draw_asks(scores, 4.0, groups, budget=12, seed=seed):
            seen[draw.index] += 1
            stated[draw.index] = draw.inclusion_probability
    assert len(stated) == len(scores)
    for index, probability in stated.items():
        error = np.sqrt(probability * (1 - probability) / ROUNDS)
        assert abs(seen[index] / ROUNDS - probability) <= 4.5 * error
    assert sum(stated.values()) == pytest.approx(12)


def test_no_part_falls_below_the_audits_and_audits_are_a_uniform_sample() -> None:
    scores, groups = line()
    audits: Counter[int] = Counter()
    for seed in range(ROUNDS):
        for draw in draw_asks(scores, 4.0, groups, budget=12, audit_share=0.3, seed=seed):
            assert draw.inclusion_probability >= 0.3 * 12 / 60 - 1e-12
            audits[draw.index] += draw.reason == "audit"
    expected = 0.3 * 12 / 60
    error = np.sqrt(expected * (1 - expected) / ROUNDS)
    assert all(abs(audits[i] / ROUNDS - expected) <= 4.5 * error for i in range(60))


def test_the_weighted_estimate_is_unbiased_where_the_naive_one_is_not() -> None:
    scores, groups = line(80)
    defective = (scores > 3) | (np.arange(80) % 17 == 0)
    weighted, naive = [], []
    for seed in range(1500):
        draws = draw_asks(scores, 4.0, groups, budget=20, seed=seed)
        values = np.array([defective[draw.index] for draw in draws], dtype=float)
        weighted.append(horvitz_thompson_total(values, np.array([draw.inclusion_probability for draw in draws])))
        naive.append(80 * values.mean())
    error = 4 * np.std(weighted) / np.sqrt(len(weighted))
    assert abs(np.mean(weighted) - defective.sum()) < error
    assert abs(np.mean(naive) - defective.sum()) > error


@pytest.mark.parametrize("budget", [0, 1, 7, 29, 30, 500])
@pytest.mark.parametrize("threshold", [-1.0, 2.0, 99.0])
def test_the_sample_has_the_size_that_was_asked_for_and_no_group_twice(budget: int, threshold: float) -> None:
    scores = np.random.default_rng(1).gamma(2, size=60)
    groups = [f"part-{i // 2}" for i in range(60)]
    draws = draw_asks(scores, threshold, groups, budget, seed=3)
    assert len(draws) == min(budget, 30) == len({groups[draw.index] for draw in draws})
    # Each part is shown by the image that decides about it.
    assert all(scores[draw.index] == max(scores[draw.index // 2 * 2 : draw.index // 2 * 2 + 2]) for draw in draws)
    assert all(0 < draw.inclusion_probability <= 1 for draw in draws)


def test_borderline_parts_come_first_and_the_seed_decides() -> None:
    scores, groups = line(200)
    threshold = float(np.quantile(scores, 0.9))
    near: list[float] = []
    for seed in range(50):
        draws = draw_asks(scores, threshold, groups, budget=20, seed=seed)
        near.append(float(np.mean([abs((scores < scores[draw.index]).mean() - 0.9) < 0.1 for draw in draws])))
    assert np.mean(near) > 0.5  # a fifth of the parts
    assert draw_asks(scores, threshold, groups, 20, seed=1) == draw_asks(scores, threshold, groups, 20, seed=1)
    assert draw_asks(scores, threshold, groups, 20, seed=1) != draw_asks(scores, threshold, groups, 20, seed=2)


def test_equal_scores_are_drawn_evenly() -> None:
    draws = draw_asks(np.zeros(40), 0.5, [str(i) for i in range(40)], budget=10)
    assert {round(draw.inclusion_probability, 12) for draw in draws} == {0.25}


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="budget"):
        draw_asks([0.1], 0.5, ["a"], budget=-1)
    with pytest.raises(ValueError, match="audit_share"):
        draw_asks([0.1], 0.5, ["a"], budget=1, audit_share=0)
    with pytest.raises(ValueError, match="finite"):
        draw_asks([float("nan")], 0.5, ["a"], budget=1)
    assert draw_asks([], 0.5, [], budget=5) == []


def test_design_keeps_its_sum_with_very_unequal_sizes() -> None:
    sizes = np.array([1e6, 1e3, *np.full(50, 1.0), 1e-6])
    probabilities = inclusion_probabilities(sizes, 10)
    assert probabilities.sum() == pytest.approx(10)
    assert probabilities.min() > 0
    assert probabilities.max() == 1
    for seed in range(200):
        sample = systematic_sample(probabilities, np.random.default_rng(seed))
        assert len(sample) == len(set(sample.tolist())) == 10
