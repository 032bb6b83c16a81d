"""What stands out among the good parts that set the first threshold."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from learning.calibration import far_above


def table(scores: np.ndarray, each: int = 1) -> pd.DataFrame:
    """A table as a bundle keeps it, so many images of each group."""
    rows = [(f"{place}.png", f"g{place // each}", score) for place, score in enumerate(scores)]
    return pd.DataFrame(rows, columns=["image", "group", "score"])


@pytest.mark.parametrize("probabilities", [False, True])
def test_a_picture_that_holds_the_threshold_alone_is_named(probabilities: bool) -> None:
    scores = np.random.default_rng(0).normal(size=60)
    scores[17] = 12.0
    assert far_above(table(expit(scores - 4) if probabilities else scores)) == ["17.png"]
    scores[3] = 15.0
    assert far_above(table(expit(scores - 4) if probabilities else scores)) == ["3.png", "17.png"]


def test_groups_count_once_by_their_highest_picture() -> None:
    scores = np.random.default_rng(1).normal(size=150)
    scores[30:33] = 20.0, 11.0, 21.0
    assert far_above(table(scores, each=3)) == ["32.png"]


def test_few_groups_say_nothing() -> None:
    assert far_above(table(np.array([*range(18), 1000.0]))) == []
    assert far_above(table(np.array([]))) == []


@pytest.mark.parametrize("draw", ["normal", "exponential", "logistic"])
@pytest.mark.parametrize("size", [20, 100])
def test_ordinary_sets_are_left_in_peace(draw: str, size: int) -> None:
    random = np.random.default_rng(2)
    named = sum(bool(far_above(table(getattr(random, draw)(size=size)))) for _ in range(200))
    assert named <= 20  # 10 expected at most; 21 or more in one of 1,000 such tests
