"""The pieces of the detectors ``autoencoder``, ``ganomaly`` and ``dcgan``."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from learning.detectors import Budget, create
from learning.detectors.autoencoder.network import Autoencoder
from learning.detectors.dcgan.network import DcganNetwork
from learning.detectors.ganomaly.network import GanomalyNetwork
from learning.errors import ConfigError
from learning.generative.network import Discriminator, held
from learning.images.image_set import ImageSet
from tests.learning.spots import good_parts, spotted

SMALL = {
    "autoencoder": {"widths": (8, 16), "code": 2, "batch": 8, "learning_rate": 1e-2},
    "ganomaly": {"latent": 8, "width": 4, "batch": 8, "learning_rate": 2e-3},
    "dcgan": {"latent": 8, "width": 4, "batch": 8, "learning_rate": 2e-3},
}
STEPS = {"autoencoder": 60, "ganomaly": 120, "dcgan": 40}

each = pytest.mark.parametrize("name", sorted(SMALL))


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    return good_parts(tmp_path_factory.mktemp("good"), 12, np.random.default_rng(0))


def grads(module: torch.nn.Module) -> float:
    return sum(float(one.grad.abs().sum()) for one in module.parameters() if one.grad is not None)


@each
def test_it_finds_dark_spots_from_good_parts_alone(name: str, good: ImageSet) -> None:
    detector = create(name, SMALL[name], good.preprocessing)
    report = detector.fit(good, good, seed=0, budget=Budget(steps=STEPS[name]))
    assert report.weights == "scratch"
    random = np.random.default_rng(1)
    images, masks = spotted(random, side=18, depth=80)
    prediction = detector.predict(images)
    assert roc_auc_score(np.arange(24) < 12, prediction.scores) > 0.9
    assert roc_auc_score(masks.ravel(), prediction.maps.numpy().ravel()) > 0.6
    assert prediction.maps.min() >= 0


def test_the_autoencoder_says_where_it_would_divide_scores(good: ImageSet) -> None:
    detector = create("autoencoder", SMALL["autoencoder"], good.preprocessing)
    report = detector.fit(good, good, seed=0, budget=Budget(steps=3))
    assert {"adaptive threshold", "separation of scores", "good parts above it"} <= set(report.selection)


@pytest.mark.parametrize("asked", [None, "discriminator", "reconstruction"])
def test_held_out_parts_choose_the_score_of_dcgan_unless_it_is_said(
    good: ImageSet, asked: str | None, tmp_path: Path
) -> None:
    detector = create("dcgan", SMALL["dcgan"] | {"score": asked}, good.preprocessing)
    report = detector.fit(good, good, seed=0, budget=Budget(steps=2))
    figures = {
        by: report.selection[f"AUROC of the {by} on made-up flaws"] for by in ("discriminator", "reconstruction")
    }
    assert report.choices["score"] == (asked or max(figures, key=lambda by: figures[by]))
    detector.save(tmp_path)
    loaded = create("dcgan", SMALL["dcgan"] | {"score": asked}, good.preprocessing).load(tmp_path)
    assert torch.equal(loaded.predict(good.batch(range(2))).scores, detector.predict(good.batch(range(2))).scores)


@pytest.mark.parametrize("widths", [(4,), (4, 8, 8)])
def test_the_autoencoder_gives_images_of_the_size_it_got(widths: tuple[int, ...]) -> None:
    network = Autoencoder(3, widths, 2)
    side = 3 * network.stride
    codes = network.encoder(torch.rand(2, 3, side, 2 * side))
    assert codes.shape == (2, 2, 3, 6)
    assert network.decoder(codes).shape == (2, 3, side, 2 * side)


def losses_of(network: GanomalyNetwork | DcganNetwork) -> dict[str, Tensor]:
    windows, noise = torch.rand(4, 1, 64, 64) * 2 - 1, torch.randn(4, 8)
    found: dict[str, Tensor] = network(windows, noise)
    return found


def test_each_player_of_dcgan_learns_by_its_own_loss_alone() -> None:
    for name, taught in (("discriminator", "discriminator"), ("generator", "generator"), ("encoder", "encoder")):
        network = DcganNetwork(8, 4, 1)
        losses_of(network)[name].backward()
        moved = {part for part in ("discriminator", "generator", "encoder") if grads(getattr(network, part)) > 0}
        assert moved == {taught}


def test_each_player_of_ganomaly_learns_by_its_own_losses_alone() -> None:
    for name, taught in (
        ("discriminator", {"discriminator"}),
        ("adversarial", {"encoder", "decoder"}),
        ("context", {"encoder", "decoder"}),
        ("encoder", {"encoder", "decoder", "again"}),
    ):
        network = GanomalyNetwork(8, 4, 1)
        losses_of(network)[name].backward()
        parts = ("discriminator", "encoder", "decoder", "again")
        assert {part for part in parts if grads(getattr(network, part)) > 0} == taught


def test_a_held_player_is_passed_through_and_learns_again_afterwards() -> None:
    judge = Discriminator(4, 1)
    patches = torch.rand(2, 1, 64, 64, requires_grad=True)
    with held(judge):
        said = judge(patches).sum()
    said.backward()
    assert patches.grad is not None
    assert grads(judge) == 0
    assert all(one.requires_grad for one in judge.parameters())


def test_a_discriminator_judges_a_patch_alone_in_evaluation() -> None:
    judge = Discriminator(4, 1)
    patches = torch.rand(5, 1, 64, 64)
    judge(patches)
    assert judge.usual > 0
    judge.eval()
    torch.testing.assert_close(judge(patches)[2:3], judge(patches[2:3]))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("autoencoder", {"widths": ()}),
        ("autoencoder", {"code": 0}),
        ("ganomaly", {"latent": 1}),
        ("dcgan", {"score": "taste"}),
        ("dcgan", {"stride": 0}),
    ],
)
def test_wrong_options_are_named_in_a_line(good: ImageSet, name: str, wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))) as raised:
        create(name, wrong, good.preprocessing)
    assert "\n" not in str(raised.value)
