"""BIRCH: a tree of clusters that is grown in one pass."""

from learning.detectors.birch.detector import Birch, BirchConfig

__all__ = ["Birch", "BirchConfig"]
