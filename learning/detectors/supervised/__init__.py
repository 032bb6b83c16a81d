"""A U-Net that learns from confirmed defects, as in supervised segmentation of defects."""

from learning.detectors.supervised.detector import Supervised, SupervisedConfig

__all__ = ["Supervised", "SupervisedConfig"]
