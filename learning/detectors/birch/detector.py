"""BIRCH over features of good places behind the contract of detectors."""

from typing import ClassVar

import numpy as np
import torch
from pydantic import Field
from scipy.spatial.distance import pdist
from sklearn import cluster
from torch import Tensor

from learning.clustering import ClusterConfig, ClusterDetector, Clusters
from learning.detectors.base import DetectorConfig

_SAMPLE = 500
"""Places whose distances the first radius is taken from."""

_GROWTH = 1.1
"""What the radius is raised by until the tree is small enough; the paper leaves the factor open."""


class BirchConfig(ClusterConfig):
    """Options of the ``birch`` detector."""

    subclusters: int = Field(
        default=256, ge=2, le=4096, description="Most leaves of the tree; the radius grows until it has no more."
    )
    clusters: int = Field(default=8, ge=1, le=256, description="Clusters that leaves are put together to in the end.")


class Birch(ClusterDetector):
    """Distance to the nearest leaf of a tree of good places (Zhang et al., SIGMOD 1996)."""

    name = "birch"
    Config: ClassVar[type[DetectorConfig]] = BirchConfig
    config: BirchConfig

    def find(self, rows: Tensor, seed: int) -> Clusters:
        """Grow the tree, with a larger radius until its leaves are few enough; put these together by Ward's method."""
        data = rows.numpy()
        radius = float(np.median(pdist(data[:: max(1, len(data) // _SAMPLE)]))) / 2 if len(data) > 1 else 1.0
        while True:
            tree = cluster.Birch(threshold=max(radius, 1e-6), n_clusters=None).fit(data)
            leaves = tree.subcluster_centers_
            if len(leaves) <= self.config.subclusters:
                break
            radius *= _GROWTH
        groups = min(self.config.clusters, len(leaves))
        labels = (
            cluster.AgglomerativeClustering(groups).fit_predict(leaves) if len(leaves) > 1 else np.zeros(1, dtype=int)
        )
        counts = np.bincount(tree.labels_, minlength=len(leaves))
        return Clusters(
            torch.from_numpy(leaves).float(), torch.from_numpy(labels.astype(np.int64)), torch.from_numpy(counts)
        )
