"""Blending defects in that are too large to be held as a whole: looked at piece by piece, then painted so."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from synth.blending import PiecewiseMembrane
from synth.noise import Numbers
from synth.pieces import Pieces
from synth.sources.defects import DefectBank
from synth.sources.pasting import (
    FINE,
    GRAIN,
    GRAINY,
    RING,
    Frames,
    Pose,
    chosen,
    fine_texture,
    frames,
    grain_from,
    grain_sums,
    lay,
    matched,
    means,
    ring_around,
    sums,
    without_light,
)
from synth.windows import Window

_SEEN = RING + FINE
"""Pixels around a piece that are looked at with it: the ring's pixels may be told from their surroundings."""


def blend_pieces(
    pieces: Pieces, pose: Pose, strength: Numbers, bank: DefectBank
) -> Iterator[tuple[list[int], Window, Tensor]]:
    """As ``synth.sources.pasting.blend``, which gives nearly the same: the seam is looked at less closely.

    Args:
        pieces: Of the flaw.
        pose: One row.
        strength: ``[1]``.
        bank: With the picture's number of channels; not empty.

    Yields:
        See ``synth.families.base.Family.paint_pieces``.
    """
    picture = pieces.cutter.images
    framed, reach = _framed(bank, pose, pieces.side, picture)
    seam = PiecewiseMembrane(pieces.channels, pieces.size, picture)
    margin = max(_SEEN, 2 * seam.cell)
    near = [box for box in pieces.boxes() if _touches(box, margin, pieces, pose, framed, reach)]
    grain = grain_from(_total([_grain_in(pieces, box) for box in near])).to(picture)
    rings, wholes, painted = [], [], []
    for box in near:
        window = pieces.window(box, _SEEN)
        inner = (..., *_seen(window, box))
        allowed, masks = _allowed(window), lay(framed, pose, *window.offsets, grain).masks
        images, fine, here = (part[inner] for part in (window.images, fine_texture(window.images), allowed))
        rings.append(sums(images, fine, ring_around(masks, allowed)[inner]))
        wholes.append(sums(images, fine, here))
        inside = (masks[inner] > 0) & (here > 0)
        seam.add(images, here * ~inside, *pieces.place(box))
        if inside.any():
            painted.append(box)
    ring = _total(rings)
    light, power = (mean.to(picture) for mean in means(ring if ring[0] >= 1 else _total(wholes)))
    seam.solve()
    for box in painted:
        window = pieces.window(box)
        laid = lay(framed, pose, *window.offsets, grain)
        inside = (laid.masks > 0) & (_allowed(window) > 0)
        slow = seam.at(*pieces.place(box), *window.shape) - light
        yield box, window, matched(window.images, laid, strength, inside, light, power.sqrt(), slow)


def _grain_in(pieces: Pieces, box: list[int]) -> tuple[Tensor, ...]:
    """Sums for the grain of the part, in a piece."""
    window = pieces.window(box, GRAINY)
    inner = (..., *_seen(window, box))
    return grain_sums(without_light(window.images)[inner], _allowed(window)[inner])


def _framed(bank: DefectBank, pose: Pose, side: int, like: Tensor) -> tuple[Frames, Numbers]:
    """The defect, and how far what is marked of it lies from its middle, [across, down] in pixels of the picture.

    One that would have to be enlarged stays as it was cut: sampling that comes to the same, and takes less memory.
    """
    own = min(side, bank.defects[chosen(pose.which, bank)[0]].side)
    framed = frames(bank, pose, own, like)
    factor = side / own
    if factor > 1:
        height, width = (round(length * factor) for length in framed.size)
        grain, longer = framed.grain * factor, framed.longer * np.float32(factor)
        framed = replace(framed, size=(height, width), grain=grain, longer=longer)
    mask = framed.content[0, -1].cpu().numpy() > 0
    reach = [_from_middle(np.flatnonzero(mask.any(axis=axis)), mask.shape[1 - axis]) for axis in (0, 1)]
    return framed, factor * np.array(reach)


def _from_middle(places: Numbers, length: int) -> float:
    """How far the lines at these places reach from the middle of all, with what is mixed in beside them."""
    return max(length / 2 - places[0], places[-1] + 1 - length / 2) + 1 if len(places) else 0.0


def _touches(box: list[int], margin: int, pieces: Pieces, pose: Pose, framed: Frames, reach: Numbers) -> bool:
    """Whether what is marked may lie in a piece or within a margin of it, whatever the grain."""
    left, top, width, height = box
    x, y = np.array([left + width / 2, top + height / 2]) - pieces.cutter.centre[0]
    cos, sin = np.cos(pose.angle[0]), np.sin(pose.angle[0])
    along = np.abs([x * cos + y * sin, y * cos - x * sin])
    stretch = np.sqrt(pose.stretch[0])
    # Two waves, each of that over the root of two, move a point along both axes.
    bent = reach + 2**0.5 * pose.bend[0] * framed.longer[0]
    far = bent * pose.scale[0] * GRAIN[1] * np.array([stretch, 1 / stretch])
    return bool((along <= far + np.hypot(width, height) / 2 + 2**0.5 * margin).all())


def _seen(window: Window, box: list[int]) -> tuple[slice, slice]:
    """Rows and columns of a piece in a window that shows more than it."""
    down, across = box[1] - int(window.top[0]), box[0] - int(window.left[0])
    return slice(down, down + box[3]), slice(across, across + box[2])


def _allowed(window: Window) -> Tensor:
    return torch.ones_like(window.images[:, :1]) if window.allowed is None else window.allowed


def _total(parts: Sequence[tuple[Tensor, ...]]) -> list[Tensor]:
    return [torch.stack(same).sum(dim=0) for same in zip(*parts, strict=True)]
