"""Masks as polygons that give back exactly their pixels, for formats that know nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Polygon = NDArray[np.int64]
"""``[N, 2]`` corners (x, y) on the grid between pixels: pixel (0, 0) reaches from (0, 0) to (1, 1)."""

# Directions are numbered clockwise as seen with y pointing down: right, down, left, up.
_DOWN, _UP = 1, 3
_STEPS = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])
_LEFT_FIRST = (3, 0, 1)
"""Turns tried at a corner. Left before straight on before right joins pixels that touch by their corners alone."""


def outlines(mask: NDArray[np.bool_]) -> list[Polygon]:
    """Outline every piece of a mask, a polygon each.

    Pieces are connected by edges or corners. Polygons run along the pixels' edges, so that the pixels whose centres
    lie inside are exactly those of the mask. A hole is joined to the outline around it by a cut of no width that is
    walked in both directions, as neither COCO nor YOLO has another way to say it.

    Args:
        mask: ``[H, W]``.

    Returns:
        The polygons; none for an empty mask.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return []
    top, left = rows[0], columns[0]
    padded = np.pad(mask[top : rows[-1] + 1, left : columns[-1] + 1], 1)
    edges = _edges(padded)
    loops = _loops(edges.following)
    holes = [loop for loop in loops if _doubled_area(edges.starts[loop]) < 0]
    if holes:
        edges = _cut(edges, holes, padded)
        loops = _loops(edges.following)
    return [_straightened(edges.starts[loop]) + np.array([left - 1, top - 1]) for loop in loops]


@dataclass(frozen=True)
class _Edges:
    """Edges of pixels between mask and background, each pointing so that the mask lies to its right.

    Attributes:
        starts: ``[E, 2]`` where each begins.
        directions: ``[E]`` right, down, left or up, 0..3.
        keys: ``[E]`` direction and start as one number, ascending.
        following: ``[E]`` which edge comes after each.
    """

    starts: NDArray[np.int64]
    directions: NDArray[np.int64]
    keys: NDArray[np.int64]
    following: NDArray[np.int64]


def _edges(padded: NDArray[np.bool_]) -> _Edges:
    across, down = padded[1:] != padded[:-1], padded[:, 1:] != padded[:, :-1]
    sides = [
        (across & padded[1:], (0, 1)),  # above a pixel, to the right
        (down & padded[:, :-1], (1, 0)),  # right of a pixel, down
        (across & padded[:-1], (1, 1)),  # below a pixel, to the left
        (down & padded[:, 1:], (1, 1)),  # left of a pixel, up
    ]
    starts = [np.argwhere(there)[:, ::-1] + np.array(offset) for there, offset in sides]
    directions = np.repeat(np.arange(4), [len(some) for some in starts])
    begin = np.concatenate(starts)
    # Row by row within each direction: the keys ascend as they are.
    keys = _key(directions, begin, padded)
    end = begin + _STEPS[directions]
    following: NDArray[np.int64] = np.full(len(keys), -1)
    for turn in _LEFT_FIRST:
        wanted = _key((directions + turn) % 4, end, padded)
        found = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
        following = np.where((following < 0) & (keys[found] == wanted), found, following)
    return _Edges(begin, directions, keys, following)


def _key(directions: NDArray[np.int64], starts: NDArray[np.int64], padded: NDArray[np.bool_]) -> NDArray[np.int64]:
    height, width = padded.shape
    return np.asarray((directions * (height + 1) + starts[..., 1]) * (width + 1) + starts[..., 0])


def _loops(following: NDArray[np.int64]) -> list[list[int]]:
    """Follow edges until they are back where they began."""
    after, seen, loops = following.tolist(), bytearray(len(following)), []
    for first in range(len(after)):
        if seen[first]:
            continue
        loop, edge = [], first
        while not seen[edge]:
            seen[edge] = 1
            loop.append(edge)
            edge = after[edge]
        loops.append(loop)
    return loops


def _cut(edges: _Edges, holes: Sequence[Sequence[int]], padded: NDArray[np.bool_]) -> _Edges:
    """Join each hole to the next border on its left: that of the piece, or of a hole farther left."""
    count = len(edges.starts)
    preceding = np.argsort(edges.following)
    following = np.concatenate([edges.following, np.zeros(2 * len(holes), dtype=np.int64)])
    ends = []
    for number, hole in enumerate(holes):
        # The leftmost of the edges that point down has the mask on its left, as far as the next border.
        down = np.array(hole)[edges.directions[hole] == _DOWN]
        right = down[np.argmin(edges.starts[down, 0])]
        x, y = edges.starts[right]
        border = int(np.flatnonzero(~padded[y, :x])[-1]) + 1
        left = int(np.searchsorted(edges.keys, _key(np.array(_UP), np.array([border, y + 1]), padded)))
        there, back = count + 2 * number, count + 2 * number + 1
        following[there], following[back] = right, edges.following[left]
        following[left], following[preceding[right]] = there, back
        ends += [(border, y), (x, y)]
    starts = np.concatenate([edges.starts, np.array(ends)])
    return _Edges(starts, edges.directions, edges.keys, following)


def _doubled_area(corners: NDArray[np.int64]) -> int:
    """Twice the area inside, above 0 where it is walked around clockwise as seen."""
    x, y = corners.T
    return int((x * np.roll(y, -1) - np.roll(x, -1) * y).sum())


def _straightened(corners: NDArray[np.int64]) -> Polygon:
    """Leave out corners between edges of one direction."""
    ahead = np.sign(np.roll(corners, -1, axis=0) - corners)
    return corners[(ahead != np.roll(ahead, 1, axis=0)).any(axis=1)]
