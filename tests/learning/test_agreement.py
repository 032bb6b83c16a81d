import math

import numpy as np
import pytest

from learning.agreement import cohen_kappa, fleiss_kappa

FLEISS_1971 = [
    [0, 0, 0, 0, 14],
    [0, 2, 6, 4, 2],
    [0, 0, 3, 5, 6],
    [0, 3, 9, 2, 0],
    [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0],
    [2, 5, 3, 2, 2],
    [6, 5, 2, 1, 0],
    [0, 2, 2, 3, 7],
]
"""A worked example that is widely printed, with a kappa of 0.210."""


def test_the_worked_example() -> None:
    assert fleiss_kappa(FLEISS_1971) == pytest.approx(0.210, abs=5e-4)


def test_cohen_by_hand() -> None:
    first = ["good"] * 25 + ["defect"] * 25
    second = ["good"] * 20 + ["defect"] * 5 + ["good"] * 10 + ["defect"] * 15
    # They agree on 35 of 50; by chance on 0.5 · 0.6 + 0.5 · 0.4 = 0.5.
    assert cohen_kappa(first, second) == pytest.approx((0.7 - 0.5) / 0.5)


def test_agreement_that_is_whole_none_and_undefined() -> None:
    assert cohen_kappa(["good", "defect"], ["good", "defect"]) == 1
    assert fleiss_kappa([[2, 0], [0, 2]]) == 1
    assert cohen_kappa(["good", "defect"], ["defect", "good"]) == -1
    assert math.isnan(cohen_kappa(["good"], ["good"]))
    assert math.isnan(cohen_kappa([], []))
    assert math.isnan(fleiss_kappa([[2, 0], [3, 0]]))
    assert math.isnan(fleiss_kappa([[1, 0], [0, 1]]))


def test_answers_at_random_agree_by_chance_alone() -> None:
    rng = np.random.default_rng(0)
    counts = [np.bincount(rng.integers(0, 3, rng.integers(2, 6)), minlength=3) for _ in range(4000)]
    assert abs(fleiss_kappa(counts)) < 0.02


def test_images_with_one_answer_say_nothing() -> None:
    assert fleiss_kappa([*FLEISS_1971, [1, 0, 0, 0, 0]]) == fleiss_kappa(FLEISS_1971)


def test_wrong_input_is_named() -> None:
    with pytest.raises(ValueError, match="one length"):
        cohen_kappa(["good"], [])
    with pytest.raises(ValueError, match="counts are a table"):
        fleiss_kappa([1, 2])
