"""DCGAN: a generator and a discriminator of good windows, and their scores."""

from learning.detectors.dcgan.detector import Dcgan, DcganConfig

__all__ = ["Dcgan", "DcganConfig"]
