"""Flaws that are solved as a whole and too large to be held: looked at, and then painted, piece by piece."""

from collections.abc import Iterator
from dataclasses import dataclass

from synth.windows import Cutter, Window, with_margin

LARGEST = 512
"""Longer side of a window in which such a flaw is painted at once."""

_PIECE = 256


@dataclass(frozen=True)
class Pieces:
    """The box of one flaw.

    Attributes:
        cutter: Cuts windows for it.
        box: Left, top, width, height in pixels of the picture.
    """

    cutter: Cutter
    box: list[int]

    @property
    def channels(self) -> int:
        """Of the picture."""
        return self.cutter.images.shape[1]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the box."""
        return self.box[3], self.box[2]

    @property
    def side(self) -> int:
        """The picture's shorter side."""
        return min(self.cutter.ground.size)

    def boxes(self) -> Iterator[list[int]]:
        """Boxes of the pieces: left, top, width, height in pixels of the picture."""
        left, top, width, height = self.box
        for down in range(0, height, _PIECE):
            for across in range(0, width, _PIECE):
                yield [left + across, top + down, min(_PIECE, width - across), min(_PIECE, height - down)]

    def window(self, box: list[int], margin: int = 0) -> Window:
        """The window on a piece, with a margin as far as the picture reaches; painted pieces are seen as they are."""
        return self.cutter.window([with_margin(box, margin, self.cutter.ground.size)])

    def place(self, box: list[int]) -> tuple[int, int]:
        """First column and row of a piece, counted from those of the flaw's box."""
        return box[0] - self.box[0], box[1] - self.box[1]
