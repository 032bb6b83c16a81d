"""The pieces of the ``glass`` detector."""

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from sklearn.metrics import roc_auc_score
from torch import Tensor

from learning.backbones import BackboneConfig, create_backbone
from learning.detectors import Budget, create
from learning.detectors.glass import Glass
from learning.detectors.glass.network import GlassNetwork
from learning.errors import ConfigError
from learning.feature_discriminator import to_rows
from learning.images.image_set import ImageSet
from synth.feature_level import Hypothesis
from tests.learning.spots import good_parts, spotted

SMALL = {
    "backbone": {"name": "resnet10t", "levels": (0, 1)},
    "width": 32,
    "batch": 4,
    "places": 256,
    "families": ("perlin", "scratch"),
}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    return good_parts(tmp_path_factory.mktemp("good"), 16, np.random.default_rng(0))


def network(frozen: bool) -> GlassNetwork:
    backbone = create_backbone(BackboneConfig(name="resnet10t", levels=(1, 2)), 1, 0)
    torch.manual_seed(0)
    return GlassNetwork(backbone.network, backbone.channels, width=16, frozen=frozen)


def test_features_have_the_same_scale_whatever_the_backbone_and_lie_on_the_finest_level() -> None:
    features = network(frozen=False).train()(torch.rand(2, 1, 64, 48))
    assert features.shape == (2, 16, 16, 12)
    rows = to_rows(features.detach())
    torch.testing.assert_close(rows.mean(dim=0), torch.zeros(16), atol=1e-4, rtol=0)
    torch.testing.assert_close(rows.std(dim=0, correction=0), torch.ones(16), atol=1e-2, rtol=0)


def test_places_are_judged_in_their_order() -> None:
    net = network(frozen=False).eval()
    features = net(torch.rand(2, 1, 64, 48))
    logits = net.judge_places(features)
    torch.testing.assert_close(logits[1, 3, 5], net.judge(features[1, :, 3, 5][None])[0])


def test_a_frozen_backbone_keeps_its_weights_and_statistics() -> None:
    net = network(frozen=True).train()
    before = {name: value.clone() for name, value in net.patches.backbone.state_dict().items()}
    net(torch.rand(4, 1, 64, 64)).sum().backward()
    assert all(parameter.grad is None for parameter in net.patches.parameters())
    assert all(torch.equal(value, before[name]) for name, value in net.patches.backbone.state_dict().items())
    assert net.adaptor.weight.grad is not None


def test_it_learns_to_find_dark_spots_from_good_parts_alone(good: ImageSet) -> None:
    detector = create("glass", SMALL, good.preprocessing)
    report = detector.fit(good, good, seed=0, budget=Budget(steps=40))
    assert set(report.history) == {"good", "global", "local"}
    assert (report.weights, report.backbone, report.backbone_sha256) == ("scratch", "resnet10t", None)
    evidence = {name: report.selection[f"separation under the {name} hypothesis"] for name in Hypothesis}
    assert report.choices == {"hypothesis": max(evidence, key=lambda name: evidence[name])}
    assert all(0 <= value <= 1 for value in evidence.values())
    random = np.random.default_rng(1)
    images, masks = spotted(random)
    prediction = detector.predict(images)
    assert roc_auc_score(np.arange(24) < 12, prediction.scores) > 0.9
    assert roc_auc_score(masks.ravel(), prediction.maps.numpy().ravel()) > 0.8


@pytest.mark.parametrize("hypothesis", ["manifold", "hypersphere"])
def test_a_bundle_needs_the_file_of_weights_only_once(good: ImageSet, tmp_path: Path, hypothesis: str) -> None:
    file = tmp_path / "model.safetensors"
    save_file(timm.create_model("resnet10t").state_dict(), file)
    options = SMALL | {
        "backbone": {"name": "resnet10t", "levels": (1, 2), "weights": "file", "file": str(file)},
        "hypothesis": hypothesis,
    }
    detector = create("glass", options, good.preprocessing)
    report = detector.fit(good, good, seed=0, budget=Budget(steps=1))
    assert report.weights == "file"
    assert (report.choices, report.selection) == ({"hypothesis": hypothesis}, {})
    assert report.backbone_sha256 is not None
    (tmp_path / "bundle").mkdir()
    detector.save(tmp_path / "bundle")
    file.unlink()
    loaded = create("glass", options, good.preprocessing).load(tmp_path / "bundle")
    images: Tensor = good.batch(range(3))
    assert torch.equal(loaded.predict(images).scores, detector.predict(images).scores)
    assert isinstance(loaded, Glass)
    assert loaded.dense(images).shape == (3, 32, 16, 16)
    with pytest.raises(ConfigError, match="no file of weights"):
        create("glass", options, good.preprocessing).fit(good, good, 0, Budget(steps=1))
