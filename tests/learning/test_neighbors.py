import numpy as np
import pytest

from learning.neighbors import nearest_good


def test_agrees_with_scikit_learn() -> None:
    from sklearn.neighbors import NearestNeighbors

    rng = np.random.default_rng(0)
    good, query = rng.normal(size=(50, 8)), rng.normal(size=8)
    names = [f"{i:02d}.png" for i in range(50)]
    distances, indices = NearestNeighbors(metric="cosine").fit(good).kneighbors(query[None], 4)
    found = nearest_good(query, names, good, 4)
    assert [one.image for one in found] == [names[i] for i in indices[0]]
    assert np.allclose([1 - one.similarity for one in found], distances[0])


def test_length_does_not_matter_and_the_image_itself_comes_first() -> None:
    good = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0]])
    found = nearest_good(np.array([10.0, 10.0]), ["a", "b", "c"], good)
    assert [one.image for one in found] == ["c", "a", "b"]
    assert found[0].similarity == pytest.approx(1)


def test_zero_embeddings_are_like_nothing() -> None:
    assert nearest_good(np.zeros(2), ["a"], np.ones((1, 2)))[0].similarity == 0


def test_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        nearest_good(np.ones(3), ["a"], np.ones((1, 2)))
