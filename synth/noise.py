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
    height, width = window.shape
    field = window.images.new_zeros(1, dtype=torch.float32)
    for octave in range(octaves):
        scale = (cells.clamp_min(1.0) * 2**octave).clamp_max(_MOST_CELLS) / torch.tensor(window.size)
        (rows, down), (columns, across) = _slopes(window, scale)
        angles = lattice(seeds + 0x9E37 * octave, rows, columns, window.images.device).mul_(2 * torch.pi)
        count = rows.shape[1]
        inner = torch.cat(
            [angles.cos() @ across[:, :width, count:].mT, angles.sin() @ across[:, :width, :count].mT], dim=1
        )
        field = torch.baddbmm(field, down[:, :height], inner.mul_(2**0.5 * 0.5**octave))
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
    height, width = window.shape
    points, cell, part = _lattice(window, 1 / period.clamp_min(_LEAST_PERIOD))
    count = len(seeds)
    values = lattice(seeds, points[:count], points[count:], window.images.device) - 0.5
    # Lines are picked out whole, which is faster than a product of matrices with two numbers in each line.
    across = _between(values.mT, cell[count:, :width], part[count:, :width])
    return _between(across.mT, cell[:count, :height], part[:count, :height])[:, None].to(window.images)


def profile(seeds: Tensor, places: Tensor, period: Tensor) -> Tensor:
    """Random values along a line, in between smooth: for whatever changes in one direction only.

    Args:
        seeds: ``[B]`` int64.
        places: ``[B, ...]`` on the line, in pixels; may be negative.
        period: ``[B]`` distance of the random values, in pixels.

    Returns:
        ``[B, ...]`` in -0.5..0.5, of the places' shape, type and device.
    """
    shape = (-1, *[1] * (places.ndim - 1))
    scaled = places * (1 / period).to(places).view(shape)
    cell = scaled.floor()
    t = scaled.sub_(cell)
    row = _table(places.device)[_scramble(seeds).to(places.device) % _SIDE]
    start = (_scramble(seeds) // _SIDE).to(places.device).view(shape)
    index = cell.long().add_(start)
    low, high = (torch.take_along_dim(row, (index + i).bitwise_and_(_SIDE - 1).flatten(1), 1) for i in (0, 1))
    t = (t * t).mul_(3 - 2 * t)
    return low.lerp_(high, t.flatten(1).to(low)).sub_(0.5).view_as(places).to(places)


def uniforms(seeds: Tensor, count: int) -> Tensor:
    """Numbers in 0..1 that follow from each seed, ``[B, count]``, on the CPU; count up to a million."""
    return _table(torch.device("cpu")).flatten()[(_scramble(seeds)[:, None] + torch.arange(count)) % _SIDE**2]


def normals(seeds: Tensor, count: int) -> Tensor:
    """Normally distributed numbers that follow from each seed, ``[B, count]``, on the CPU."""
    return torch.special.ndtri(uniforms(seeds, count).clamp(1e-6, 1 - 1e-6))


@lru_cache
def _table(device: torch.device) -> Tensor:
    return torch.rand(_SIDE, _SIDE, generator=torch.Generator().manual_seed(0)).to(device)


def lattice(seeds: Tensor, rows: Tensor, columns: Tensor, device: torch.device) -> Tensor:
    """Random numbers 0..1 at lattice points ``rows [B, P]`` and ``columns [B, Q]``; ``[B, P, Q]``."""
    start = _scramble(seeds)[:, None]
    down, across = (start // _SIDE + rows) & (_SIDE - 1), (start + columns) & (_SIDE - 1)
    return _table(device)[down[:, :, None].to(device), across[:, None, :].to(device)]


def _scramble(seeds: Tensor) -> Tensor:
    """Spread seeds over the table: neighbouring seeds start far apart (Wellons' 32-bit integer hash)."""
    x = seeds & 0xFFFFFFFF
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & 0xFFFFFFFF
    x = ((x ^ (x >> 15)) * 0x846CA68B) & 0xFFFFFFFF
    return (x ^ (x >> 16)) & (_SIDE**2 - 1)


def _lattice(window: "Window", scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Lattice points that lines of pixels lie between; rows of all fields first, then their columns.

    Args:
        window: Of B pictures, with lines of pixels along its height and width.
        scale: ``[B, 2]`` cells for a pixel, along height and width.

    Returns:
        The points ``[2B, P]``, int64 on the CPU; for each of n pixels, n the longer side, the first of the two that it
        lies between ``[2B, n]``, counted from the first of all, and how far it lies from that one ``[2B, n]``, 0..1.
    """
    start = torch.cat([window.top, window.left])[:, None]
    places = (start + (torch.arange(max(window.shape)) + 0.5)).double() * scale.mT.reshape(-1, 1).double()
    cell = places.floor()
    part = places.sub_(cell)
    first = cell[:, :1].long()
    after = cell.long().sub_(first)
    points = first + torch.arange(int(after[:, -1].max()) + 2)
    device = window.images.device
    return points, after.to(device), part.to(device, torch.float32)


def _slopes(window: "Window", scale: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Lattice points ``[B, P]``, and the weight of each at each pixel beside the same times the offset, ``[B, n, 2P]``.

    For the rows of the window, and for its columns.
    """
    points, cell, t = _lattice(window, scale)
    lines, count = points.shape
    fade = t * t * t * (t * (6 * t - 15) + 10)
    rest = 1 - fade
    values = torch.stack([rest, fade, rest * t, fade * (t - 1)], dim=2)
    places = cell[:, :, None] + torch.tensor([0, 1, count, count + 1], device=cell.device)
    weights = values.new_zeros(lines, cell.shape[1], 2 * count).scatter_(2, places, values)
    half = lines // 2
    return (points[:half], weights[:half]), (points[half:], weights[half:])


def _between(values: Tensor, first: Tensor, part: Tensor) -> Tensor:
    """Lines of ``values [B, P, n]`` at places between two of them: ``first`` and how far beyond, ``[B, m]`` both."""
    count, points, length = values.shape
    lines = values.reshape(count * points, length)
    place = (first + torch.arange(count, device=first.device)[:, None] * points).flatten()
    low, high = lines.index_select(0, place), lines.index_select(0, place + 1)
    return low.lerp_(high, part.reshape(-1, 1)).view(count, -1, length)
