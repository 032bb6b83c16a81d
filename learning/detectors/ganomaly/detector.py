"""GANomaly behind the contract of detectors."""

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from learning.detectors.base import Budget, DetectorConfig, FitReport, Prediction
from learning.detectors.frozen import top_mean
from learning.detectors.ganomaly.network import GanomalyNetwork
from learning.detectors.patchwise import Patchwise, PatchwiseConfig
from learning.detectors.placewise import stand_out
from learning.flaw_sources import NO_SOURCES, FlawSources
from learning.progress import Progress, silent

if TYPE_CHECKING:
    from learning.images.image_set import ImageSet


class GanomalyConfig(PatchwiseConfig):
    """Options of the ``ganomaly`` detector."""

    learning_rate: float = Field(default=1e-3, gt=0, le=0.01)


class Ganomaly(Patchwise):
    """An image that is not good is not made again with the same code (Akcay et al., ACCV 2018)."""

    name = "ganomaly"
    Config: ClassVar[type[DetectorConfig]] = GanomalyConfig
    network: GanomalyNetwork

    def fit(
        self,
        train: "ImageSet",
        selection: "ImageSet",
        seed: int,
        budget: Budget,
        progress: Progress = silent,
        checkpoint: Path | None = None,
        sources: FlawSources = NO_SOURCES,
    ) -> FitReport:
        """Learn windows of good parts; ``selection`` says what errors are usual.

        Raises:
            ConfigError: If there are sources of flaws.
        """
        self.refuse_sources(sources)
        report = self.train_networks(train, selection, seed, budget, progress, checkpoint)
        return FitReport(
            report.steps,
            report.seconds,
            weights="scratch",
            history=report.losses,
            waited=report.waited,
            precision=report.precision,
        )

    @torch.inference_mode()
    def predict(self, images: Tensor) -> Prediction:
        """Score a batch ``[B, C, h, w]``; maps are errors above what is usual there, in deviations."""
        maps = stand_out(self.usual(self.errors(images)), self.preprocessing)
        return Prediction(top_mean(maps, self.config.score_share), maps)

    def look(self, windows: Tensor) -> Tensor:
        """How badly windows are made."""
        return self.network.look(windows)

    def features(self, windows: Tensor) -> Tensor:
        """What the encoder sees, before its last layer."""
        seen: Tensor = self.network.encoder.layers[:-1](windows)
        return seen

    def new_network(self) -> GanomalyNetwork:
        """Untrained networks."""
        return GanomalyNetwork(self.config.latent, self.config.width, self.preprocessing.channels)
