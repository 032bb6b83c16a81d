"""Marks that look like type, for what is printed on parts."""

import numpy as np

Mark = tuple[float, float, float, float]
"""Left, top, right and bottom of a printed rectangle."""

_GLYPH = (4, 5)
"""Columns and rows of the grid that glyphs are drawn on."""


def line_of_type(rng: np.random.Generator, left: float, top: float, count: int, cell: float) -> list[Mark]:
    """A line of marks that look like type, each of a few strokes on a small grid.

    Args:
        rng: Says which marks.
        left: Where it begins.
        top: Its upper edge.
        count: Marks.
        cell: Side of the grid's cells; a mark is five of them high and, with its gap, 5.2 wide.
    """
    columns, rows = _GLYPH
    strokes: list[Mark] = []
    for i in range(count):
        x = left + i * cell * (columns + 1.2)
        for _ in range(int(rng.integers(3, 5))):
            if rng.random() < 0.5:
                column, first = int(rng.integers(columns)), int(rng.integers(0, 2))
                last = int(rng.integers(first + 2, rows + 1))
                strokes.append((x + column * cell, top + first * cell, x + (column + 1) * cell, top + last * cell))
            else:
                row, first = int(rng.integers(rows)), int(rng.integers(0, 2))
                last = int(rng.integers(first + 2, columns + 1))
                strokes.append((x + first * cell, top + row * cell, x + last * cell, top + (row + 1) * cell))
    return strokes
