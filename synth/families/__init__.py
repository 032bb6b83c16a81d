"""Flaw families, one module each."""

from typing import Any

from synth.families.base import Context, Family
from synth.families.bite import Bite
from synth.families.blob import Blob
from synth.families.confirmed import Confirmed
from synth.families.contamination import Contamination
from synth.families.crack import Crack
from synth.families.deform import Deform
from synth.families.dent import Dent
from synth.families.foreign_body import ForeignBody
from synth.families.fray import Fray
from synth.families.misprint import Misprint
from synth.families.missing import Missing
from synth.families.patch import Patch
from synth.families.perlin import Perlin
from synth.families.poisson import Poisson
from synth.families.ripple import Ripple
from synth.families.scratch import Scratch
from synth.families.smooth import Smooth
from synth.families.spall import Spall
from synth.families.stain import Stain
from synth.families.uneven import Uneven

FAMILIES: dict[str, type[Family[Any]]] = {
    family.name: family
    for family in (
        Bite,
        Blob,
        Confirmed,
        Contamination,
        Crack,
        Deform,
        Dent,
        ForeignBody,
        Fray,
        Misprint,
        Missing,
        Patch,
        Perlin,
        Poisson,
        Ripple,
        Scratch,
        Smooth,
        Spall,
        Stain,
        Uneven,
    )
}
"""Every family by its name; adding one is a module and a line here."""

ANYWHERE = tuple(name for name, family in FAMILIES.items() if not family.needs_defects)
"""Families that can be painted on any part, without confirmed defects: those that are drawn where none is named."""

__all__ = [
    "ANYWHERE",
    "FAMILIES",
    "Bite",
    "Blob",
    "Confirmed",
    "Contamination",
    "Context",
    "Crack",
    "Deform",
    "Dent",
    "Family",
    "ForeignBody",
    "Fray",
    "Misprint",
    "Missing",
    "Patch",
    "Perlin",
    "Poisson",
    "Ripple",
    "Scratch",
    "Smooth",
    "Spall",
    "Stain",
    "Uneven",
]
