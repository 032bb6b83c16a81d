"""Where pasted content comes from: other good parts, textures, and confirmed defects."""

from synth.sources.defects import Defect, DefectBank, bank_of, cut_defects
from synth.sources.parts import (
    displaced,
    pattern,
    patterned,
    procedural_textures,
    sampled,
    shifted_sources,
    source_level,
    turned_sources,
)

__all__ = [
    "Defect",
    "DefectBank",
    "bank_of",
    "cut_defects",
    "displaced",
    "pattern",
    "patterned",
    "procedural_textures",
    "sampled",
    "shifted_sources",
    "source_level",
    "turned_sources",
]
