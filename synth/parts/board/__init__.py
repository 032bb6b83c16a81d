"""Populated circuit boards seen from above: traces under solder mask, pads, print, and what is soldered on."""

from synth.parts.board.plan import Board, draw
from synth.parts.board.scenery import build

__all__ = ["Board", "build", "draw"]
