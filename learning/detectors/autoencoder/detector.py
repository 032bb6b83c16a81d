"""A convolutional autoencoder behind the contract of detectors."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import torch
from pydantic import Field
from torch import Generator, Tensor, nn
from torch.nn import functional
from torchvision.transforms.functional import gaussian_blur

from learning.augmentation import augment
from learning.detectors.autoencoder.network import Autoencoder
from learning.detectors.base import Budget, Detector, DetectorConfig, FitReport, Prediction
from learning.detectors.frozen import embed_by_heat, top_mean
from learning.detectors.placewise import Usual, stand_out, usual_errors
from learning.detectors.weights import read_weights, restore, write_weights
from learning.flaw_sources import NO_SOURCES, FlawSources
from learning.loop import Schedule
from learning.loop import train as train_loop
from learning.progress import Progress, silent
from learning.selection import describe_divide, held_out_flaws

if TYPE_CHECKING:
    from learning.images.image_set import ImageSet

_BATCH = 8


class AutoencoderConfig(DetectorConfig):
    """Options of the ``autoencoder`` detector."""

    widths: tuple[int, ...] = Field(
        default=(16, 32, 64), min_length=1, max_length=6, description="Channels of each level; each halves the image."
    )
    code: int = Field(default=8, ge=1, le=512, description="Channels of the code.")
    batch: int = Field(default=16, ge=2, le=256)
    learning_rate: float = Field(default=2e-3, gt=0, le=0.1)
    blur: float = Field(
        default=2.0, gt=0, le=32, description="Standard deviation in pixels that errors are smoothed by."
    )
    score_share: float = Field(
        default=0.002, gt=0, le=1, description="Share of the pixels, the highest, whose mean is the image score."
    )


class ConvolutionalAutoencoder(Detector):
    """What cannot be made from a code that good parts are made from."""

    name = "autoencoder"
    Config: ClassVar[type[DetectorConfig]] = AutoencoderConfig
    default_size: ClassVar[int] = 192
    learns_from_flaws = False
    config: AutoencoderConfig
    network: Autoencoder
    usual: Usual

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
        """Learn good parts; on ``selection``, as it is and with flaws, scores are divided adaptively for the report.

        Raises:
            ConfigError: If there are sources of flaws.
        """
        self.refuse_sources(sources)
        torch.manual_seed(seed)
        self.network = self._new_network()
        report = train_loop(
            self.network,
            partial(_make_batch, train, self.config.batch),
            partial(_compute_losses, self._fitted),
            budget,
            seed,
            Schedule(self.config.learning_rate),
            progress=progress,
            checkpoint=checkpoint,
            device=self.device,
        )
        self.usual = usual_errors(self._errors, train, selection, self.config.blur, seed)
        held = held_out_flaws(selection, seed)
        return FitReport(
            report.steps,
            report.seconds,
            weights="scratch",
            history=report.losses,
            waited=report.waited,
            selection=describe_divide(self._scores(held.good), self._scores(held.flawed)),
            precision=report.precision,
        )

    @torch.inference_mode()
    def predict(self, images: Tensor) -> Prediction:
        """Score a batch ``[B, C, h, w]``; maps are errors above what is usual there, in deviations."""
        maps = self._heat(images)
        return Prediction(top_mean(maps, self.config.score_share), maps)

    @torch.inference_mode()
    def embed(self, images: Tensor) -> Tensor:
        """Embed a batch: the code as a whole, and where errors are high; ``[B, 2 D]``."""
        codes = self.dense(images)
        return embed_by_heat(
            codes, functional.adaptive_avg_pool2d(self._heat(images), (codes.shape[-2], codes.shape[-1]))
        )

    @torch.inference_mode()
    def dense(self, images: Tensor) -> Tensor:
        """Codes of all places: ``[B, C, h, w]`` to ``[B, code, h / r, w / r]``, for a segmentation head."""
        codes: Tensor = self.network.encoder(self._fitted(images))
        return codes.float()

    def save(self, folder: Path) -> None:
        """Write ``weights.safetensors``."""
        write_weights(folder, self.network.state_dict() | self.usual.arrays())

    def load(self, folder: Path, device: str = "cpu") -> Self:
        """Read ``weights.safetensors``."""
        self.device = device
        self.network = self._new_network()
        weights = read_weights(folder, device)
        self.usual = Usual.of_arrays(weights)
        restore(self.network, weights)
        return self

    def _new_network(self) -> Autoencoder:
        network = Autoencoder(self.preprocessing.channels, self.config.widths, self.config.code)
        return network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def _fitted(self, images: Tensor) -> Tensor:
        """Images on the device, their right and lower edges replicated up to multiples of the network's stride."""
        height, width = images.shape[-2:]
        padding = (0, -width % self.network.stride, 0, -height % self.network.stride)
        padded = functional.pad(images.to(self.device), padding, mode="replicate")
        return padded.contiguous(memory_format=torch.channels_last)

    def _heat(self, images: Tensor) -> Tensor:
        """How far errors lie above what is usual: ``[B, h, w]``, 0 or above."""
        return stand_out(self.usual(self._errors(images)), self.preprocessing)

    def _errors(self, images: Tensor) -> Tensor:
        """Root of the smoothed squared errors, ``[B, 1, h, w]``."""
        height, width = images.shape[-2:]
        made = self.network(self._fitted(images))[..., :height, :width].float()
        wrong = (made - images.to(self.device)).square().mean(dim=1, keepdim=True)
        radius = min(round(4 * self.config.blur), min(height, width) - 1)
        return gaussian_blur(wrong, [2 * radius + 1] * 2, self.config.blur).clamp_min(0).sqrt()

    @torch.inference_mode()
    def _scores(self, images: Tensor) -> Tensor:
        if not len(images):
            return torch.zeros(0)
        return torch.cat([self.predict(some).scores.cpu() for some in images.split(_BATCH)])


def _make_batch(train: "ImageSet", count: int, generator: Generator) -> Tensor:
    chosen = torch.randint(len(train), (count,), generator=generator).tolist()
    images = train.batch(chosen)
    # A part that was cut out lies one way.
    return augment(images, torch.ones_like(images[:, :1]), generator, mirror=train.preprocessing.part is None)[0]


def _compute_losses(fitted: Callable[[Tensor], Tensor], network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    good = fitted(images)
    return {"error": functional.mse_loss(network(good).float(), good)}
