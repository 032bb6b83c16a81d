"""A detector that learns in no time, and sees as well as it is told to."""

from typing import ClassVar

from torch import Tensor
from torch.nn import functional

from learning.detectors import DetectorConfig, Prediction
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
        maps[..., round(self.config.sees * maps.shape[-1]) :] = 0
        return Prediction(maps.amax(dim=(1, 2)), maps)
