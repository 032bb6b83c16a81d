"""GLASS behind the contract of detectors."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from learning.backbones import Backbone, BackboneConfig, Origin, bare_backbone, create_backbone
from learning.detectors.base import Budget, Detector, DetectorConfig, FitReport, Prediction, Traceable
from learning.detectors.glass.network import GlassNetwork
from learning.detectors.weights import read_weights, restore, write_weights
from learning.feature_discriminator import (
    DiscriminationConfig,
    Pair,
    decide_hypothesis,
    discrimination_losses,
    make_pair,
    to_prediction,
)
from learning.flaw_sources import NO_SOURCES, FlawSources
from learning.loop import Schedule
from learning.loop import train as train_loop
from learning.progress import Progress, silent
from synth.feature_level import Hypothesis

if TYPE_CHECKING:
    from learning.images.image_set import ImageSet


class GlassConfig(DetectorConfig, DiscriminationConfig):
    """Options of the ``glass`` detector."""

    backbone: BackboneConfig = BackboneConfig()
    width: int = Field(default=128, ge=8, le=2048, description="Dimensions of the adapted features.")
    learning_rate: float = Field(default=1e-3, gt=0, le=0.1)
    score_share: float = Field(
        default=0.01, gt=0, le=1, description="Share of the places, the highest, whose mean logit is the image score."
    )


class Glass(Detector):
    """Global and local anomaly synthesis teach a discriminator of patch features (Chen et al., ECCV 2024).

    A backbone with weights of its own is left as it is. One that starts from random weights is trained along: its
    features would tell little otherwise.
    """

    name = "glass"
    Config: ClassVar[type[DetectorConfig]] = GlassConfig
    default_size: ClassVar[int] = 192
    config: GlassConfig
    network: GlassNetwork

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
        """Learn from good parts; ``selection`` decides between the manifold and the hypersphere hypothesis.

        Raises:
            ConfigError: If the backbone or its weights cannot be had.
            DataError: If no flaw can be seen on the parts that decide.
        """
        backbone = create_backbone(self.config.backbone, self.preprocessing.channels, seed)
        torch.manual_seed(seed)
        self.network = self._new_network(backbone)
        # Decided on the features that training starts from: a run that goes on from a checkpoint decides the same.
        choice = decide_hypothesis(self.config, self._patches, train, selection, seed)
        report = train_loop(
            self.network,
            partial(make_pair, train, sources.synthesizer(self.config.families), self.config.batch, sources=sources),
            partial(_compute_losses, self.network, self.config, choice.hypothesis, self.device),
            budget,
            seed,
            Schedule(self.config.learning_rate),
            weight_decay=self.config.weight_decay,
            progress=progress,
            checkpoint=checkpoint,
            device=self.device,
        )
        return FitReport(
            report.steps,
            report.seconds,
            weights=str(backbone.origin),
            backbone=self.config.backbone.name,
            backbone_sha256=backbone.sha256,
            history=report.losses,
            selection=choice.evidence(),
            choices={"hypothesis": str(choice.hypothesis)},
            waited=report.waited,
            precision=report.precision,
        )

    @torch.inference_mode()
    def predict(self, images: Tensor) -> Prediction:
        """Score a batch ``[B, C, h, w]``; scores are logits, maps are probabilities."""
        return to_prediction(self.network.judge_places(self.dense(images)), images, self.config.score_share)

    @torch.inference_mode()
    def embed(self, images: Tensor) -> Tensor:
        """Embed a batch: the features as a whole, and where the anomaly map is high; ``[B, 2 D]``."""
        features = self.dense(images)
        heat = self.network.judge_places(features).flatten(1).softmax(dim=1)
        local = torch.einsum("bdn,bn->bd", features.flatten(2), heat)
        return torch.cat([features.mean(dim=(-2, -1)), local], dim=1).float()

    @torch.inference_mode()
    def dense(self, images: Tensor) -> Tensor:
        """Embed every place: ``[B, C, h, w]`` to ``[B, D, h / r, w / r]``, for a segmentation head."""
        features: Tensor = self.network(images.to(self.device))
        return features.float()

    def exportable(self, mirrors: bool = True) -> Traceable:
        """The backbone and the discriminator; it never looks at mirrored images."""
        return Traceable(self, self.network)

    def save(self, folder: Path) -> None:
        """Write ``weights.safetensors``, the backbone's included."""
        write_weights(folder, self.network.state_dict())

    def load(self, folder: Path, device: str = "cpu") -> Self:
        """Read ``weights.safetensors``; the file that the backbone once came from is not needed any more."""
        self.device = device
        self.network = self._new_network(bare_backbone(self.config.backbone, self.preprocessing.channels))
        restore(self.network, read_weights(folder, device))
        return self

    @torch.inference_mode()
    def _patches(self, images: Tensor) -> Tensor:
        features: Tensor = self.network.patches.eval()(images.to(self.device))
        return features

    def _new_network(self, backbone: Backbone) -> GlassNetwork:
        frozen = self.config.backbone.weights is not Origin.SCRATCH
        return GlassNetwork(backbone.network, backbone.channels, self.config.width, frozen).to(self.device)


def _compute_losses(
    network: GlassNetwork, config: GlassConfig, hypothesis: Hypothesis, device: str, model: nn.Module, pair: Pair
) -> dict[str, Tensor]:
    """``model`` is the network as the loop runs it, in its precision; ``network`` is the same, for what is small."""
    good, flawed = model(torch.cat([pair.good, pair.flawed]).to(device)).float().chunk(2)
    return discrimination_losses(network.judge, good, flawed, pair, hypothesis, config)
