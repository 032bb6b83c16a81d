"""K-means over features of good places behind the contract of detectors."""

from typing import ClassVar

import numpy as np
import torch
from pydantic import Field
from sklearn import cluster
from torch import Tensor

from learning.clustering import ClusterConfig, ClusterDetector, Clusters
from learning.detectors.base import DetectorConfig


class KMeansConfig(ClusterConfig):
    """Options of the ``kmeans`` detector."""

    clusters: int = Field(default=64, ge=1, le=4096, description="How many; no more than there are places.")


class KMeans(ClusterDetector):
    """Distance to the nearest of the means of good places (Napoletano et al., 2018)."""

    name = "kmeans"
    Config: ClassVar[type[DetectorConfig]] = KMeansConfig
    config: KMeansConfig

    def find(self, rows: Tensor, seed: int) -> Clusters:
        """Lloyd's algorithm from one start by k-means++."""
        count = min(self.config.clusters, len(rows))
        found = cluster.KMeans(count, n_init=1, random_state=seed).fit(rows.numpy())
        return Clusters(
            torch.from_numpy(found.cluster_centers_).float(),
            torch.arange(count),
            torch.from_numpy(np.bincount(found.labels_, minlength=count)),
        )
