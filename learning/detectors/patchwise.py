"""What adversarial detectors share that judge an image window by window."""

from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from pydantic import Field
from torch import Generator, Tensor, nn
from torchvision.transforms.functional import gaussian_blur

from learning.detectors.base import Budget, Detector, DetectorConfig
from learning.detectors.placewise import Usual, usual_errors
from learning.detectors.weights import read_weights, restore, write_weights
from learning.generative.network import SIDE
from learning.images.windows import Windows, random_windows
from learning.loop import LoopReport, Schedule
from learning.loop import train as train_loop
from learning.progress import Progress

if TYPE_CHECKING:
    from learning.images.image_set import ImageSet

_BETAS = (0.5, 0.999)
"""As in DCGAN: adversaries with more momentum chase each other in circles."""

_AT_ONCE = 128
"""Windows that go through the networks at once: bounds the memory, whatever the batch."""


class PatchwiseConfig(DetectorConfig):
    """Options of a detector that judges windows of 64 × 64 pixels."""

    latent: int = Field(default=64, ge=2, le=512, description="Length of a window's code.")
    width: int = Field(default=16, ge=2, le=128, description="Channels of the widest level; deeper ones have more.")
    batch: int = Field(default=32, ge=2, le=512)
    learning_rate: float = Field(default=2e-4, gt=0, le=0.01)
    stride: int = Field(default=32, ge=4, le=64, description="Pixels from one window to the next when predicting.")
    blur: float = Field(
        default=2.0, gt=0, le=32, description="Standard deviation in pixels that errors are smoothed by."
    )
    score_share: float = Field(
        default=0.002, gt=0, le=1, description="Share of the pixels, the highest, whose mean is the image score."
    )


class Patchwise(Detector):
    """Learns windows of good parts with ``learning.loop``, and judges images by theirs."""

    learns_from_flaws = False
    default_size: ClassVar[int] = 192
    config: PatchwiseConfig
    network: Any
    usual: Usual

    @abstractmethod
    def new_network(self) -> nn.Module:
        """The networks, untrained; ``forward`` gives the losses of windows ``[B, C, 64, 64]`` and noise."""

    @abstractmethod
    def look(self, windows: Tensor) -> Tensor:
        """K kinds of error of windows ``[B, C, 64, 64]``, -1..1, at each place: ``[B, K, 64, 64]``."""

    @abstractmethod
    def features(self, windows: Tensor) -> Tensor:
        """What the networks see of images or windows: ``[B, C, h, w]``, -1..1, to ``[B, D, h / 16, w / 16]``."""

    def train_networks(
        self,
        train: "ImageSet",
        selection: "ImageSet",
        seed: int,
        budget: Budget,
        progress: Progress,
        checkpoint: Path | None,
    ) -> LoopReport:
        """Train ``network`` on windows from anywhere in good parts; ``selection`` says what errors are usual."""
        torch.manual_seed(seed)
        self.network = self.new_network().to(self.device)
        report = train_loop(
            self.network,
            partial(_make_batch, train, self.config.batch, self.config.latent),
            partial(_compute_losses, self.device),
            budget,
            seed,
            Schedule(self.config.learning_rate),
            weight_decay=0.0,
            betas=_BETAS,
            progress=progress,
            checkpoint=checkpoint,
            device=self.device,
        )
        self.usual = usual_errors(self.errors, train, selection, self.config.blur, seed)
        return report

    def errors(self, images: Tensor) -> Tensor:
        """The errors of ``look``, averaged where windows overlap and smoothed: ``[B, C, h, w]`` to ``[B, K, h, w]``."""
        windows, patches = self.cut(images)
        kinds = in_parts(self.look, patches).float().unbind(dim=1)
        joined = torch.stack([windows.join(kind) for kind in kinds], dim=1)
        radius = min(round(4 * self.config.blur), min(joined.shape[-2:]) - 1)
        return gaussian_blur(joined, [2 * radius + 1] * 2, [self.config.blur] * 2)

    def cut(self, images: Tensor) -> tuple[Windows, Tensor]:
        """Windows of images ``[B, C, h, w]``, 0..1, brought to -1..1: ``[B * n, C, 64, 64]``."""
        windows = Windows(SIDE, self.config.stride, *images.shape[-2:])
        return windows, 2 * windows.cut(images.to(self.device)) - 1

    @torch.inference_mode()
    def embed(self, images: Tensor) -> Tensor:
        """Embed a batch: mean and highest of the features of its windows; ``[B, 2 D]``."""
        windows, patches = self.cut(images)
        features = in_parts(lambda some: self.features(some).mean(dim=(-2, -1)), patches).float()
        features = features.view(len(images), windows.grid[0] * windows.grid[1], -1)
        return torch.cat([features.mean(dim=1), features.amax(dim=1)], dim=1)

    @torch.inference_mode()
    def dense(self, images: Tensor) -> Tensor:
        """Embed every place: ``[B, C, h, w]`` to ``[B, D, h / 16, w / 16]``, for a segmentation head."""
        return self.features(2 * images.to(self.device) - 1).float()

    def save(self, folder: Path) -> None:
        """Write ``weights.safetensors``, those of all networks that predict."""
        write_weights(folder, self.network.state_dict() | self.usual.arrays())

    def load(self, folder: Path, device: str = "cpu") -> Self:
        """Read ``weights.safetensors``."""
        self.device = device
        self.network = self.new_network().to(device)
        weights = read_weights(folder, device)
        self.usual = Usual.of_arrays(weights)
        restore(self.network, weights)
        return self


def in_parts(function: Callable[[Tensor], Tensor], windows: Tensor) -> Tensor:
    """Apply a function to some windows at a time."""
    return torch.cat([function(some) for some in windows.split(_AT_ONCE)])


def _make_batch(train: "ImageSet", count: int, latent: int, generator: Generator) -> tuple[Tensor, Tensor]:
    chosen = torch.randint(len(train), (count,), generator=generator).tolist()
    windows = 2 * random_windows(train.batch(chosen), SIDE, generator) - 1
    return windows, torch.randn(count, latent, generator=generator)


def _compute_losses(device: str, network: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    losses: dict[str, Tensor] = network(*(part.to(device) for part in batch))
    return losses
