"""Supervised segmentation behind the contract of detectors."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import segmentation_models_pytorch as smp
import torch
from pydantic import Field, field_validator
from torch import Tensor, nn

from learning.detectors.base import Budget, Detector, DetectorConfig, FitReport, Prediction
from learning.detectors.frozen import embed_by_heat, top_mean
from learning.detectors.supervised.losses import compute_losses
from learning.detectors.supervised.patches import Patches, make_batch
from learning.detectors.supervised.plateau import Plateau
from learning.detectors.weights import read_weights, restore, write_weights
from learning.errors import ConfigError
from learning.flaw_sources import NO_SOURCES, FlawSources
from learning.images.windows import Windows
from learning.loop import train as train_loop
from learning.prefetch import step_generator
from learning.progress import Progress, silent

if TYPE_CHECKING:
    from learning.images.image_set import ImageSet
    from learning.images.preprocessing import Preprocessing

_STRIDE = 32
"""Of the encoder: sides of patches are multiples of it."""

_AT_ONCE = 8
"""Patches that go through the network at once: bounds the memory, whatever the batch."""

_WEIGHT_DECAY = 1e-8

_PATCH_KEY = "patch"


class SupervisedConfig(DetectorConfig):
    """Options of the ``supervised`` detector."""

    encoder: str = Field(default="resnet18", description="Of segmentation-models-pytorch, from random weights.")
    decoder: tuple[int, ...] = Field(default=(128, 64, 32, 16, 16), min_length=5, max_length=5)
    patch: int = Field(
        default=256,
        ge=_STRIDE,
        le=1024,
        description="Side of the patches, which overlap by half; smaller where pictures are.",
    )
    batch: int = Field(default=8, ge=2, le=256, description="Patches a step.")
    good_share: float = Field(default=0.5, ge=0, lt=1, description="Share of them that show no defect.")
    learning_rate: float = Field(default=1e-3, gt=0, le=0.1)
    least_rate: float = Field(default=1e-6, gt=0, le=0.1, description="That a plateau lowers the learning rate to.")
    every: int = Field(default=20, ge=1, description="Steps between two looks at the held-out parts.")
    patience: int = Field(default=5, ge=1, description="Looks without a gain, after which the rate is lowered.")
    score_share: float = Field(
        default=0.001, gt=0, le=1, description="Share of the pixels, the highest, whose mean is the image score."
    )

    @field_validator("encoder")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in smp.encoders.get_encoder_names():
            msg = f"segmentation-models-pytorch has no encoder {name!r}; small ones: resnet18, mobilenet_v2"
            raise ValueError(msg)
        return name

    @field_validator("patch")
    @classmethod
    def _whole(cls, side: int) -> int:
        if side % _STRIDE:
            msg = f"takes multiples of {_STRIDE}"
            raise ValueError(msg)
        return side


class Supervised(Detector):
    """Finds the kinds of defect that inspectors have confirmed (Viberg et al., after Ronneberger et al., 2015).

    The anomaly map is the probability that a pixel is defective, the mean of the patches that it lies in.
    """

    name = "supervised"
    Config: ClassVar[type[DetectorConfig]] = SupervisedConfig
    default_size: ClassVar[int] = 384
    learns_from_flaws: ClassVar[bool] = True
    needs_defects: ClassVar[bool] = True
    config: SupervisedConfig
    network: smp.Unet
    _patch: int

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
        """Learn from confirmed defects, laid on good parts; on ``selection`` with defects the rate is lowered.

        Raises:
            ConfigError: If there is no confirmed defect, or there are textures.
        """
        if not sources.defects:
            msg = (
                "supervised learns from confirmed defects with masks, and there is none that may train; give them by "
                "--defects BANK|LEDGER, or choose a detector that needs none: segment"
            )
            raise ConfigError(msg)
        if sources.textures is not None:
            msg = "supervised learns from confirmed defects alone and cannot use textures; leave them out"
            raise ConfigError(msg)
        torch.manual_seed(seed)
        self.network = self._new_network()
        options = self.config
        self._patch = _side(options.patch, self.preprocessing)
        batch = partial(make_batch, side=self._patch, count=options.batch, good_share=options.good_share)
        held_out = batch(selection, sources, generator=step_generator(seed, -1), augmented=False)
        plateau = Plateau(
            partial(self._loss, held_out), options.learning_rate, options.least_rate, options.every, options.patience
        )
        report = train_loop(
            self.network,
            lambda generator: batch(train, sources, generator=generator, augmented=True),
            self._losses,
            budget,
            seed,
            plateau,
            weight_decay=_WEIGHT_DECAY,
            progress=progress,
            checkpoint=checkpoint,
            device=self.device,
            callback=plateau,
        )
        return FitReport(
            report.steps,
            report.seconds,
            weights="scratch",
            history=report.losses,
            waited=report.waited,
            selection={"loss on held-out parts": plateau.least, "last learning rate": plateau.rate(1.0)},
            precision=report.precision,
        )

    @torch.inference_mode()
    def predict(self, images: Tensor) -> Prediction:
        """Score a batch ``[B, C, h, w]``."""
        windows, patches = self._cut(images)
        found = torch.cat([self.network(some)[:, 0].float().sigmoid() for some in patches.split(_AT_ONCE)])
        maps = windows.join(found)
        return Prediction(top_mean(maps, self.config.score_share).float(), maps)

    @torch.inference_mode()
    def embed(self, images: Tensor) -> Tensor:
        """Embed a batch: the deepest features as a whole, and where the map is high; ``[B, 2 D]``."""
        windows, patches = self._cut(images)
        deepest, heat = [], []
        for some in patches.split(_AT_ONCE):
            levels = self.network.encoder(some)
            found = self.network.segmentation_head(self.network.decoder(levels)).float().sigmoid()
            deepest.append(levels[-1].float())
            heat.append(nn.functional.adaptive_avg_pool2d(found, levels[-1].shape[-2:])[:, 0])
        each = windows.grid[0] * windows.grid[1]
        # The patches of an image side by side, as one long map.
        features = torch.cat(deepest).unflatten(0, (len(images), each)).transpose(1, 2).flatten(2, 3)
        return embed_by_heat(features, torch.cat(heat).unflatten(0, (len(images), each)).flatten(1, 2))

    @torch.inference_mode()
    def dense(self, images: Tensor) -> Tensor:
        """Embed every place: ``[B, C, h, w]`` to ``[B, D, h / r, w / r]``, for a segmentation head."""
        high, wide = (-length % _STRIDE for length in images.shape[-2:])
        padded = nn.functional.pad(images.to(self.device), (0, wide, 0, high), mode="replicate")
        features: Tensor = self.network.decoder(self.network.encoder(2 * padded - 1))
        return nn.functional.avg_pool2d(features.float(), 4)

    def save(self, folder: Path) -> None:
        """Write ``weights.safetensors``."""
        write_weights(folder, self.network.state_dict() | {_PATCH_KEY: torch.tensor(self._patch)})

    def load(self, folder: Path, device: str = "cpu") -> Self:
        """Read ``weights.safetensors``."""
        self.device = device
        self.network = self._new_network()
        arrays = read_weights(folder, device)
        # Bundles that do not say learnt from patches of the side that was asked for.
        self._patch = int(arrays.pop(_PATCH_KEY, torch.tensor(self.config.patch)))
        restore(self.network, arrays)
        return self

    def _new_network(self) -> smp.Unet:
        return smp.Unet(
            encoder_name=self.config.encoder,
            encoder_weights=None,
            decoder_channels=self.config.decoder,
            in_channels=self.preprocessing.channels,
            classes=1,
        ).to(self.device)

    def _cut(self, images: Tensor) -> tuple[Windows, Tensor]:
        windows = Windows(self._patch, self._patch // 2, *images.shape[-2:])
        return windows, 2 * windows.cut(images.to(self.device)) - 1

    def _losses(self, network: nn.Module, batch: Patches) -> dict[str, Tensor]:
        logits = network(2 * batch.images.to(self.device) - 1).float()
        return compute_losses(logits, batch.masks.to(self.device))

    @torch.no_grad()
    def _loss(self, batch: Patches, network: nn.Module) -> float:
        return float(torch.stack(list(self._losses(network, batch).values())).sum())


def _side(wanted: int, preprocessing: "Preprocessing") -> int:
    """The side of patches that fit into the pictures: a multiple of the encoder's stride, at most the one wanted."""
    shortest = min(preprocessing.height, preprocessing.width)
    return min(wanted, max(_STRIDE, shortest - shortest % _STRIDE))
