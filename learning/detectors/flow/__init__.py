"""A cross-scale flow: how likely the features of good parts are."""

from learning.detectors.flow.detector import Flow, FlowConfig

__all__ = ["Flow", "FlowConfig"]
