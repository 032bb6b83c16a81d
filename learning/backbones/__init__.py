"""Convolutional networks from ``timm`` that detectors take their features from."""

from learning.backbones.config import BackboneConfig, Origin
from learning.backbones.factory import Backbone, bare_backbone, create_backbone
from learning.backbones.patches import PatchFeatures

__all__ = ["Backbone", "BackboneConfig", "Origin", "PatchFeatures", "bare_backbone", "create_backbone"]
