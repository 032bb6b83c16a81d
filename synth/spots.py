"""Spots: where compiled loops paint flaws in place, each in a box of its own."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from torch import Tensor

from synth.compiled import kernels
from synth.ground import Ground
from synth.noise import Numbers
from synth.windows import box_levels

NO_FLAWS: Numbers = np.empty(0, np.int64)
"""Nothing is left to paint."""

Where = tuple[Numbers, Numbers, Numbers, Numbers]


@dataclass(frozen=True)
class Spots:
    """Boxes on some images of a batch, one for each flaw, and what a family may know when it paints there.

    Attributes:
        images: ``[B, C, H, W]``, float32 and contiguous; painted on in place. Earlier flaws are on them.
        good: The same without any flaw.
        ground: Where flaws are allowed.
        rows: ``[N]`` int64, the image of each flaw; none twice.
        centre: ``[N, 2]`` (x, y) of each flaw, in pixels.
        boxes: ``[N, 4]`` int64: left, top, width, height around each flaw, which the colour around it is taken from.
        painted: ``[N, 4]`` int64, what of these boxes may be changed.
    """

    images: Tensor
    good: Tensor
    ground: Ground
    rows: Numbers
    centre: Numbers
    boxes: Numbers
    painted: Numbers

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the pictures."""
        return self.ground.size

    @cached_property
    def level(self) -> Numbers:
        """``[N, C]`` mean colour around the flaws, float32."""
        return box_levels(self.images, self.ground, self.rows, self.boxes)

    @cached_property
    def where(self) -> Where:
        """Images, where they may be changed, rows and boxes, as loops take them."""
        allowed = self.images[:0] if self.ground.mask is None else self.ground.mask
        return self.images.numpy(), allowed.numpy(), self.rows, self.painted

    def table(self, *columns: Numbers) -> Numbers:
        """Centres and further columns, ``[N]`` or ``[N, K]`` each, in one table; float64, which holds seeds too."""
        widths = [1 if column.ndim == 1 else column.shape[1] for column in columns]
        table = np.empty((len(self.rows), 2 + sum(widths)))
        table[:, :2] = self.centre
        place = 2
        for column, width in zip(columns, widths, strict=True):
            if column.ndim == 1:
                table[:, place] = column
            else:
                table[:, place : place + width] = column
            place += width
        return table

    def some(self, index: Numbers) -> "Spots":
        """Some of the spots."""
        if len(index) == len(self.rows):
            return self
        chosen = self.rows[index], self.centre[index], self.boxes[index], self.painted[index]
        return Spots(self.images, self.good, self.ground, *chosen)


def paint(name: str, spots: Spots, *arguments: object) -> None:
    """Paint spots by a loop of ``synth.kernels``."""
    getattr(kernels(), name)(*spots.where, *arguments)
