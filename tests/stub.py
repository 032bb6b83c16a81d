"""A detector that learns in no time."""

from pathlib import Path
from typing import ClassVar, Self

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from learning.detectors import Budget, Detector, DetectorConfig, FitReport, Prediction
from learning.flaw_sources import NO_SOURCES, FlawSources
from learning.images.image_set import ImageSet
from learning.progress import Progress, silent


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
            precision="32-true",
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


class Blind(StubDetector):
    """Says the same of everything."""

    name = "blind"

    def predict(self, images: Tensor) -> Prediction:
        return Prediction(torch.zeros(len(images)), torch.zeros(len(images), *images.shape[-2:]))
