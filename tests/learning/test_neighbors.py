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


def test_a_similarity_is_told_by_how_alike_good_parts_are() -> None:
    angles = np.deg2rad([0, 1, 3, 7, 20])  # each is nearest to the one before, the first to the second
    good = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    names = ["a", "b", "c", "d", "e"]

    def farther(degrees: float) -> float | None:
        query = np.array([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))])
        return nearest_good(query, names, good, 1)[0].farther

    assert farther(0.5) == 1  # half a degree, where good parts lie 1, 1, 2, 4 and 13 from their nearest
    assert farther(-3) == 0.4
    assert farther(40) == 0
    assert nearest_good(np.ones(2), ["a"], np.ones((1, 2)))[0].farther is None


def test_new_parts_are_told_by_held_out_ones_where_there_are_any() -> None:
    def at(*degrees: float) -> np.ndarray:
        angles = np.deg2rad(degrees)
        return np.stack([np.cos(angles), np.sin(angles)], axis=1)

    good, query = at(0, 0.1, 0.2), at(3)[0]
    assert nearest_good(query, ["a", "b", "c"], good, 1)[0].farther == 0
    held_out = at(1, -2, 4, 9)  # 0.8, 2, 3.8 and 8.8 degrees from their nearest; the query 2.8
    assert nearest_good(query, ["a", "b", "c"], good, 1, held_out)[0].farther == 0.5
    assert nearest_good(query, ["a", "b", "c"], good, 1, held_out[:0])[0].farther == 0


def test_many_parts_are_compared_piece_by_piece() -> None:
    good = np.random.default_rng(0).normal(size=(1100, 4))
    names = [f"{i:04}" for i in range(len(good))]
    products = good @ good.T / np.outer(np.linalg.norm(good, axis=1), np.linalg.norm(good, axis=1))
    np.fill_diagonal(products, -np.inf)
    query = good[700] + 0.05
    found = nearest_good(query, names, good, 1)[0]
    assert found.farther == np.mean(products.max(axis=1) < found.similarity)
