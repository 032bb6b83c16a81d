"""Where pasted content comes from: other good parts, textures, and confirmed defects."""

from synth.sources.defects import Defect, DefectBank, bank_of, cut_defects
from synth.sources.parts import procedural_textures, shifted_sources

__all__ = [
    "Defect",
    "DefectBank",
    "bank_of",
    "cut_defects",
    "procedural_textures",
    "shifted_sources",
]
