"""GANomaly behind the contract of detectors."""

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from learning.detectors.base import Budget, DetectorConfig, FitReport, Prediction
from learning.detectors.frozen import top_mean
from learning.detectors.ganomaly.network import GanomalyNetwork
from learning.detectors.patchwise import Patchwise, PatchwiseConfig, in_parts
from learning.flaw_sources import NO_SOURCES, FlawSources
from learning.progress import Progress, silent

if TYPE_CHECKING:
    from learning.images.image_set import ImageSet


class GanomalyConfig(PatchwiseConfig):
    """Options of the ``ganomaly`` detector."""


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
        """Learn windows of good parts; nothing is selected.

        Raises:
            ConfigError: If there are sources of flaws.
        """
        self.refuse_sources(sources)
        report = self.train_networks(train, seed, budget, progress, checkpoint)
        return FitReport(report.steps, report.seconds, weights="scratch", history=report.losses, waited=report.waited)

    @torch.inference_mode()
    def predict(self, images: Tensor) -> Prediction:
        """Score a batch ``[B, C, h, w]``: scores are distances of codes, maps are where windows are made wrong."""
        windows, patches = self.cut(images)
        both = in_parts(self._look, patches)
        scores = both[:, 0].view(len(images), *windows.grid)
        maps = windows.join(both[:, 1:].unflatten(1, patches.shape[-2:]))
        return Prediction(top_mean(scores, self.config.score_share).float(), maps.float())

    def features(self, windows: Tensor) -> Tensor:
        """What the encoder sees, before its last layer."""
        seen: Tensor = self.network.encoder.layers[:-1](windows)
        return seen

    def new_network(self) -> GanomalyNetwork:
        """Untrained networks."""
        return GanomalyNetwork(self.config.latent, self.config.width, self.preprocessing.channels)

    def _look(self, windows: Tensor) -> Tensor:
        """Score and flattened map of each window, ``[B, 1 + 64 * 64]``."""
        distances, wrong = self.network.look(windows)
        return torch.cat([distances[:, None], wrong.flatten(1)], dim=1)
