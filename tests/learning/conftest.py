"""A detector that learns in no time, images, and a bundle."""

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from learning.bundle import Bundle, PartScores
from learning.config import TrainConfig
from learning.detectors import DETECTORS, Budget, Detector, DetectorConfig, FitReport, Prediction
from learning.flaw_sources import NO_SOURCES, FlawSources
from learning.images.image_set import ImageSet
from learning.images.preprocessing import Preprocessing
from learning.images.readers import read_data
from learning.progress import Progress, silent
from learning.thresholds import smallest_promise_threshold


class StubConfig(DetectorConfig):
    gain: float = 1.0


class StubDetector(Detector):
    """Distance from the mean good image."""

    name = "stub"
    Config: ClassVar[type[DetectorConfig]] = StubConfig
    default_size: ClassVar[int] = 32
    config: StubConfig
    mean: Tensor

    def fit(
        self,
        train: ImageSet,
        selection: ImageSet,
        seed: int,
        budget: Budget,
        progress: Progress = silent,
        checkpoint: Path | None = None,
        sources: FlawSources = NO_SOURCES,
    ) -> FitReport:
        self.mean = train.batch(range(len(train))).mean(dim=0)
        return FitReport(
            steps=1,
            seconds=0.1,
            weights="scratch",
            history={"loss": [0.5]},
            selection={"auroc": 0.9},
            choices={"hypothesis": "manifold"},
        )

    def predict(self, images: Tensor) -> Prediction:
        maps = self.config.gain * (images - self.mean).abs().mean(dim=1)
        return Prediction(maps.amax(dim=(1, 2)), maps)

    def embed(self, images: Tensor) -> Tensor:
        return functional.adaptive_avg_pool2d(images, 4).flatten(1)

    def save(self, folder: Path) -> None:
        save_file({"mean": self.mean}, folder / "weights.safetensors")

    def load(self, folder: Path, device: str = "cpu") -> Self:
        self.mean = load_file(folder / "weights.safetensors", device=device)["mean"]
        return self


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> type[StubDetector]:
    monkeypatch.setitem(DETECTORS, "stub", f"{__name__}:StubDetector")
    return StubDetector


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """MVTec layout: 24 good parts to train on; 8 good, 6 with a bright and 3 with a faint spot to test; with masks."""
    rng = np.random.default_rng(0)
    root = tmp_path / "data"

    def save(name: str, spot: int = 0) -> None:
        # Of various sizes, so that maps have to come back at each image's own.
        height, width = rng.integers(40, 70, 2)
        pixels = np.clip(rng.normal(120, 6, (height, width)), 0, 255)
        if spot:
            top, left = rng.integers(5, 25, 2)
            pixels[top : top + 8, left : left + 9] += spot
            mask = np.zeros((height, width), dtype=np.uint8)
            mask[top : top + 8, left : left + 9] = 255
            file = root / name.replace("test", "ground_truth").replace(".png", "_mask.png")
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask).save(file)
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(root / name)

    for i in range(24):
        save(f"train/good/{i:02}.png")
    for i in range(8):
        save(f"test/good/{i:02}.png")
    for i in range(6):
        save(f"test/bright/{i:02}.png", spot=100)
    for i in range(3):
        save(f"test/faint/{i:02}.png", spot=3)
    return root


@pytest.fixture
def make_bundle(stub: type[StubDetector], data: Path, tmp_path: Path) -> Callable[..., Bundle]:
    """Writes a bundle trained on ``data``."""

    def make(folder: Path = tmp_path / "bundle", seed: int = 0, gain: float = 1.0) -> Bundle:
        good = [record for record in read_data(data) if record.split == "train"]
        preprocessing = Preprocessing.for_images([record.path for record in good], 32)
        detector = stub(StubConfig(gain=gain), preprocessing)
        sets = {"train": good[:12], "selection": good[12:16], "calibration": good[16:]}
        images = {name: ImageSet(records, preprocessing) for name, records in sets.items()}
        report = detector.fit(images["train"], images["selection"], seed, Budget(steps=1))

        def scores(name: str) -> PartScores:
            prediction = detector.predict(images[name].batch(range(len(images[name]))))
            return PartScores(
                image=[str(path) for path in images[name].paths],
                part=[record.part for record in sets[name]],
                group=images[name].groups,
                score=prediction.scores.double().numpy(),
                highest_map=float(prediction.maps.max()),
            )

        embeddings = {
            name: ([str(path) for path in some.paths], detector.embed(some.batch(range(len(some)))).numpy())
            for name, some in images.items()
        }
        calibration = scores("calibration")
        return Bundle.write(
            folder,
            detector=detector,
            report=report,
            config=TrainConfig(detector="stub"),
            seed=seed,
            data_fingerprint="0" * 64,
            calibration=calibration,
            selection=scores("selection"),
            embeddings=embeddings,
            map_range=(0.0, 0.4),
            threshold=smallest_promise_threshold(calibration.by_group()),
        )

    return make


@pytest.fixture
def bundle(make_bundle: Callable[..., Bundle]) -> Bundle:
    return make_bundle()


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)
