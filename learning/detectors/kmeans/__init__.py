"""K-means: a dictionary of what good places look like."""

from learning.detectors.kmeans.detector import KMeans, KMeansConfig

__all__ = ["KMeans", "KMeansConfig"]
