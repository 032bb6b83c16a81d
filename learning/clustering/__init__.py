"""Clusters of the features of good places, for the detectors ``kmeans`` and ``birch``."""

from learning.clustering.detector import ClusterConfig, ClusterDetector, Clusters
from learning.clustering.picture import cluster_picture
from learning.clustering.whitening import Whitening, fit_whitening

__all__ = ["ClusterConfig", "ClusterDetector", "Clusters", "Whitening", "cluster_picture", "fit_whitening"]
