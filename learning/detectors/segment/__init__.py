"""The ``segment`` detector: a small U-Net trained from scratch on synthetic flaws."""

from learning.detectors.segment.detector import Segment, SegmentConfig

__all__ = ["Segment", "SegmentConfig"]
