"""Confirmed defects as patches that a network can learn, and patches as defects again."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor
from torch.nn import functional

from learning.generative.network import SIDE
from synth.sources.defects import Defect, DefectBank

_GAIN = 2.0
"""Deviations from the surroundings are learnt so many times as strong; beyond half of the range they are cut."""

_RIM = 1.25
"""Side of a patch over the longer side of the defect in it."""


def to_patches(bank: DefectBank) -> Tensor:
    """Each defect alone on a flat ground, in the middle of a square that it nearly fills.

    Returns:
        ``[N, C + 1, 64, 64]``, -1..1: twice the deviation from the surroundings, and the mask (-1 outside, 1
        inside).
    """
    return torch.stack([_to_patch(defect) for defect in bank.defects])


def frame_sides(bank: DefectBank) -> list[int]:
    """Side in pixels of the square around each defect, at the resolution of its image."""
    return [_square(defect)[2] for defect in bank.defects]


def to_defect(patch: Tensor, like: Defect, frame: int, name: str, provenance: str) -> Defect:
    """A patch as a defect that a network made.

    Args:
        patch: ``[C + 1, 64, 64]``, -1..1.
        like: Gives the surroundings, the resolution and the kind.
        frame: Side in pixels that the patch is brought to.
        name: See ``Defect``.
        provenance: See ``Defect``.
    """
    resized = functional.interpolate(patch[None], (frame, frame), mode="bilinear", antialias=True)[0]
    mask = ((resized[-1:] + 1) / 2).clamp(0, 1)
    # What is hardly there is noise of the network.
    mask = ((mask - 0.15) / 0.85).clamp_min(0)
    return Defect(
        pixels=(like.light[:, None, None] + resized[:-1] / _GAIN).clamp(0, 1),
        mask=mask,
        light=like.light,
        contrast=like.contrast,
        grain=like.grain,
        side=like.side,
        name=name,
        label=like.label,
        provenance=provenance,
        made=True,
    )


def turned(patches: Tensor, generator: Generator) -> Tensor:
    """Mirror and turn each patch by quarters, at random: a defect has no upright position."""
    ways = torch.randint(8, (len(patches),), generator=generator).tolist()
    return torch.stack(
        [
            torch.rot90(patch.flip(-1) if way >= 4 else patch, way % 4, (-2, -1))
            for patch, way in zip(patches, ways, strict=True)
        ]
    )


def shifted(patches: Tensor, shifts: Sequence[tuple[int, int]]) -> Tensor:
    """Move each patch by whole pixels (down, right), the ground moving in."""
    most = max(max(abs(down), abs(right)) for down, right in shifts)
    if most == 0:
        return patches
    ground = torch.zeros(patches.shape[1], device=patches.device)
    ground[-1] = -1
    padded = functional.pad(patches - ground[:, None, None], (most, most, most, most))
    moved = [
        row[:, most - down : most - down + SIDE, most - right : most - right + SIDE]
        for row, (down, right) in zip(padded, shifts, strict=True)
    ]
    return torch.stack(moved) + ground[:, None, None]


def _square(defect: Defect) -> tuple[int, int, int]:
    """Middle (row, column) and side of the square around what is masked."""
    rows, columns = ((defect.mask[0] > 0.1).any(dim=dim).nonzero().flatten() for dim in (1, 0))
    if not len(rows):
        height, width = defect.mask.shape[-2:]
        return height // 2, width // 2, max(height, width)
    longer = max(int(rows[-1] - rows[0]), int(columns[-1] - columns[0])) + 1
    side = max(8, round(longer * _RIM))
    return int(rows[0] + rows[-1]) // 2, int(columns[0] + columns[-1]) // 2, side


def _to_patch(defect: Defect) -> Tensor:
    row, column, side = _square(defect)
    deviation = (defect.pixels - defect.light[:, None, None]) * (defect.mask > 0)
    both = functional.pad(torch.cat([deviation, defect.mask]), (side, side, side, side))
    top, left = row + side - side // 2, column + side - side // 2
    cut = both[:, top : top + side, left : left + side]
    patch = functional.interpolate(cut[None], (SIDE, SIDE), mode="bilinear", antialias=True)[0]
    return torch.cat([(_GAIN * patch[:-1]).clamp(-1, 1), 2 * patch[-1:].clamp(0, 1) - 1])
