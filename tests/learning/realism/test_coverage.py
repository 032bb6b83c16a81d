import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.realism.coverage import distances, nearest, within_manifold


def names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{i}" for i in range(count)]


def test_a_sample_inside_is_covered_and_one_far_away_is_not() -> None:
    reference = np.random.default_rng(0).normal(size=(60, 3))
    samples = np.array([[0.0, 0, 0], [9.0, 9, 9]])
    between = distances(samples, reference, ["a", "b"], names("r", 60))
    inside = distances(reference, reference, names("r", 60), names("r", 60))
    assert within_manifold(between, inside).tolist() == [True, False]  # type: ignore[union-attr]


@given(st.integers(4, 30), st.integers(1, 10), st.integers(0, 2**16))
@settings(deadline=None, max_examples=25)
def test_against_the_formula_one_by_one(count: int, samples: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    reference, others = rng.normal(size=(count, 4)), rng.normal(0.5, 1.5, (samples, 4))
    between = distances(others, reference, names("s", samples), names("r", count))
    inside = distances(reference, reference, names("r", count), names("r", count))
    expected = []
    for sample in others:
        radii = [sorted(np.linalg.norm(reference - center, axis=1))[3] for center in reference]
        expected.append(
            any(np.linalg.norm(sample - c) <= r * (1 + 1e-9) for c, r in zip(reference, radii, strict=True))
        )
    assert within_manifold(between, inside).tolist() == expected  # type: ignore[union-attr]


def test_too_few_have_no_manifold_and_groups_are_no_neighbours() -> None:
    few = np.zeros((2, 3))
    assert within_manifold(np.zeros((1, 2)), distances(few, few, names("r", 2), names("r", 2))) is None
    many = np.random.default_rng(0).normal(size=(8, 3))
    same = distances(many, many, ["one"] * 8, ["one"] * 8)
    assert np.isinf(same).all()
    assert within_manifold(np.zeros((1, 8)), same) is None
    assert nearest(same, 3) == [[]] * 8


def test_the_nearest_come_first() -> None:
    apart = distances(np.array([[0.0]]), np.array([[3.0], [-1.0], [2.0]]), ["a"], names("r", 3))
    assert nearest(apart, 2) == [[1, 2]]
