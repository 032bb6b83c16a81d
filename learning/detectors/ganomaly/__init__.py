"""GANomaly: codes of good windows survive being made and encoded again."""

from learning.detectors.ganomaly.detector import Ganomaly, GanomalyConfig

__all__ = ["Ganomaly", "GanomalyConfig"]
