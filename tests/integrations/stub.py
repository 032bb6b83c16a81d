"""A detector that learns in no time, and sees as well as it is told to."""

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from learning.detectors import Detector, DetectorConfig, FitReport, Prediction
from tests import stub


class StubConfig(DetectorConfig):
    sees: float = 1.0


class StubDetector(stub.StubDetector):
    """Distance from the mean good image, of that share of the columns which it sees."""

    Config: ClassVar[type[DetectorConfig]] = StubConfig
    config: StubConfig  # type: ignore[assignment]

    def predict(self, images: Tensor) -> Prediction:
        smooth = functional.avg_pool2d((images - self.mean).mean(dim=1, keepdim=True), 3, stride=1, padding=1)
        maps = smooth[:, 0].abs()
        maps[..., round(self.sees * maps.shape[-1]) :] = 0
        return Prediction(maps.amax(dim=(1, 2)), maps)

    @property
    def sees(self) -> float:
        """Share of the columns."""
        return self.config.sees


class TunableStub(StubDetector):
    """One that can go on: its sight, unlike another stub's, is what it has learnt."""

    name = "tunable"
    tunable: ClassVar[bool] = True

    start: "TunableStub | None" = None

    def fit(self, *arguments: Any, **more: Any) -> FitReport:
        """All columns that are left, where it goes on."""
        report = super().fit(*arguments, **more)
        self.sight = torch.tensor(self.config.sees if self.start is None else 1.0)
        if self.start is None:
            return report
        self.mean = (self.mean + self.start.mean) / 2
        return replace(report, weights="model")

    def go_on_from(self, start: Detector) -> None:
        assert isinstance(start, TunableStub)
        self.start = start

    @property
    def sees(self) -> float:
        """As it has learnt."""
        return float(self.sight)

    def save(self, folder: Path) -> None:
        save_file({"mean": self.mean, "sight": self.sight}, folder / "weights.safetensors")

    def load(self, folder: Path, device: str = "cpu") -> Self:
        self.sight = load_file(folder / "weights.safetensors", device=device)["sight"]
        return super().load(folder, device)
