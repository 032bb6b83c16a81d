"""GLASS: local anomalies in images and global ones in features teach one discriminator."""

from learning.detectors.glass.detector import Glass, GlassConfig

__all__ = ["Glass", "GlassConfig"]
