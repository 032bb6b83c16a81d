"""Convolutional networks from ``timm`` that detectors take their features from."""

from learning.backbones.config import BackboneConfig, Origin
from learning.backbones.factory import Backbone, bare_backbone, create_backbone

__all__ = ["Backbone", "BackboneConfig", "Origin", "bare_backbone", "create_backbone"]
