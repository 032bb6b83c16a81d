"""Made-up parts, good and defective, to try everything on; see ``make_line`` and ``make_parts``."""

from synth.parts.defects import DEFECTS
from synth.parts.kinds import KINDS, Picture, make_part
from synth.parts.line import LINE, make_line, make_parts
from synth.parts.lots import Lot, draw_lot
from synth.parts.month import Month, make_day

__all__ = [
    "DEFECTS",
    "KINDS",
    "LINE",
    "Lot",
    "Month",
    "Picture",
    "draw_lot",
    "make_day",
    "make_line",
    "make_part",
    "make_parts",
]
