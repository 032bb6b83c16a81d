"""GLASS behind the contract of detectors."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import torch
from pydantic import Field
from safetensors.torch import load_file, save_file
from torch import Generator, Tensor, nn
from torch.nn import functional

from learning.augmentation import augment
from learning.backbones import Backbone, BackboneConfig, Origin, bare_backbone, create_backbone
from learning.detectors.base import Budget, Detector, DetectorConfig, FitReport, Prediction
from learning.detectors.glass.losses import focal
from learning.detectors.glass.network import GlassNetwork, to_rows
from learning.loop import Schedule
from learning.loop import train as train_loop
from learning.progress import Progress, silent
from synth.families.base import Context
from synth.feature_level import AscentParameters, Hypothesis, fit_hypersphere, synthesise_global
from synth.image_level import Synthesizer

if TYPE_CHECKING:
    from learning.images.image_set import ImageSet

_WEIGHTS = "weights.safetensors"
_LARGEST_SEED = 2**62


class GlassConfig(DetectorConfig):
    """Options of the ``glass`` detector."""

    backbone: BackboneConfig = BackboneConfig()
    width: int = Field(default=128, ge=8, le=2048, description="Dimensions of the adapted features.")
    batch: int = Field(default=6, ge=1, le=256, description="Good images in a step; as many flawed ones come on top.")
    learning_rate: float = Field(default=1e-3, gt=0, le=0.1)
    weight_decay: float = Field(default=1e-4, ge=0, le=1)
    hypothesis: Hypothesis = Hypothesis.MANIFOLD
    ascent: AscentParameters = AscentParameters()
    places: int = Field(default=1024, ge=1, description="Good places in a step that global anomalies are made from.")
    score_share: float = Field(
        default=0.01, gt=0, le=1, description="Share of the places, the highest, whose mean logit is the image score."
    )
    families: tuple[str, ...] | None = Field(default=None, description="Flaw families to train on; none means all.")


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
    ) -> FitReport:
        """Learn from good parts; ``selection`` is not needed, as nothing is chosen along the way.

        Raises:
            ConfigError: If the backbone or its weights cannot be had.
        """
        backbone = create_backbone(self.config.backbone, self.preprocessing.channels, seed)
        torch.manual_seed(seed)
        self.network = self._new_network(backbone)
        report = train_loop(
            self.network,
            partial(_make_batch, train, Synthesizer(self.config.families), self.config.batch),
            partial(_compute_losses, self.network, self.config, self.device),
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
        )

    @torch.inference_mode()
    def predict(self, images: Tensor) -> Prediction:
        """Score a batch ``[B, C, h, w]``; scores are logits, maps are probabilities."""
        logits = self.network.judge_places(self.dense(images))
        highest = max(1, round(logits[0].numel() * self.config.score_share))
        scores = logits.flatten(1).topk(highest, dim=1).values.mean(dim=1)
        size = images.shape[-2:]
        maps = functional.interpolate(logits[:, None], size, mode="bilinear", align_corners=False)[:, 0].sigmoid()
        return Prediction(scores.float(), maps.float())

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

    def save(self, folder: Path) -> None:
        """Write ``weights.safetensors``, the backbone's included."""
        save_file({name: value.contiguous() for name, value in self.network.state_dict().items()}, folder / _WEIGHTS)

    def load(self, folder: Path, device: str = "cpu") -> Self:
        """Read ``weights.safetensors``; the file that the backbone once came from is not needed any more."""
        self.device = device
        self.network = self._new_network(bare_backbone(self.config.backbone, self.preprocessing.channels))
        self.network.load_state_dict(load_file(folder / _WEIGHTS, device=device))
        self.network.eval()
        return self

    def _new_network(self, backbone: Backbone) -> GlassNetwork:
        frozen = self.config.backbone.weights is not Origin.SCRATCH
        return GlassNetwork(backbone.network, backbone.channels, self.config.width, frozen).to(self.device)


@dataclass(frozen=True)
class _Batch:
    good: Tensor
    flawed: Tensor
    masks: Tensor
    seed: int


def _make_batch(train: "ImageSet", synthesizer: Synthesizer, size: int, generator: Generator) -> _Batch:
    """Good images, and others with local anomalies: ``[B, C, h, w]`` each, and masks ``[B, 1, h, w]``."""
    chosen = torch.randint(len(train), (2 * size,), generator=generator).tolist()
    pictures, outlines = augment(train.batch(chosen), train.outlines(chosen), generator)
    good, others = pictures.chunk(2)
    recipe = synthesizer.draw(generator, size)
    flawed, masks = synthesizer.apply(others, recipe, Context(outlines[size:], sources=good))
    return _Batch(good, flawed, masks, int(torch.randint(_LARGEST_SEED, (), generator=generator)))


def _compute_losses(
    network: GlassNetwork, config: GlassConfig, device: str, model: nn.Module, batch: _Batch
) -> dict[str, Tensor]:
    """The three terms of GLASS: good places, global anomalies made from them, and local anomalies in images.

    ``model`` is the network as the loop runs it, in its precision; ``network`` is the same, for what is small.
    """
    features = model(torch.cat([batch.good, batch.flawed]).to(device)).float()
    good, flawed = features.chunk(2)
    rows = to_rows(good)
    generator = torch.Generator().manual_seed(batch.seed)
    drawn = torch.randperm(len(rows), generator=generator)[: config.places].to(rows.device)
    ball = fit_hypersphere(rows[drawn]) if config.hypothesis is Hypothesis.HYPERSPHERE else None
    anomalies = synthesise_global(rows[drawn], network.judge, generator, config.ascent, ball)

    logits = network.judge_places(flawed)
    # A place is flawed if any of its pixels is.
    masks = functional.adaptive_max_pool2d(batch.masks.to(logits), list(logits.shape[-2:]))[:, 0]
    return {
        "good": functional.softplus(network.judge(rows)).mean(),
        "global": functional.softplus(-network.judge(anomalies)).mean(),
        "local": 10 * focal(logits[:, None], masks[:, None]),
    }
