"""PatchCore behind the contract of detectors."""

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional
from torchvision.transforms.functional import gaussian_blur

from learning.detectors.base import Budget, DetectorConfig, FitReport, Prediction
from learning.detectors.frozen import FrozenConfig, FrozenFeatures, embed_by_heat
from learning.detectors.patchcore.bank import MemoryBank, image_scores
from learning.detectors.patchcore.coreset import greedy_coreset
from learning.feature_discriminator import to_rows
from learning.flaw_sources import NO_SOURCES, FlawSources
from learning.progress import Progress, silent

if TYPE_CHECKING:
    from learning.images.image_set import ImageSet

_BANK = "bank"


class PatchCoreConfig(FrozenConfig):
    """Options of the ``patchcore`` detector."""

    coreset: float = Field(default=0.1, gt=0, le=1, description="Share of the places kept that are remembered.")
    projection: int = Field(
        default=128, ge=2, le=2048, description="Dimensions in which places to remember are chosen."
    )
    neighbours: int = Field(
        default=9, ge=1, le=100, description="Memories that the image score is weighted by; 1 is no weighting."
    )
    blur: float = Field(default=4.0, gt=0, le=32, description="Standard deviation in pixels that maps are smoothed by.")


class PatchCore(FrozenFeatures):
    """How far the features of places are from all that good parts have shown (Roth et al., CVPR 2022)."""

    name = "patchcore"
    Config: ClassVar[type[DetectorConfig]] = PatchCoreConfig
    default_size: ClassVar[int] = 192
    config: PatchCoreConfig
    bank: MemoryBank

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
        """Remember good parts; nothing is selected, and nothing is worth a checkpoint.

        Raises:
            ConfigError: If the backbone or its weights cannot be had, or there are sources of flaws.
        """
        self.refuse_sources(sources)
        backbone = self.make_backbone(seed)
        places = self.read_places(train, seed, budget, progress)
        count = max(1, int(len(places.rows) * self.config.coreset))
        chosen = greedy_coreset(
            places.rows,
            count,
            torch.Generator().manual_seed(seed),
            self.config.projection,
            places.deadline,
            progress,
        )
        self.bank = MemoryBank(places.rows[chosen].to(self.device))
        return self.report(backbone, places)

    @torch.inference_mode()
    def predict(self, images: Tensor) -> Prediction:
        """Score a batch ``[B, C, h, w]``; both scores and maps are distances in feature space."""
        features = self.dense(images)
        size = features.shape[-2:]
        rows = to_rows(features)
        distances, nearest = self.bank.nearest(rows)
        per_image = (len(images), size[0] * size[1])
        scores = image_scores(
            distances.view(per_image),
            nearest.view(per_image),
            rows.view(*per_image, -1),
            self.bank,
            self.config.neighbours,
        )
        maps = functional.interpolate(
            distances.view(len(images), 1, *size), images.shape[-2:], mode="bilinear", align_corners=False
        )
        return Prediction(scores, gaussian_blur(maps, _window(self.config.blur, images), self.config.blur)[:, 0])

    @torch.inference_mode()
    def embed(self, images: Tensor) -> Tensor:
        """Embed a batch: the features as a whole, and where they are far from memory; ``[B, 2 D]``."""
        features = self.dense(images)
        distances = self.bank.nearest(to_rows(features))[0]
        return embed_by_heat(features, distances.view(len(images), *features.shape[-2:]))

    def save(self, folder: Path) -> None:
        """Write ``weights.safetensors``: the backbone and the memory."""
        self.save_arrays(folder, {_BANK: self.bank.rows})

    def load(self, folder: Path, device: str = "cpu") -> Self:
        """Read ``weights.safetensors``; the index is made anew."""
        self.bank = MemoryBank(self.load_arrays(folder, device)[_BANK])
        return self


def _window(blur: float, images: Tensor) -> list[int]:
    """Side of the window of a blur: four deviations each way, less where the picture is smaller."""
    radius = min(round(4 * blur), min(images.shape[-2:]) - 1)
    return [2 * radius + 1] * 2
