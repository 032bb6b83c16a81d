"""The pair of detector and fallback: comparable scores, and a fallback that is on only when it helps."""

import numpy as np
import pytest

from learning.fusion import HeldOut, Scale, choose_fallback, fit_scale, fuse, weighted_threshold

LIMIT = 0.05


def test_a_threshold_on_the_fused_score_rejects_if_either_says_so() -> None:
    scale = Scale(detector=(1.0, 2.0), fallback=(-3.0, 0.5))
    detector, fallback = np.array([1.0, 9.0, 1.0, 9.0]), np.array([-3.0, -3.0, 0.0, 0.0])
    fused = fuse(detector, fallback, scale)
    assert (fused > 3).tolist() == [False, True, True, True]
    either = ((detector - 1) / 2 > 3) | ((fallback + 3) / 0.5 > 3)
    assert (fused > 3).tolist() == either.tolist()


def test_what_a_fallback_thinks_of_ordinary_parts_does_not_reorder_them() -> None:
    random = np.random.default_rng(0)
    detector, fallback = random.normal(size=2000), random.normal(size=2000)
    scale = fit_scale(detector, fallback)
    even = Scale(scale.detector, scale.fallback)
    fused, before = fuse(detector, fallback, scale), fuse(detector, fallback, even)
    assert ((fused > 1) == (before > 1)).all()
    np.testing.assert_array_equal(fused[fused > 1], before[fused > 1])
    standardised = [
        (s - centre) / spread for s, (centre, spread) in ((detector, scale.detector), (fallback, scale.fallback))
    ]
    np.testing.assert_array_equal(before, np.maximum(*standardised))
    ordinary = before <= 1
    ranks = np.argsort(np.argsort(detector[ordinary]))
    kept, lost = (np.corrcoef(ranks, np.argsort(np.argsort(one[ordinary])))[0, 1] for one in (fused, before))
    assert kept > 0.9 > lost


def test_the_scale_does_not_depend_on_units() -> None:
    random = np.random.default_rng(0)
    detector, fallback = random.lognormal(size=50), random.normal(size=50)
    fused = fuse(detector, fallback, fit_scale(detector, fallback))
    changed = fuse(1000 * detector + 7, 0.01 * fallback, fit_scale(1000 * detector + 7, 0.01 * fallback))
    np.testing.assert_allclose(fused, changed, atol=1e-9)


def test_constant_scores_can_be_fused() -> None:
    assert np.isfinite(fuse([0.5, 0.6], [0.0, 1.0], fit_scale(np.full(5, 0.5), np.zeros(5)))).all()


def test_weighted_threshold_is_the_lowest_that_keeps_the_share() -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        scores, weights = random.integers(0, 12, 30).astype(float), random.uniform(0.1, 5, 30)
        value = weighted_threshold(scores, weights, 0.1)
        assert weights[scores > value].sum() <= 0.1 * weights.sum()
        lower = scores[scores < value]
        assert not len(lower) or weights[scores > lower.max()].sum() > 0.1 * weights.sum()


def judge(seed: int, gain: float) -> bool:
    """One line: 25 confirmed defects of which the detector sees half; the fallback sees them all if it gains."""
    random = np.random.default_rng(seed)
    good_detector, good_fallback = random.normal(size=150), random.normal(size=150)
    detector = random.normal(size=25) + np.where(np.arange(25) % 2, 6, 1)
    fallback = random.normal(size=25) + gain
    scale = fit_scale(good_detector[:50], good_fallback[:50])
    choice = choose_fallback(
        HeldOut(detector, fuse(detector, fallback, scale)),
        HeldOut(good_detector, fuse(good_detector, good_fallback, scale)),
        np.ones(150),
        LIMIT,
    )
    assert choice.caught_by_pair - choice.caught_alone == choice.gained - choice.lost
    return choice.switched_on


def test_a_fallback_that_helps_is_switched_on() -> None:
    assert np.mean([judge(seed, gain=5) for seed in range(100)]) > 0.95


def test_a_useless_fallback_stays_off() -> None:
    assert np.mean([judge(seed, gain=0) for seed in range(200)]) < 0.05


def test_it_cannot_be_judged_without_defects() -> None:
    nothing = HeldOut(np.array([]), np.array([]))
    some = HeldOut(np.ones(3), np.ones(3))
    with pytest.raises(ValueError, match="missing"):
        choose_fallback(nothing, some, np.ones(3), LIMIT)
