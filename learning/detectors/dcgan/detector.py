"""DCGAN behind the contract of detectors."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from learning.detectors.base import Budget, DetectorConfig, FitReport, Prediction
from learning.detectors.dcgan.network import DcganNetwork
from learning.detectors.frozen import top_mean
from learning.detectors.patchwise import Patchwise, PatchwiseConfig, in_parts
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

    score: Score | None = Field(
        default=None,
        description="Whether the discriminator judges, or how badly the generator makes the image; none lets held-out "
        "good parts with made-up flaws decide.",
    )


class _Judged(DcganNetwork):
    """The networks, and by which of their scores they judge."""

    by_reconstruction: Tensor

    def __init__(self, latent: int, width: int, channels: int) -> None:
        super().__init__(latent, width, channels)
        self.register_buffer("by_reconstruction", torch.zeros((), dtype=torch.bool))


@dataclass(frozen=True)
class _Looked:
    """Scores ``[B]`` by either, and maps ``[B, h, w]`` of both."""

    scores: dict[Score, Tensor]
    maps: dict[Score, Tensor]


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
        report = self.train_networks(train, seed, budget, progress, checkpoint)
        held = held_out_flaws(selection, seed)
        good, flawed = ({by: self._all_scores(images, by) for by in Score} for images in (held.good, held.flawed))
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
        )

    @torch.inference_mode()
    def predict(self, images: Tensor) -> Prediction:
        """Score a batch ``[B, C, h, w]``; maps are the discriminator's doubts, or squared errors."""
        by = Score.RECONSTRUCTION if bool(self.network.by_reconstruction) else Score.DISCRIMINATOR
        looked = self._look(images)
        return Prediction(looked.scores[by], looked.maps[by])

    def features(self, windows: Tensor) -> Tensor:
        """What the discriminator sees, before its last layer."""
        seen: Tensor = self.network.discriminator.layers(windows)
        return seen

    def new_network(self) -> nn.Module:
        """Untrained networks."""
        return _Judged(self.config.latent, self.config.width, self.preprocessing.channels)

    @torch.inference_mode()
    def _all_scores(self, images: Tensor, by: Score) -> Tensor:
        if not len(images):
            return torch.zeros(0)
        return torch.cat([self._look(some).scores[by].cpu() for some in images.split(_BATCH)])

    def _look(self, images: Tensor) -> _Looked:
        windows, patches = self.cut(images)

        def flat(some: Tensor) -> Tensor:
            doubt, badly, wrong = self.network.look(some)
            return torch.cat([doubt[:, None], badly[:, None], wrong.flatten(1)], dim=1)

        every = in_parts(flat, patches).float()
        grid = (len(images), *windows.grid)
        doubts = every[:, 0].sigmoid()[:, None, None].expand(-1, *patches.shape[-2:])
        return _Looked(
            scores={
                by: top_mean(every[:, column].view(grid), self.config.score_share) for column, by in enumerate(Score)
            },
            maps={
                Score.DISCRIMINATOR: windows.join(doubts),
                Score.RECONSTRUCTION: windows.join(every[:, 2:].unflatten(1, patches.shape[-2:])),
            },
        )
