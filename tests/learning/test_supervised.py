"""The fallback learns from few verdicts, and is the same after it was saved."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from sklearn.metrics import roc_auc_score

from learning.errors import BundleError
from learning.fusion import Scale
from learning.supervised import Fallback, fit_logistic
from learning.supervised.head import Places, fit_head, predict_map, predict_score, sample_places

WIDTH = 64


def parts(count: int, defective: bool, seed: int) -> np.ndarray:
    units = np.logspace(-1, 1, WIDTH)
    embeddings = np.random.default_rng(seed).normal(size=(count, WIDTH))
    embeddings[:, 3:6] += 1.5 * defective
    return 7 + embeddings * units


def dense(count: int, seed: int, flawed: bool) -> tuple[np.ndarray, np.ndarray]:
    features = np.random.default_rng(seed).normal(size=(count, 6, 16, 16)).astype(np.float32)
    masks = np.zeros((count, 32, 32), dtype=bool)
    if flawed:
        masks[:, 8:16, 16:24] = True
        features[:, 2, 4:8, 8:12] += 3
    return features, masks


def places(features: list[np.ndarray], masks: list[np.ndarray | None]) -> list[Places]:
    generator = np.random.default_rng(0)
    return [sample_places(one, mask, generator) for one, mask in zip(features, masks, strict=True)]


def test_few_confirmed_defects_are_enough() -> None:
    embeddings = np.concatenate([parts(60, False, 0), parts(12, True, 1)])
    fallback = Fallback.fit(embeddings, np.arange(72) >= 60)
    fresh = np.concatenate([parts(200, False, 2), parts(200, True, 3)])
    assert roc_auc_score(np.arange(400) >= 200, fallback.predict(fresh)) > 0.8


def test_units_of_the_features_do_not_matter() -> None:
    embeddings = np.concatenate([parts(60, False, 0), parts(12, True, 1)])
    labels = np.arange(72) >= 60
    first = fit_logistic(embeddings, labels).predict(embeddings)
    np.testing.assert_allclose(
        fit_logistic(embeddings * 100 + 3, labels).predict(embeddings * 100 + 3), first, rtol=1e-3
    )


def test_one_kind_alone_is_refused() -> None:
    with pytest.raises(ValueError, match="good and defective"):
        Fallback.fit(parts(5, False, 0), np.zeros(5, dtype=bool))


def test_the_head_finds_the_place() -> None:
    flawed, masks = dense(8, 0, flawed=True)
    good, _ = dense(8, 1, flawed=False)
    head = fit_head(places([*flawed, *good], [*masks, *[None] * 8]))
    assert head is not None
    fresh, truth = dense(8, 2, flawed=True)
    assert roc_auc_score(truth[:, ::2, ::2].ravel(), predict_map(head, fresh).ravel()) > 0.95
    assert predict_score(head, fresh).min() > predict_score(head, dense(8, 3, flawed=False)[0]).max()
    assert fit_head(places([*good], [None] * 8)) is None
    assert fit_head([]) is None


@pytest.mark.parametrize("with_head", [False, True])
def test_saved_and_loaded_it_says_the_same(tmp_path: Path, with_head: bool) -> None:
    flawed, masks = dense(8, 0, flawed=True)
    head = fit_head(places(list(flawed), list(masks))) if with_head else None
    embeddings = np.concatenate([parts(20, False, 0), parts(6, True, 1)])
    fallback = Fallback.fit(embeddings, np.arange(26) >= 20, head).with_scale(Scale((0.1, 2.0), (-3.0, 1.5), 3.0))
    fallback.save(tmp_path)
    loaded = Fallback.load(tmp_path)
    features = flawed if with_head else None
    np.testing.assert_array_equal(loaded.predict(embeddings[:8], features), fallback.predict(embeddings[:8], features))
    assert loaded.scale == fallback.scale
    assert loaded.needs_dense == with_head
    if with_head:
        with pytest.raises(ValueError, match="dense"):
            loaded.predict(embeddings)


def test_a_file_from_before_scales_had_a_slope_decides_as_it_did(tmp_path: Path) -> None:
    embeddings = np.concatenate([parts(20, False, 0), parts(6, True, 1)])
    scale = Scale((0.1, 2.0), (-3.0, 1.5))
    Fallback.fit(embeddings, np.arange(26) >= 20).with_scale(scale).save(tmp_path)
    file = tmp_path / "fallback.safetensors"
    arrays = load_file(file)
    save_file(arrays | {"scale": arrays["scale"][:4].copy()}, file)
    assert Fallback.load(tmp_path).scale == scale
    for damaged in (np.zeros(3), np.zeros(6)):
        save_file(arrays | {"scale": damaged}, file)
        with pytest.raises(BundleError, match="missing or damaged"):
            Fallback.load(tmp_path)


def test_a_damaged_file_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="missing or damaged"):
        Fallback.load(tmp_path)
    (tmp_path / "fallback.safetensors").write_bytes(b"nonsense")
    with pytest.raises(BundleError, match="missing or damaged"):
        Fallback.load(tmp_path)
