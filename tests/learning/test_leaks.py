"""What is tested on has no say: a bundle is the same whatever the test images show."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from learning.bundle import Bundle
from learning.config import TrainConfig
from learning.detectors import Budget
from learning.training import train_bundle

_BACKBONE = {"name": "resnet10t", "levels": (1, 2)}
_SEGMENT = {"widths": (8, 16), "batch": 4}
_GLASS = {"backbone": _BACKBONE, "width": 16, "batch": 2, "places": 64}
_PATCHCORE = {"backbone": _BACKBONE, "batch": 4, "places": 256}

CONFIGS: dict[str, dict[str, Any]] = {
    "segment": {"detector": "segment", "detector_config": _SEGMENT},
    "glass": {"detector": "glass", "detector_config": _GLASS},
    "auto": {
        "detector": "auto",
        "auto": {
            "candidates": ("segment", "glass", "patchcore"),
            "options": {"segment": _SEGMENT, "glass": _GLASS, "patchcore": _PATCHCORE},
            "images": 8,
        },
    },
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MVTec layout, with 36 good parts to train on and a test part with defects and their masks."""
    root = tmp_path_factory.mktemp("leaks") / "data"
    random = np.random.default_rng(0)
    for name, count in (("train/good", 36), ("test/good", 4), ("test/pit", 4)):
        (root / name).mkdir(parents=True)
        for i in range(count):
            surface = 120 + random.normal(0, 5, (48, 48))
            if name == "test/pit":
                surface[10:20, 10:20] = 30
            _save(root / name / f"{i:02}.png", surface)
    (root / "ground_truth/pit").mkdir(parents=True)
    mask = np.zeros((48, 48))
    mask[10:20, 10:20] = 255
    for i in range(4):
        _save(root / f"ground_truth/pit/{i:02}_mask.png", mask)
    return root


def _save(file: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file)


def _train(data: Path, out: Path, name: str) -> Bundle:
    config = TrainConfig(**CONFIGS[name], size=48, view="whole")
    return train_bundle(data, out, config=config, budget=Budget(steps=6), seed=3)


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_a_bundle_does_not_change_when_test_images_become_noise(name: str, data: Path, tmp_path: Path) -> None:
    expected = _train(data, tmp_path / "before", name)
    noisy = tmp_path / "noisy"
    shutil.copytree(data, noisy)
    random = np.random.default_rng(1)
    replaced = [*noisy.glob("test/*/*.png"), *noisy.glob("ground_truth/*/*.png")]
    assert len(replaced) == 12
    for file in replaced:
        _save(file, random.uniform(0, 255, (48, 48)))
    bundle = _train(noisy, tmp_path / "after", name)
    assert _bytes(bundle) == _bytes(expected)
    assert bundle.fingerprint == expected.fingerprint
    before, after = expected.thresholds.current(), bundle.thresholds.current()
    assert (after.value, after.promise, after.reason) == (before.value, before.promise, before.reason)
    if name == "auto":
        assert expected.manifest.auto is not None
        assert bundle.manifest.auto is not None
        assert len(expected.manifest.auto.candidates) == 3
        assert bundle.manifest.auto.reason == expected.manifest.auto.reason
    # The test can fail: other training images make another bundle.
    for file in noisy.glob("train/good/*.png"):
        _save(file, random.uniform(0, 255, (48, 48)))
    assert _bytes(_train(noisy, tmp_path / "other", name)) != _bytes(expected)


def _bytes(bundle: Bundle) -> bytes:
    return (bundle.folder / "weights.safetensors").read_bytes()
