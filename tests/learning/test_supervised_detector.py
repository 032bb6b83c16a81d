"""The ``supervised`` detector: it learns what was confirmed, and refuses to guess."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from learning.config import TrainConfig
from learning.detectors import Budget, create
from learning.detectors.supervised.detector import _side
from learning.detectors.supervised.losses import compute_losses
from learning.detectors.supervised.patches import make_batch
from learning.detectors.supervised.plateau import Plateau
from learning.errors import ConfigError
from learning.flaw_sources import NO_SOURCES, FlawSources
from learning.images.image_set import ImageSet
from learning.images.preprocessing import Preprocessing
from learning.images.readers import read_data
from learning.metrics import image_auroc
from learning.prefetch import step_generator
from learning.training import train_bundle
from synth.sources.defects import Defect, DefectBank
from synth.sources.folder import TextureFolder
from tests.learning.spots import good_parts, spotted

OPTIONS = {"patch": 32, "decoder": (16, 8, 8, 8, 4), "encoder": "mobilenet_v2", "batch": 8, "every": 4}


def bank(name: str = "a", group: str = "") -> DefectBank:
    """A dark spot."""
    mask = torch.zeros(1, 18, 18)
    mask[:, 4:14, 4:14] = 1
    pixels = 0.47 - 0.18 * mask + 0.02 * torch.randn(1, 18, 18, generator=torch.Generator().manual_seed(0))
    return DefectBank(
        (Defect(pixels, mask, torch.tensor([0.47]), torch.tensor([0.02]), 1.0, 64, name, "spot", group=group),)
    )


SOURCES = FlawSources(bank())


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    return good_parts(tmp_path_factory.mktemp("good"), 16, np.random.default_rng(0))


def test_it_finds_what_was_confirmed(parts: ImageSet) -> None:
    detector = create("supervised", OPTIONS, parts.preprocessing)
    report = detector.fit(parts, parts, 0, Budget(steps=70), sources=SOURCES)
    images, masks = spotted(np.random.default_rng(1))
    prediction = detector.predict(images)
    assert image_auroc(prediction.scores.numpy(), masks.any(axis=(1, 2))) > 0.9
    inside, outside = prediction.maps.numpy()[masks], prediction.maps.numpy()[~masks]
    assert inside.mean() > outside.mean() + 0.1
    assert report.weights == "scratch"
    assert set(report.history) == {"crossentropy", "dice"}
    assert report.selection["loss on held-out parts"] < 2


@pytest.mark.parametrize(
    ("sources", "reason"),
    [
        (NO_SOURCES, "learns from confirmed defects with masks, and there is none that may train.*--defects"),
        (FlawSources(DefectBank(())), "there is none that may train"),
    ],
)
def test_without_a_confirmed_defect_it_refuses(parts: ImageSet, sources: FlawSources, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        create("supervised", OPTIONS, parts.preprocessing).fit(parts, parts, 0, Budget(steps=1), sources=sources)


def test_textures_would_be_ignored_and_are_refused(parts: ImageSet) -> None:
    sources = FlawSources(bank(), TextureFolder(parts.paths[0].parent))
    with pytest.raises(ConfigError, match="cannot use textures"):
        create("supervised", OPTIONS, parts.preprocessing).fit(parts, parts, 0, Budget(steps=1), sources=sources)


def test_defects_that_are_all_held_back_are_none(parts: ImageSet, tmp_path: Path) -> None:
    config = TrainConfig(detector="supervised", detector_config=OPTIONS, size=64, view="whole")
    folder = parts.paths[0].parent
    every = DefectBank(tuple(bank(record.path.name, record.group).defects[0] for record in read_data(folder)))
    bundle = train_bundle(folder, tmp_path / "a", config=config, budget=Budget(steps=1), defects=every)
    held_back = {*bundle.calibration["group"], *bundle.selection["group"]}
    assert len(bundle.manifest.defects.left_out) == len(held_back) >= 2
    kept = every.where(lambda defect: defect.group in held_back)
    with pytest.raises(ConfigError, match="none that may train"):
        train_bundle(folder, tmp_path / "b", config=config, budget=Budget(steps=1), defects=kept)


def test_an_unknown_encoder_and_a_ragged_patch_are_named(parts: ImageSet) -> None:
    with pytest.raises(ConfigError, match="no encoder 'alexnet'"):
        create("supervised", {"encoder": "alexnet"}, parts.preprocessing)
    with pytest.raises(ConfigError, match="multiples of 32"):
        create("supervised", {"patch": 100}, parts.preprocessing)


@pytest.mark.parametrize("augmented", [True, False])
def test_a_batch_shows_defects_where_the_masks_say(parts: ImageSet, augmented: bool) -> None:
    def draw() -> tuple[torch.Tensor, torch.Tensor]:
        patches = make_batch(
            parts, SOURCES, side=32, count=8, good_share=0.5, generator=step_generator(0, 1), augmented=augmented
        )
        return patches.images, patches.masks

    images, masks = draw()
    assert images.shape == masks.shape == (8, 1, 32, 32)
    assert set(masks.unique().tolist()) == {0.0, 1.0}
    shown = masks.flatten(1).amax(dim=1)
    assert not shown[:4].any()
    assert shown[4:].sum() >= 3  # a spot at the border of a patch may be turned out of it
    assert images[masks > 0].mean() < images[masks == 0].mean() - 0.03
    assert 0 <= images.min() <= images.max() <= 1
    again = draw()
    assert torch.equal(again[0], images)
    assert torch.equal(again[1], masks)


def test_losses_are_those_of_the_formula() -> None:
    logits = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    masks = (torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(1)) > 0.7).float()
    p = logits.double().sigmoid()
    losses = compute_losses(logits, masks)
    entropy = -(masks * p.log() + (1 - masks) * (1 - p).log()).mean()
    dice = 1 - (2 * (p * masks).sum() + 1) / (p.sum() + masks.sum() + 1)
    assert float(losses["crossentropy"]) == pytest.approx(float(entropy), rel=1e-5)
    assert float(losses["dice"]) == pytest.approx(float(dice), rel=1e-5)
    assert compute_losses(logits, torch.zeros_like(masks))["dice"] == 0


def test_the_rate_falls_after_looks_without_a_gain_and_is_gone_on_from() -> None:
    said = iter([1.0, 0.8, 0.9, 0.85, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7])
    plateau = Plateau(lambda network: next(said), peak=1e-3, lowest=2e-5, every=5, patience=2)
    rates = []
    for _ in range(8):
        plateau.update(nn.Identity(), torch.Generator())
        rates.append(plateau.rate(0.5))
    assert rates == pytest.approx([1e-3, 1e-3, 1e-3, 1e-4, 1e-4, 1e-4, 2e-5, 2e-5])
    assert plateau.least == 0.7
    again = Plateau(lambda network: 0.7, 1e-3, 2e-5, 5, 2)
    again.load_state_dict(plateau.state_dict())
    assert (again.rate(0), again.least) == (plateau.rate(0), 0.7)
    again.update(nn.Identity(), torch.Generator())
    assert again.rate(0) == pytest.approx(2e-5)


@pytest.mark.parametrize(("height", "width", "side"), [(144, 112, 96), (20, 300, 32), (384, 300, 256), (256, 64, 64)])
def test_patches_fit_into_pictures(height: int, width: int, side: int) -> None:
    preprocessing = Preprocessing(channels=1, height=height, width=width)
    assert _side(256, preprocessing) == side
    assert _side(32, preprocessing) == 32


def test_bundles_that_do_not_say_how_large_patches_were_score_as_they_did(parts: ImageSet, tmp_path: Path) -> None:
    detector = create("supervised", {**OPTIONS, "patch": 256}, parts.preprocessing)
    detector.fit(parts, parts, 0, Budget(steps=2), sources=SOURCES)
    detector.save(tmp_path)
    images = parts.batch(range(2))
    again = create("supervised", {**OPTIONS, "patch": 256}, parts.preprocessing).load(tmp_path)
    torch.testing.assert_close(again.predict(images).maps, detector.predict(images).maps)
    arrays = load_file(tmp_path / "weights.safetensors")
    fitted = int(arrays.pop("patch"))
    assert fitted <= min(images.shape[-2:])
    save_file(arrays, tmp_path / "weights.safetensors")
    before = create("supervised", {**OPTIONS, "patch": 256}, parts.preprocessing).load(tmp_path)
    assert not torch.allclose(before.predict(images).maps, detector.predict(images).maps)
