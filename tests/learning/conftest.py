"""Images, and a bundle of a detector that learns in no time."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from learning.bundle import Bundle, PartScores
from learning.config import TrainConfig
from learning.detectors import DETECTORS, Budget
from learning.images.image_set import ImageSet
from learning.images.preprocessing import Preprocessing
from learning.images.readers import read_data
from learning.thresholds import smallest_promise_threshold
from tests.stub import StubConfig, StubDetector


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> type[StubDetector]:
    monkeypatch.setitem(DETECTORS, "stub", "tests.stub:StubDetector")
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
            trained_on=12,
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
