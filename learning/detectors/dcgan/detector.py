"""DCGAN behind the contract of detectors."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from learning.detectors.base import Budget, DetectorConfig, FitReport, Prediction
from learning.detectors.dcgan.network import DcganNetwork
from learning.detectors.frozen import top_mean
from learning.detectors.patchwise import Patchwise, PatchwiseConfig
from learning.detectors.placewise import stand_out
from learning.flaw_sources import NO_SOURCES, FlawSources
from learning.metrics import image_auroc
from learning.progress import Progress, silent
from learning.selection import describe_divide, held_out_flaws

if TYPE_CHECKING:
    from learning.images.image_set import ImageSet

_BATCH = 8


class Score(StrEnum):
    """By what an image is judged."""

    DISCRIMINATOR = "discriminator"
    RECONSTRUCTION = "reconstruction"


class DcganConfig(PatchwiseConfig):
    """Options of the ``dcgan`` detector."""

    learning_rate: float = Field(default=1e-3, gt=0, le=0.01)

    score: Score | None = Field(
        default=Score.RECONSTRUCTION,
        description="Whether the discriminator judges, or how badly the generator makes the image; none lets held-out "
        "good parts with made-up flaws decide.",
    )


class _Judged(DcganNetwork):
    """The networks, and by which of their scores they judge."""

    by_reconstruction: Tensor

    def __init__(self, latent: int, width: int, channels: int) -> None:
        super().__init__(latent, width, channels)
        self.register_buffer("by_reconstruction", torch.zeros((), dtype=torch.bool))


class Dcgan(Patchwise):
    """What a GAN of good windows cannot make, or what its discriminator does not take for real."""

    name = "dcgan"
    Config: ClassVar[type[DetectorConfig]] = DcganConfig
    config: DcganConfig
    network: _Judged

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
        """Learn windows of good parts; ``selection``, as it is and with flaws, decides which score judges.

        Raises:
            ConfigError: If there are sources of flaws.
        """
        self.refuse_sources(sources)
        report = self.train_networks(train, selection, seed, budget, progress, checkpoint)
        held = held_out_flaws(selection, seed)
        good, flawed = self._scores(held.good), self._scores(held.flawed)
        labels = torch.arange(len(held.good) + len(held.flawed)) >= len(held.good)
        figures = {by: image_auroc(torch.cat([good[by], flawed[by]]).numpy(), labels.numpy()) for by in Score}
        score = self.config.score or max(Score, key=lambda by: figures[by])
        self.network.by_reconstruction.fill_(score is Score.RECONSTRUCTION)
        return FitReport(
            report.steps,
            report.seconds,
            weights="scratch",
            history=report.losses,
            waited=report.waited,
            selection={f"AUROC of the {by} on made-up flaws": figures[by] for by in Score}
            | {f"mean score of the {by} on good parts": float(good[by].mean()) for by in Score}
            | describe_divide(good[score], flawed[score]),
            choices={"score": str(score)},
            precision=report.precision,
        )

    @torch.inference_mode()
    def predict(self, images: Tensor) -> Prediction:
        """Score a batch ``[B, C, h, w]``; maps are errors above what is usual there, in deviations."""
        by = Score.RECONSTRUCTION if bool(self.network.by_reconstruction) else Score.DISCRIMINATOR
        maps = self._maps(images)[by]
        return Prediction(top_mean(maps, self.config.score_share), maps)

    def look(self, windows: Tensor) -> Tensor:
        """Doubts of the discriminator, and how badly windows are made."""
        return self.network.look(windows)

    def features(self, windows: Tensor) -> Tensor:
        """What the discriminator sees, before its last layer."""
        seen: Tensor = self.network.discriminator.layers(windows)
        return seen

    def new_network(self) -> nn.Module:
        """Untrained networks."""
        return _Judged(self.config.latent, self.config.width, self.preprocessing.channels)

    @torch.inference_mode()
    def _scores(self, images: Tensor) -> dict[Score, Tensor]:
        """Scores ``[B]`` by either."""
        if not len(images):
            return {by: torch.zeros(0) for by in Score}
        maps = [self._maps(some) for some in images.split(_BATCH)]
        return {by: torch.cat([top_mean(one[by], self.config.score_share).cpu() for one in maps]) for by in Score}

    def _maps(self, images: Tensor) -> dict[Score, Tensor]:
        """Maps ``[B, h, w]`` by either, 0 or above."""
        above = self.usual(self.errors(images))
        found = {Score.DISCRIMINATOR: above[:, :1], Score.RECONSTRUCTION: above[:, 1:]}
        return {by: stand_out(some, self.preprocessing) for by, some in found.items()}
