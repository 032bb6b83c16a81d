"""A cross-scale flow behind the contract of detectors."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import torch
from pydantic import Field
from torch import Generator, Tensor, nn
from torch.nn import functional

from learning.backbones import BackboneConfig
from learning.clustering import Whitening, fit_whitening
from learning.detectors.base import Budget, DetectorConfig, FitReport, Prediction
from learning.detectors.flow.network import SCALES, CrossScaleFlow, negative_log_likelihood
from learning.detectors.frozen import FrozenConfig, FrozenFeatures, embed_by_heat, top_mean, weights_of
from learning.feature_discriminator import to_rows
from learning.flaw_sources import NO_SOURCES, FlawSources
from learning.loop import Schedule
from learning.loop import train as train_loop
from learning.progress import Progress, silent

if TYPE_CHECKING:
    from learning.images.image_set import ImageSet

_FLOW = "flow."
_MOST_IMAGES = 64
"""Images that the whitening is fitted on."""


class FlowConfig(FrozenConfig):
    """Options of the ``flow`` detector."""

    backbone: BackboneConfig = BackboneConfig(levels=(2,))
    places: int = Field(default=20_000, ge=16, le=500_000, description="Most places that the whitening is fitted on.")
    components: int = Field(
        default=48, ge=2, le=512, description="Principal components of the features that go through the flow."
    )
    blocks: int = Field(default=4, ge=1, le=16, description="Couplings one after another.")
    hidden: int = Field(default=64, ge=4, le=1024, description="Channels within the convolutions of a coupling.")
    learning_rate: float = Field(default=1e-3, gt=0, le=0.1)
    score_share: float = Field(
        default=0.01, gt=0, le=1, description="Share of the places, the least likely, whose mean is the image score."
    )


class Flow(FrozenFeatures):
    """How unlikely features are, by a flow over three scales of the image (CS-Flow)."""

    name = "flow"
    Config: ClassVar[type[DetectorConfig]] = FlowConfig
    default_size: ClassVar[int] = 192
    config: FlowConfig
    whitening: Whitening
    network: CrossScaleFlow

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
        """Learn how likely features of good parts are; nothing is selected.

        Raises:
            ConfigError: If the backbone or its weights cannot be had, or there are sources of flaws.
        """
        self.refuse_sources(sources)
        backbone = self.make_backbone(seed)
        self._fit_whitening(train, seed)
        torch.manual_seed(seed)
        self.network = self._new_network()
        report = train_loop(
            self.network,
            partial(_make_batch, train, self.config.batch, self._levels),
            _compute_losses,
            budget,
            seed,
            Schedule(self.config.learning_rate),
            weight_decay=1e-5,
            progress=progress,
            checkpoint=checkpoint,
            device=self.device,
        )
        return FitReport(
            report.steps,
            report.seconds,
            weights=weights_of(backbone),
            backbone=self.config.backbone.name,
            backbone_sha256=backbone.sha256,
            history=report.losses,
            waited=report.waited,
            precision=report.precision,
        )

    @torch.inference_mode()
    def predict(self, images: Tensor) -> Prediction:
        """Score a batch ``[B, C, h, w]``; both scores and maps are mean squares of latent features."""
        heat = self._heat(images)
        maps = functional.interpolate(heat[:, None], images.shape[-2:], mode="bilinear", align_corners=False)
        return Prediction(top_mean(heat, self.config.score_share), maps[:, 0])

    @torch.inference_mode()
    def embed(self, images: Tensor) -> Tensor:
        """Embed a batch: the features as a whole, and where they are unlikely; ``[B, 2 D]``."""
        return embed_by_heat(self.dense(images), self._heat(images))

    def save(self, folder: Path) -> None:
        """Write ``weights.safetensors``: the backbone, the principal axes and the flow."""
        flow = {f"{_FLOW}{name}": value for name, value in self.network.state_dict().items()}
        self.save_arrays(folder, {"mean": self.whitening.mean, "axes": self.whitening.axes, **flow})

    def load(self, folder: Path, device: str = "cpu") -> Self:
        """Read ``weights.safetensors``."""
        arrays = self.load_arrays(folder, device)
        self.whitening = Whitening(arrays["mean"], arrays["axes"])
        self.network = self._new_network()
        flow = {name.removeprefix(_FLOW): value for name, value in arrays.items() if name.startswith(_FLOW)}
        self.network.load_state_dict(flow)
        self.network.eval()
        return self

    def _fit_whitening(self, train: "ImageSet", seed: int) -> None:
        """One basis for all scales: features of the same backbone mean the same in each."""
        draws = torch.Generator().manual_seed(seed)
        chosen = torch.randperm(len(train), generator=draws)[:_MOST_IMAGES].tolist()
        each = max(1, self.config.places // len(chosen))
        kept = []
        for index in chosen:
            rows = torch.cat([to_rows(level) for level in self._pyramid(train.batch([index]))]).cpu()
            kept.append(rows[torch.randperm(len(rows), generator=draws)[:each]])
        found = fit_whitening(torch.cat(kept), self.config.components)
        self.whitening = Whitening(found.mean.to(self.device), found.axes.to(self.device))

    def _pyramid(self, images: Tensor) -> list[Tensor]:
        """Features of the image and of the image at half and at a quarter of its size."""
        levels = [self.dense(images)]
        for _ in range(SCALES - 1):
            images = functional.avg_pool2d(images, 2, ceil_mode=True)
            levels.append(self.dense(images))
        return levels

    def _levels(self, images: Tensor) -> list[Tensor]:
        """Whitened features of the three scales, ``[B, d, h_i, w_i]``."""
        whitened = [
            self.whitening.apply(to_rows(level)).view(len(level), *level.shape[-2:], -1).permute(0, 3, 1, 2)
            for level in self._pyramid(images)
        ]
        return [level.contiguous() for level in whitened]

    @torch.inference_mode()
    def _heat(self, images: Tensor) -> Tensor:
        """Mean square of the latent features of each place of the finest scale, over all scales: ``[B, h, w]``."""
        latent, _ = self.network(self._levels(images))
        finest = list(latent[0].shape[-2:])
        energy = [level.square().mean(dim=1, keepdim=True) for level in latent]
        resized = [functional.interpolate(level, finest, mode="bilinear", align_corners=False) for level in energy]
        return torch.stack(resized).mean(dim=0)[:, 0].float()

    @torch.inference_mode()
    def _new_network(self) -> CrossScaleFlow:
        shape = self.preprocessing
        blank = torch.zeros(1, shape.channels, shape.height, shape.width)
        dims = [(level.shape[1], level.shape[2], level.shape[3]) for level in self._levels(blank)]
        with torch.inference_mode(False):
            return CrossScaleFlow(dims, self.config.blocks, self.config.hidden).to(self.device)


def _make_batch(
    train: "ImageSet", count: int, levels: Callable[[Tensor], list[Tensor]], generator: Generator
) -> list[Tensor]:
    chosen = torch.randint(len(train), (count,), generator=generator).tolist()
    # Clones, as detectors give inference tensors, which autograd refuses to work on.
    return [level.clone() for level in levels(train.batch(chosen))]


def _compute_losses(network: nn.Module, levels: Sequence[Tensor]) -> dict[str, Tensor]:
    latent, gained = network(levels)
    dimensions = sum(level[0].numel() for level in latent)
    return {"negative log-likelihood": negative_log_likelihood(latent, gained, dimensions)}
