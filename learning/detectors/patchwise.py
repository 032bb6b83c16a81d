"""What adversarial detectors share that judge an image window by window."""

from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from pydantic import Field
from safetensors.torch import load_file, save_file
from torch import Generator, Tensor, nn

from learning.detectors.base import Budget, Detector, DetectorConfig
from learning.generative.network import SIDE
from learning.images.windows import Windows, random_windows
from learning.loop import LoopReport, Schedule
from learning.loop import train as train_loop
from learning.progress import Progress

if TYPE_CHECKING:
    from learning.images.image_set import ImageSet

_WEIGHTS = "weights.safetensors"
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
    score_share: float = Field(
        default=0.04, gt=0, le=1, description="Share of the windows, the highest, whose mean is the image score."
    )


class Patchwise(Detector):
    """Learns windows of good parts with ``learning.loop``, and judges images by theirs."""

    learns_from_flaws = False
    default_size: ClassVar[int] = 192
    config: PatchwiseConfig
    network: Any

    @abstractmethod
    def new_network(self) -> nn.Module:
        """The networks, untrained; ``forward`` gives the losses of windows ``[B, C, 64, 64]`` and noise."""

    @abstractmethod
    def features(self, windows: Tensor) -> Tensor:
        """What the networks see of images or windows: ``[B, C, h, w]``, -1..1, to ``[B, D, h / 16, w / 16]``."""

    def train_networks(
        self, train: "ImageSet", seed: int, budget: Budget, progress: Progress, checkpoint: Path | None
    ) -> LoopReport:
        """Train ``network`` on windows of good parts, from anywhere in them."""
        torch.manual_seed(seed)
        self.network = self.new_network().to(self.device)
        return train_loop(
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
        save_file({name: value.contiguous() for name, value in self.network.state_dict().items()}, folder / _WEIGHTS)

    def load(self, folder: Path, device: str = "cpu") -> Self:
        """Read ``weights.safetensors``."""
        self.device = device
        self.network = self.new_network().to(device)
        self.network.load_state_dict(load_file(folder / _WEIGHTS, device=device))
        self.network.eval()
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
