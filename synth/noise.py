"""Noise that is the same wherever it is looked at from: a field of a seed, evaluated at any window of the picture.

All of it is read from one fixed table of random numbers, from a place that the seed chooses. So a field costs what its
window costs, needs no generator of its own, can be painted by tiles, and is the same on every device.
"""

from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from synth.windows import Window

_SIDE = 1024
"""Side of the table; fields repeat after so many lattice points, which is farther than pictures reach."""

_MOST_CELLS = 64.0
_LEAST_PERIOD = 1.5


def perlin(seeds: Tensor, cells: Tensor, window: "Window", octaves: int = 1) -> Tensor:
    """Perlin noise, a field of its own for every row.

    Noise at a point is the sum over the four lattice points around it of gradient times offset, faded (Perlin,
    "Improving noise", 2002). The fade is separable, so that the sum over the lattice is a product of small matrices.

    Args:
        seeds: ``[B]`` int64.
        cells: ``[B, 2]`` cells of the lattice along the picture's height and width, at least 1; at most 64 are used.
        window: Where to evaluate it.
        octaves: Fields that are added, each twice as fine and half as strong as the one before.

    Returns:
        ``[B, 1, h, w]`` in about -1..1, of the window's type and on its device.
    """
    device = window.images.device
    field = window.images.new_zeros(len(seeds), *window.shape, dtype=torch.float32)
    for octave in range(octaves):
        scale = (cells.clamp_min(1.0) * 2**octave).clamp_max(_MOST_CELLS) / torch.tensor(window.size)
        rows, fade_y, slope_y = _fades(window.top, window.shape[0], scale[:, 0], device)
        columns, fade_x, slope_x = _fades(window.left, window.shape[1], scale[:, 1], device)
        angles = _at(seeds + 0x9E37 * octave, rows, columns, device) * (2 * torch.pi)
        inner = torch.cat([angles.sin() @ fade_x.mT, angles.cos() @ slope_x.mT], dim=1)
        field.add_(torch.cat([slope_y, fade_y], dim=2) @ inner, alpha=2**0.5 * 0.5**octave)
    return field[:, None].to(window.images)


def grain(seeds: Tensor, period: Tensor, window: "Window") -> Tensor:
    """Random values on a lattice, in between bilinear: grain of a given size, streaky where the periods differ.

    Args:
        seeds: ``[B]`` int64.
        period: ``[B, 2]`` distance of lattice points along height and width, in pixels; at least 1.5 is used.
        window: Where to evaluate it.

    Returns:
        ``[B, 1, h, w]`` in -0.5..0.5, of the window's type and on its device.
    """
    device = window.images.device
    scale = 1 / period.clamp_min(_LEAST_PERIOD)
    rows, offset_y = _lattice(window.top, window.shape[0], scale[:, 0], device)
    columns, offset_x = _lattice(window.left, window.shape[1], scale[:, 1], device)
    weight_y, weight_x = ((1 - offset.abs()).clamp_min(0) for offset in (offset_y, offset_x))
    values = _at(seeds, rows, columns, device) - 0.5
    return (weight_y @ values @ weight_x.mT)[:, None].to(window.images)


def uniforms(seeds: Tensor, count: int) -> Tensor:
    """Numbers in 0..1 that follow from each seed, ``[B, count]``, on the CPU; count up to a million."""
    return _table(torch.device("cpu")).flatten()[(_scramble(seeds)[:, None] + torch.arange(count)) % _SIDE**2]


def normals(seeds: Tensor, count: int) -> Tensor:
    """Normally distributed numbers that follow from each seed, ``[B, count]``, on the CPU."""
    return torch.special.ndtri(uniforms(seeds, count).clamp(1e-6, 1 - 1e-6))


@lru_cache
def _table(device: torch.device) -> Tensor:
    return torch.rand(_SIDE, _SIDE, generator=torch.Generator().manual_seed(0)).to(device)


def _at(seeds: Tensor, rows: Tensor, columns: Tensor, device: torch.device) -> Tensor:
    """Values 0..1 at lattice points ``rows [B, P]`` and ``columns [B, Q]``; ``[B, P, Q]``."""
    start = _scramble(seeds)[:, None]
    down, across = (start // _SIDE + rows) % _SIDE, (start % _SIDE + columns) % _SIDE
    return _table(device)[down[:, :, None].to(device), across[:, None, :].to(device)]


def _scramble(seeds: Tensor) -> Tensor:
    """Spread seeds over the table: neighbouring seeds start far apart (Wellons' 32-bit integer hash)."""
    x = seeds & 0xFFFFFFFF
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & 0xFFFFFFFF
    x = ((x ^ (x >> 15)) * 0x846CA68B) & 0xFFFFFFFF
    return (x ^ (x >> 16)) % _SIDE**2


def _lattice(start: Tensor, length: int, scale: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """Lattice points that a stretch of pixels lies between, and how far each pixel is from each, in cells.

    Args:
        start: ``[B]`` int64, first pixel.
        length: Pixels.
        scale: ``[B]`` cells for a pixel.
        device: Of the offsets.

    Returns:
        ``[B, P]`` int64 on the CPU and ``[B, length, P]``.
    """
    places = (start[:, None] + torch.arange(length) + 0.5).double() * scale[:, None].double()
    first = places[:, 0].floor()
    count = int((places[:, -1].floor() - first).max()) + 2
    points = first[:, None] + torch.arange(count)
    offsets = (places - first[:, None])[:, :, None] - torch.arange(count)
    return points.long(), offsets.to(device, torch.float32)


def _fades(start: Tensor, length: int, scale: Tensor, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Lattice points, the weight of each at each pixel, and the same times the offset."""
    points, offset = _lattice(start, length, scale, device)
    t = offset.abs().clamp_max(1)
    fade = 1 - t * t * t * (t * (6 * t - 15) + 10)
    return points, fade, fade * offset
