"""Detectors that ask how far a place is from the clusters of good places."""

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import torch
from pydantic import Field
from threadpoolctl import threadpool_limits
from torch import Tensor
from torch.nn import functional

from learning.clustering.whitening import Whitening, fit_whitening
from learning.detectors.base import Budget, FitReport, Prediction
from learning.detectors.frozen import FrozenConfig, FrozenFeatures, embed_by_heat, top_mean
from learning.feature_discriminator import to_rows
from learning.flaw_sources import NO_SOURCES, FlawSources
from learning.progress import Progress, silent

if TYPE_CHECKING:
    from learning.images.image_set import ImageSet


class ClusterConfig(FrozenConfig):
    """Options of detectors that cluster."""

    places: int = Field(
        default=20_000, ge=16, le=500_000, description="Most places that are clustered, of all images together."
    )
    components: int = Field(
        default=128, ge=2, le=512, description="Principal components of the features that are clustered, whitened."
    )
    score_share: float = Field(
        default=0.01, gt=0, le=1, description="Share of the places, the farthest, whose mean is the image score."
    )


@dataclass(frozen=True)
class Clusters:
    """What was found among good places.

    Attributes:
        centres: ``[K, d]``.
        labels: ``[K]`` the cluster that each centre belongs to; with k-means each is one of its own.
        counts: ``[K]`` places that each stands for.
    """

    centres: Tensor
    labels: Tensor
    counts: Tensor


class ClusterDetector(FrozenFeatures):
    """Distance of the features of every place, whitened, to the nearest centre of good ones."""

    default_size: ClassVar[int] = 192
    config: ClusterConfig
    whitening: Whitening
    clusters: Clusters

    @abstractmethod
    def find(self, rows: Tensor, seed: int) -> Clusters:
        """Cluster whitened features ``[N, d]`` of good places."""

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
        """Cluster good parts; nothing is selected, and nothing is worth a checkpoint.

        Raises:
            ConfigError: If the backbone or its weights cannot be had, or there are sources of flaws.
        """
        self.refuse_sources(sources)
        backbone = self.make_backbone(seed)
        places = self.read_places(train, seed, budget, progress)
        # Sums over several threads are added up in the order in which these end: the last bits would differ.
        with threadpool_limits(1):
            whitening = fit_whitening(places.rows, self.config.components)
            clusters = self.find(whitening.apply(places.rows), seed)
        self.whitening = Whitening(whitening.mean.to(self.device), whitening.axes.to(self.device))
        self.clusters = Clusters(*(getattr(clusters, name).to(self.device) for name in ("centres", "labels", "counts")))
        return self.report(backbone, places)

    def nearest(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """How far places are from good ones.

        Args:
            features: ``[B, D, h, w]`` from ``dense``.

        Returns:
            Distances to the nearest centre ``[B, h, w]``, and which centre it is ``[B, h, w]``.
        """
        rows = self.whitening.apply(to_rows(features))
        centre = torch.cdist(rows, self.clusters.centres).argmin(dim=1)
        distances = (rows - self.clusters.centres[centre]).square().sum(dim=1).sqrt()
        shape = (len(features), *features.shape[-2:])
        return distances.view(shape), centre.view(shape)

    @torch.inference_mode()
    def predict(self, images: Tensor) -> Prediction:
        """Score a batch ``[B, C, h, w]``; both scores and maps are distances in deviations of good places."""
        distances = self.nearest(self.dense(images))[0]
        maps = functional.interpolate(distances[:, None], images.shape[-2:], mode="bilinear", align_corners=False)
        return Prediction(top_mean(distances, self.config.score_share), maps[:, 0])

    @torch.inference_mode()
    def embed(self, images: Tensor) -> Tensor:
        """Embed a batch: the whitened features as a whole, and where they are far from good ones; ``[B, 2 d]``."""
        features = self.dense(images)
        distances = self.nearest(features)[0]
        whitened = self.whitening.apply(to_rows(features)).view(len(images), *features.shape[-2:], -1)
        return embed_by_heat(whitened.permute(0, 3, 1, 2), distances)

    def save(self, folder: Path) -> None:
        """Write ``weights.safetensors``: the backbone, the principal axes and the centres; nothing is pickled."""
        self.save_arrays(
            folder,
            {
                "mean": self.whitening.mean,
                "axes": self.whitening.axes,
                "centres": self.clusters.centres,
                "labels": self.clusters.labels,
                "counts": self.clusters.counts,
            },
        )

    def load(self, folder: Path, device: str = "cpu") -> Self:
        """Read ``weights.safetensors``."""
        arrays = self.load_arrays(folder, device)
        self.whitening = Whitening(arrays["mean"], arrays["axes"])
        self.clusters = Clusters(arrays["centres"], arrays["labels"], arrays["counts"])
        return self
