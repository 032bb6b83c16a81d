"""What detectors on the features of a backbone share that they leave as it is."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from pydantic import Field
from torch import Tensor

from learning.backbones import Backbone, BackboneConfig, Origin, PatchFeatures, bare_backbone, create_backbone
from learning.detectors.base import Budget, Detector, DetectorConfig, FitReport
from learning.detectors.weights import read_weights, write_weights
from learning.prefetch import step_generator
from learning.progress import Progress

if TYPE_CHECKING:
    from learning.images.image_set import ImageSet

_PATCHES = "patches."


class FrozenConfig(DetectorConfig):
    """Options of a detector that learns from the features of places."""

    backbone: BackboneConfig = BackboneConfig()
    places: int = Field(
        default=50_000, ge=16, le=2_000_000, description="Most places kept of all training images together."
    )
    batch: int = Field(default=8, ge=1, le=256, description="Images whose features are taken at once.")


@dataclass(frozen=True)
class Places:
    """Features of places of good parts.

    Attributes:
        rows: ``[N, D]``, at most as many as the configuration allows.
        steps: Batches of images that were read.
        started: When reading began, by ``time.monotonic``.
        deadline: When fitting has to be over; None where the budget is in steps.
    """

    rows: Tensor
    steps: int
    started: float
    deadline: float | None


class FrozenFeatures(Detector):
    """A detector on the features of places of a backbone, whose weights are left as they are."""

    learns_from_flaws = False
    config: FrozenConfig
    patches: PatchFeatures

    @torch.inference_mode()
    def dense(self, images: Tensor) -> Tensor:
        """Embed every place: ``[B, C, h, w]`` to ``[B, D, h / r, w / r]``, for a segmentation head."""
        features: Tensor = self.patches(images.to(self.device))
        return features.float()

    def make_backbone(self, seed: int) -> Backbone:
        """Make the backbone with its weights, and keep it.

        Raises:
            ConfigError: If it or its weights cannot be had.
        """
        backbone = create_backbone(self.config.backbone, self.preprocessing.channels, seed)
        self._keep(backbone)
        return backbone

    def read_places(self, train: "ImageSet", seed: int, budget: Budget, progress: Progress) -> Places:
        """Take features of places of good parts, the same number from each image, in an order drawn by the seed.

        Memory is bounded by ``places``, however many images there are. Of a budget in minutes at most half is used.

        Args:
            train: Good parts; each is read once.
            seed: Of the order and the places.
            budget: Steps are batches of images.
            progress: Told how far it is.
        """
        started = time.monotonic()
        deadline = started + 60 * budget.minutes if budget.minutes else None
        order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))[: self.config.places]
        batches = order.split(self.config.batch)[: budget.steps]
        each = self.config.places // sum(map(len, batches))
        kept: list[Tensor] = []
        for step, chosen in enumerate(batches):
            if step and deadline and time.monotonic() > (started + deadline) / 2:
                break
            draws = step_generator(seed, step)
            for features in self.dense(train.batch(chosen.tolist())).flatten(2).cpu():
                kept.append(features[:, torch.randperm(features.shape[1], generator=draws)[:each]].T)
            progress(step + 1, len(batches), "reading good parts")
        steps = -(-len(kept) // self.config.batch)
        return Places(torch.cat(kept).contiguous(), steps, started, deadline)

    def report(self, backbone: Backbone, places: Places) -> FitReport:
        """What fitting did."""
        return FitReport(
            places.steps,
            time.monotonic() - places.started,
            weights=weights_of(backbone),
            backbone=self.config.backbone.name,
            backbone_sha256=backbone.sha256,
        )

    def save_arrays(self, folder: Path, arrays: dict[str, Tensor]) -> None:
        """Write ``weights.safetensors``: the backbone's, and what was learnt."""
        weights = {f"{_PATCHES}{name}": value for name, value in self.patches.state_dict().items()}
        write_weights(folder, weights | arrays)

    def load_arrays(self, folder: Path, device: str) -> dict[str, Tensor]:
        """Read the backbone of ``weights.safetensors``; returns what else was written."""
        self.device = device
        self._keep(bare_backbone(self.config.backbone, self.preprocessing.channels))
        arrays = read_weights(folder, device)
        weights = {name: arrays.pop(name) for name in list(arrays) if name.startswith(_PATCHES)}
        self.patches.load_state_dict({name.removeprefix(_PATCHES): value for name, value in weights.items()})
        return arrays

    def _keep(self, backbone: Backbone) -> None:
        self.patches = PatchFeatures(backbone.network, frozen=True).to(self.device).eval()


def weights_of(backbone: Backbone) -> str:
    """Where the weights of a backbone came from that nothing trains any more, for the report."""
    return "random" if backbone.origin is Origin.SCRATCH else str(backbone.origin)


def embed_by_heat(features: Tensor, heat: Tensor) -> Tensor:
    """Features of an image as a whole, and where it is most anomalous.

    Args:
        features: ``[B, D, h, w]``.
        heat: ``[B, h, w]``, 0 or above.

    Returns:
        ``[B, 2 D]``.
    """
    weights = heat.flatten(1).square()
    weights = weights / weights.sum(dim=1, keepdim=True).clamp_min(1e-12)
    local = torch.einsum("bdn,bn->bd", features.flatten(2), weights)
    return torch.cat([features.mean(dim=(-2, -1)), local], dim=1).float()


def top_mean(values: Tensor, share: float) -> Tensor:
    """Mean of the highest ``share`` of the values ``[B, h, w]`` of each image: ``[B]``."""
    highest = max(1, round(values[0].numel() * share))
    return values.flatten(1).topk(highest, dim=1).values.mean(dim=1)
