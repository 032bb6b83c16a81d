"""A discriminator on the features of places works for whatever has such features, and is taught as GLASS says."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn import functional

from learning.detectors import DETECTORS, Budget, create, detector_class
from learning.errors import BundleError, DataError
from learning.feature_discriminator import (
    DiscriminationConfig,
    FeatureDiscriminator,
    Pair,
    decide_hypothesis,
    discrimination_losses,
    fit_feature_discriminator,
    focal,
    to_rows,
)
from learning.feature_discriminator.losses import flawed_places
from learning.images.image_set import ImageSet
from learning.images.preprocessing import Preprocessing
from synth.feature_level import Hypothesis

SIDE = 48
TINY = {"name": "resnet10t", "levels": (1, 2)}
SMALL = {
    "segment": {"widths": (8, 16), "batch": 4},
    "glass": {"backbone": TINY, "width": 16, "batch": 2, "places": 64},
    "patchcore": {"backbone": TINY, "batch": 4, "places": 128},
    "kmeans": {"backbone": TINY, "batch": 4, "places": 128, "clusters": 4},
    "birch": {"backbone": TINY, "batch": 4, "places": 128, "subclusters": 8},
    "flow": {"backbone": TINY, "components": 6, "blocks": 2, "hidden": 8, "batch": 2},
    "autoencoder": {"widths": (4, 8), "code": 4, "batch": 4},
    "ganomaly": {"latent": 8, "width": 4, "batch": 4},
    "dcgan": {"latent": 8, "width": 4, "batch": 4},
}
QUICK = DiscriminationConfig(batch=3, places=128, families=("blob", "perlin", "scratch"))
DENSE = sorted(
    name for name in DETECTORS if hasattr(detector_class(name), "dense") and not detector_class(name).needs_defects
)


class Pixels:
    """A detector whose features are the mean and the deviation of small blocks of pixels."""

    device = "cpu"

    @torch.inference_mode()
    def dense(self, images: Tensor) -> Tensor:
        mean, square = functional.avg_pool2d(images, 4), functional.avg_pool2d(images.square(), 4)
        return torch.cat([mean, (square - mean.square()).clamp_min(0).sqrt()], dim=1)


def surface(random: np.random.Generator) -> np.ndarray:
    # Smooth over a few pixels: training moves pictures a little, which blurs what varies from pixel to pixel.
    return 120 + 30 * gaussian_filter(random.normal(0, 1, (SIDE, SIDE)), 1.5)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    folder = tmp_path_factory.mktemp("good")
    random = np.random.default_rng(0)
    paths = [folder / f"{i}.png" for i in range(12)]
    for path in paths:
        Image.fromarray(surface(random).clip(0, 255).astype(np.uint8)).save(path)
    return ImageSet(paths, Preprocessing(channels=1, height=SIDE, width=SIDE))


def test_every_detector_is_tried_below() -> None:
    assert set(DENSE) == {name for name in DETECTORS if not detector_class(name).needs_defects}


@pytest.mark.parametrize("name", DENSE)
def test_it_learns_on_the_features_of_any_detector(name: str, good: ImageSet, tmp_path: Path) -> None:
    detector = create(name, SMALL.get(name, {}), good.preprocessing)
    detector.fit(good, good, 0, Budget(steps=1))
    before = detector.dense(good.batch(range(2)))  # type: ignore[attr-defined]

    def fit() -> FeatureDiscriminator:
        return fit_feature_discriminator(detector, good, good, 0, Budget(steps=3), QUICK)[0]  # type: ignore[arg-type]

    network = fit()
    prediction = network.predict(detector, good.batch(range(4)))  # type: ignore[arg-type]
    assert prediction.scores.shape == (4,)
    assert prediction.maps.shape == (4, SIDE, SIDE)
    assert torch.isfinite(prediction.scores).all()
    again = fit().predict(detector, good.batch(range(4)))  # type: ignore[arg-type]
    assert torch.equal(again.maps, prediction.maps)
    assert torch.equal(detector.dense(good.batch(range(2))), before)  # type: ignore[attr-defined]
    network.save(tmp_path)
    loaded = FeatureDiscriminator.load(tmp_path).predict(detector, good.batch(range(4)))  # type: ignore[arg-type]
    assert torch.equal(loaded.scores, prediction.scores)


@pytest.mark.parametrize("hypothesis", [None, *Hypothesis])
def test_it_finds_spots_that_it_was_never_shown(good: ImageSet, hypothesis: Hypothesis | None) -> None:
    config = QUICK.model_copy(update={"hypothesis": hypothesis})
    network, choice = fit_feature_discriminator(Pixels(), good, good, 0, Budget(steps=80), config)
    assert choice.hypothesis == hypothesis or hypothesis is None
    assert set(choice.separation) == (set(Hypothesis) if hypothesis is None else set())
    random = np.random.default_rng(1)
    pictures = np.stack([surface(random) for _ in range(24)])
    pictures[:12, 20:30, 12:22] -= 80
    prediction = network.predict(Pixels(), torch.from_numpy(pictures / 255).float()[:, None])
    assert roc_auc_score(np.arange(24) < 12, prediction.scores) > 0.95
    truth = np.zeros(pictures.shape, dtype=bool)
    truth[:12, 20:30, 12:22] = True
    # With two features, the shells around good places overlap with other good ones: maps stay grainy.
    assert roc_auc_score(truth.ravel(), prediction.maps.numpy().ravel()) > 0.7


def test_a_dimension_that_never_varies_keeps_its_scale() -> None:
    dense = torch.cat([torch.randn(3, 2, 4, 4) * 5 + 2, torch.full((3, 1, 4, 4), 7.0)], dim=1)
    network = FeatureDiscriminator(3)
    network.fit_scales(dense)
    rows = to_rows(network.standardise(dense))
    torch.testing.assert_close(rows.mean(dim=0), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(rows.std(dim=0, correction=0), torch.tensor([1.0, 1.0, 0.0]), atol=1e-5, rtol=0)


def test_a_place_is_flawed_if_any_of_its_pixels_is() -> None:
    masks = torch.zeros(2, 1, 12, 8)
    masks[0, 0, 5, 3] = 1
    places = flawed_places(masks, torch.zeros(2, 3, 2))
    assert places.nonzero().tolist() == [[0, 1, 0]]


@pytest.mark.parametrize("hypothesis", Hypothesis)
def test_losses_teach_the_judge_and_the_features(hypothesis: Hypothesis) -> None:
    layer = torch.nn.Linear(6, 1)
    features = torch.randn(4, 6, 5, 5, generator=torch.Generator().manual_seed(0)).requires_grad_()
    masks = (torch.rand(2, 1, 20, 20, generator=torch.Generator().manual_seed(1)) > 0.9).float()
    pair = Pair(torch.zeros(2, 1, 20, 20), torch.zeros(2, 1, 20, 20), masks, seed=3)

    def losses() -> dict[str, Tensor]:
        good, flawed = features.chunk(2)
        return discrimination_losses(lambda rows: layer(rows)[:, 0], good, flawed, pair, hypothesis, QUICK)

    first = losses()
    assert set(first) == {"good", "global", "local"}
    assert all(torch.equal(first[name], again) for name, again in losses().items())
    torch.stack(list(first.values())).sum().backward()
    assert layer.weight.grad is not None
    assert features.grad is not None
    assert (features.grad.abs().sum(dim=(1, 2, 3)) > 0).all()


def test_parts_on_which_no_flaw_shows_cannot_decide(good: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "learning.feature_discriminator.hypothesis.Synthesizer.apply",
        lambda images, recipe, context: (images, torch.zeros_like(images)),
    )
    with pytest.raises(DataError, match="hypothesis"):
        decide_hypothesis(QUICK, Pixels().dense, good, good, 0)


def test_a_missing_or_damaged_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="missing or damaged"):
        FeatureDiscriminator.load(tmp_path)
    (tmp_path / "discriminator.safetensors").write_bytes(b"nonsense")
    with pytest.raises(BundleError, match="missing or damaged"):
        FeatureDiscriminator.load(tmp_path)


def test_focal_against_its_formula() -> None:
    logits = torch.rand(2, 5, 5, generator=torch.Generator().manual_seed(0)) * 6 - 3
    masks = (torch.rand(2, 5, 5, generator=torch.Generator().manual_seed(1)) > 0.5).float()
    expected = 0.0
    for logit, mask in zip(logits.flatten().tolist(), masks.flatten().tolist(), strict=True):
        p = 1 / (1 + math.exp(-logit))
        p_true, alpha = (p, 0.75) if mask else (1 - p, 0.25)
        expected -= alpha * (1 - p_true) ** 2 * math.log(p_true)
    assert float(focal(logits, masks)) == pytest.approx(expected / 50, rel=1e-4)
