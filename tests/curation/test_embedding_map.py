import numpy as np
import pytest

from curation.embedding_map import places_of


def test_the_map_has_the_directions_of_a_second_implementation() -> None:
    from sklearn.decomposition import PCA

    vectors = np.random.default_rng(0).normal(size=(60, 7)).astype(np.float32) * np.arange(1, 8, dtype=np.float32)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = PCA(2).fit_transform(unit)
    found = places_of(vectors)
    assert np.abs(found) == pytest.approx(np.abs(expected), abs=1e-4)
    # Neither the length of an embedding nor the order of the images matters.
    assert places_of(vectors[::-1] * 3)[::-1] == pytest.approx(found, abs=1e-4)


@pytest.mark.parametrize("vectors", [np.ones((3, 1)), np.zeros((2, 4)), np.ones((1, 4))])
def test_what_does_not_differ_lies_in_one_place(vectors: np.ndarray) -> None:
    assert places_of(vectors.astype(np.float32)) == pytest.approx(np.zeros((len(vectors), 2)), abs=1e-6)
