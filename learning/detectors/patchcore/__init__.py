"""PatchCore: a memory of the features of good places."""

from learning.detectors.patchcore.detector import PatchCore, PatchCoreConfig

__all__ = ["PatchCore", "PatchCoreConfig"]
