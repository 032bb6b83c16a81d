"""Backbones from each of the three origins, and a clear word where they cannot be had."""

import hashlib
import time
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from pydantic import ValidationError
from safetensors.torch import save_file

from learning.backbones import BackboneConfig, Origin, bare_backbone, create_backbone
from learning.errors import ConfigError

NAME = "resnet10t"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state dict as timm itself would publish it, classifier included."""
    torch.manual_seed(7)
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    save_file(timm.create_model(NAME).state_dict(), path)
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("channels", [1, 3])
def test_scratch_follows_from_the_seed_and_leaves_the_global_generator_alone(channels: int) -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    made = [create_backbone(BackboneConfig(name=NAME, levels=(1, 2)), channels, seed) for seed in (0, 0, 1)]
    assert torch.equal(torch.rand(1), expected)
    images = torch.rand(2, channels, 64, 48)
    first, second, other = ([level.detach() for level in each.network.eval()(images)] for each in made)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[0], other[0])
    assert made[0].origin is Origin.SCRATCH
    assert made[0].sha256 is None
    for level, width, reduction in zip(first, made[0].channels, made[0].reductions, strict=True):
        assert level.shape == (2, width, 64 // reduction, 48 // reduction)


def test_a_file_of_timm_gives_the_features_of_that_network(file: Path) -> None:
    config = BackboneConfig(name=NAME, weights=Origin.FILE, file=file, sha256=sha256(file))
    backbone = create_backbone(config, 3, seed=0)
    assert backbone.sha256 == sha256(file)
    assert backbone.origin is Origin.FILE
    torch.manual_seed(7)
    whole: Any = timm.create_model(NAME).eval()
    images = torch.rand(1, 3, 64, 64)
    mean, std = (
        torch.tensor(values)[:, None, None] for values in (whole.default_cfg["mean"], whole.default_cfg["std"])
    )
    expected = whole.forward_intermediates((images - mean) / std, indices=[3, 4][:1], intermediates_only=True)[0]
    levels = backbone.network.eval()(images)
    matching = [level for level in levels if level.shape == expected.shape]
    assert matching
    torch.testing.assert_close(matching[0], expected)


def test_a_grey_image_gives_nearly_what_the_same_image_in_colour_gives(file: Path) -> None:
    """Only the standardisation differs: that of grey images is the mean over the colours."""
    config = BackboneConfig(name=NAME, weights=Origin.FILE, file=file)
    image = torch.rand(1, 1, 64, 64)
    grey = create_backbone(config, 1, 0).network.eval()(image)
    colour = create_backbone(config, 3, 0).network.eval()(image.expand(1, 3, 64, 64))
    for one, three in zip(grey, colour, strict=True):
        assert torch.nn.functional.cosine_similarity(one.flatten(), three.flatten(), dim=0) > 0.98


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"name": "resnet10x"}, "timm has no model"),
        ({"levels": (2, 9)}, "no levels"),
        ({"weights": "file", "file": "nowhere.safetensors"}, "no file of weights"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(config: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        create_backbone(BackboneConfig.model_validate({"name": NAME} | config), 3, 0)
    assert "\n" not in str(raised.value)


def test_a_wrong_file_is_refused(file: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="another file, or damaged"):
        create_backbone(BackboneConfig(name=NAME, weights=Origin.FILE, file=file, sha256="0" * 64), 3, 0)
    pickled = tmp_path / "weights.safetensors"
    torch.save({"a": torch.zeros(1)}, pickled)
    with pytest.raises(ConfigError, match="no safetensors file"):
        create_backbone(BackboneConfig(name=NAME, weights=Origin.FILE, file=pickled), 3, 0)
    with pytest.raises(ConfigError, match="does not fit") as raised:
        create_backbone(BackboneConfig(name="resnet18", weights=Origin.FILE, file=file), 3, 0)
    assert "\n" not in str(raised.value)
    with pytest.raises(ValidationError, match="goes with"):
        BackboneConfig(file=file)


def test_a_missing_network_is_answered_at_once_and_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("learning.backbones.factory.try_to_load_from_cache", lambda *_: None)
    started = time.monotonic()
    with pytest.raises(ConfigError, match="weights: file") as raised:
        create_backbone(BackboneConfig(name=NAME, weights=Origin.PRETRAINED), 3, 0)
    assert time.monotonic() - started < 6
    assert "\n" not in str(raised.value)


def test_pretrained_weights_are_found_in_the_cache(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("learning.backbones.factory.try_to_load_from_cache", lambda *_: str(file))
    backbone = create_backbone(BackboneConfig(name=NAME, weights=Origin.PRETRAINED), 3, 0)
    assert (backbone.origin, backbone.sha256) == (Origin.PRETRAINED, sha256(file))


def test_nothing_is_fetched_unless_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        pytest.fail("the network was used")

    monkeypatch.setattr("socket.create_connection", refuse)
    monkeypatch.setattr("learning.backbones.factory.hf_hub_download", refuse)
    create_backbone(BackboneConfig(name=NAME), 3, 0)
    bare_backbone(BackboneConfig(name=NAME, weights=Origin.PRETRAINED), 3)
