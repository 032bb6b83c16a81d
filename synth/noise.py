"""Noise that is the same wherever it is looked at from: a field of a seed, evaluated at any window of the picture.

All of it is read from one fixed table of random numbers, from a place that the seed chooses. So a field costs what its
window costs, needs no generator of its own, can be painted by tiles, and is the same on every device.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synth.compiled import kernels, usable
from synth.devices import onto

if TYPE_CHECKING:
    from synth.windows import Window

Numbers = NDArray[Any]
"""Numbers about flaws and lattices: few, and NumPy is several times as quick as torch at starting to work on them."""

SIDE = 1024
"""Side of the table; fields repeat after so many lattice points, which is farther than pictures reach."""

MOST_CELLS = 64.0
"""Finest lattice of Perlin noise along a picture's side."""

LEAST_PERIOD = 1.5
"""Finest lattice of grain, in pixels."""


def perlin(seeds: Numbers, cells: Numbers, window: "Window", octaves: int = 1) -> Tensor:
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
    device = window.images.device
    scale = np.maximum(cells, 1.0, dtype=np.float64)
    half = len(seeds)
    if usable(window.images):
        number = np.arange(octaves)[:, None]
        steps = np.minimum(scale * 2.0 ** number[:, :, None], MOST_CELLS) / np.array(window.size)
        cosines, sines = _flat_directions()
        noise = np.empty((half, 1, height, width), np.float32)
        starts = _scramble(seeds + 0x9E37 * number)
        kernels().gradient_noise(starts, _corners(window), steps, cosines, sines, noise[:, 0])
        return torch.from_numpy(noise)
    field = None
    for octave in range(octaves):
        points, weights = _slopes(window, np.minimum(scale * 2**octave, MOST_CELLS) / np.array(window.size))
        count = points.shape[1]
        down, across = weights[:half, :height], weights[half:, :width].mT
        at = lattice_places(seeds + 0x9E37 * octave, points[:half, :, None], points[half:, None])
        x, y = (directions.take(at) for directions in _directions(device))
        inner = torch.cat([torch.bmm(x, across[:, count:]), torch.bmm(y, across[:, :count])], dim=1)
        strength = 2**0.5 * 0.5**octave
        if field is None:
            # With nothing to add to, what is passed for it is not read.
            field = torch.baddbmm(inner.new_empty(1), down, inner, beta=0, alpha=strength)
        else:
            field = torch.baddbmm(field, down, inner, alpha=strength)
    assert field is not None
    return field[:, None].to(window.images)


def grain(seeds: Numbers, period: Numbers, window: "Window") -> Tensor:
    """Random values on a lattice, in between bilinear: grain of a given size, streaky where the periods differ.

    Args:
        seeds: ``[B]`` int64.
        period: ``[B, 2]`` distance of lattice points along height and width, in pixels; at least 1.5 is used.
        window: Where to evaluate it.

    Returns:
        ``[B, 1, h, w]`` in -0.5..0.5, of the window's type and on its device.
    """
    if usable(window.images):
        nothing, all_of_it = np.zeros((len(seeds), 1), np.float32), np.ones(len(seeds), np.float32)
        return grain_in_colours(seeds, period, window, nothing, all_of_it)
    height, width = window.shape
    device = window.images.device
    points, cell, part = _lattice(window, 1 / np.maximum(period, LEAST_PERIOD, dtype=np.float64))
    count = len(seeds)
    values = _table(device).take(lattice_places(seeds, points[:count, :, None], points[count:, None])).sub_(0.5)
    # Lines are picked out whole, which is faster than a product of matrices with two numbers in each line.
    across = _between(values.mT, cell[count:, :width], part[count:, :width])
    return _between(across.mT, cell[:count, :height], part[:count, :height])[:, None].to(window.images)


def grain_in_colours(seeds: Numbers, period: Numbers, window: "Window", colours: Numbers, amounts: Numbers) -> Tensor:
    """Colours ``[B, C]`` plus ``grain`` times amounts ``[B]``; ``[B, C, h, w]``."""
    if not usable(window.images):
        noise = grain(seeds, period, window)
        return window.tensor(colours[:, :, None, None]) + noise.mul_(window.column(amounts))
    pixels = np.empty((*colours.shape, *window.shape), np.float32)
    steps = 1 / np.maximum(period, LEAST_PERIOD, dtype=np.float64)
    colours, amounts = (values.astype(np.float32) for values in (colours, amounts))
    kernels().values_between(_scramble(seeds), _corners(window), steps, _flat(), colours, amounts, pixels)
    return torch.from_numpy(pixels)


def profile(seeds: Numbers, places: Tensor, period: Numbers) -> Tensor:
    """Random values along a line, in between smooth: for whatever changes in one direction only.

    Args:
        seeds: ``[B]`` int64.
        places: ``[B, ...]`` on the line, in pixels; may be negative.
        period: ``[B]`` distance of the random values, in pixels.

    Returns:
        ``[B, ...]`` in -0.5..0.5, of the places' shape, type and device.
    """
    shape = (-1, *[1] * (places.ndim - 1))
    scaled = places * onto(1 / period, places.device).to(places.dtype).view(shape)
    cell = scaled.floor()
    t = scaled.sub_(cell)
    places_in_table = _scramble(seeds)
    row = _table(places.device)[onto(places_in_table % SIDE, places.device)]
    start = onto(places_in_table // SIDE, places.device).view(shape)
    index = cell.long().add_(start)
    low, high = (row.gather(1, (index + i).bitwise_and_(SIDE - 1).flatten(1)) for i in (0, 1))
    t = (t * t).mul_(3 - 2 * t)
    return low.lerp_(high, t.flatten(1).to(low)).sub_(0.5).view_as(places).to(places)


def uniforms(seeds: Numbers, count: int) -> Numbers:
    """Numbers in 0..1 that follow from each seed, ``[B, count]`` float32; count up to a million."""
    return _flat().take(_run(seeds, count))


def normals(seeds: Numbers, count: int) -> Numbers:
    """Normally distributed numbers that follow from each seed, ``[B, count]`` float32."""
    return _bell().take(_run(seeds, count))


def _run(seeds: Numbers, count: int) -> Numbers:
    return (_scramble(seeds)[:, None] + np.arange(count)) & (SIDE**2 - 1)


@lru_cache
def _table(device: torch.device) -> Tensor:
    return torch.rand(SIDE, SIDE, generator=torch.Generator().manual_seed(0)).to(device)


@lru_cache
def _flat() -> Numbers:
    return _table(torch.device("cpu")).flatten().numpy()


@lru_cache
def _flat_directions() -> tuple[Numbers, Numbers]:
    cosines, sines = _directions(torch.device("cpu"))
    return cosines.flatten().numpy(), sines.flatten().numpy()


@lru_cache
def _bell() -> Numbers:
    """The table's numbers, made normal."""
    return torch.special.ndtri(torch.from_numpy(_flat()).clamp(1e-6, 1 - 1e-6)).numpy()


@lru_cache
def _directions(device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosine and sine of the table's numbers, taken as turns."""
    angles = 2 * torch.pi * _table(torch.device("cpu"))
    return angles.cos().to(device), angles.sin().to(device)


def lattice(seeds: Numbers, rows: Tensor, columns: Tensor) -> Tensor:
    """Random numbers 0..1 at lattice points, int64 ``[B, ...]`` both; of the shape that both have together."""
    return _table(rows.device).take(lattice_places(seeds, rows, columns))


def lattice_starts(seeds: Numbers) -> Numbers:
    """Where in ``flat_table`` each field begins, as ``lattice`` has it."""
    return _scramble(seeds)


def flat_table() -> Numbers:
    """The table of random numbers, in one line."""
    return _flat()


def directions() -> tuple[Numbers, Numbers]:
    """Cosine and sine of the table's numbers, taken as turns, in one line each."""
    return _flat_directions()


def bell_table() -> Numbers:
    """The table's numbers made normal, in one line."""
    return _bell()


def lattice_places(seeds: Numbers, rows: Tensor, columns: Tensor) -> Tensor:
    """As ``lattice``, where in the table, taken as one line, the points are."""
    start = onto(_scramble(seeds), rows.device).view(-1, *[1] * (rows.ndim - 1))
    down = (rows + start.div(SIDE, rounding_mode="floor")).bitwise_and_(SIDE - 1).mul_(SIDE)
    return down + (columns + start).bitwise_and_(SIDE - 1)


def _corners(window: "Window") -> Numbers:
    """First rows and columns of windows, ``[B, 2]``; fractions where a window is moved."""
    return np.stack([window.top, window.left], axis=1).astype(np.float64)


def _scramble(seeds: Numbers) -> Numbers:
    """Spread seeds over the table: neighbouring seeds start far apart (Wellons' 32-bit integer hash)."""
    x: Numbers = seeds.astype(np.uint32)
    x = (x ^ (x >> 16)) * np.uint32(0x7FEB352D)
    x = (x ^ (x >> 15)) * np.uint32(0x846CA68B)
    return ((x ^ (x >> 16)) & (SIDE**2 - 1)).astype(np.int64)


def _lattice(window: "Window", scale: Numbers) -> tuple[Tensor, Tensor, Tensor]:
    """Lattice points that lines of pixels lie between; rows of all fields first, then their columns.

    Args:
        window: Of B pictures, with lines of pixels along its height and width.
        scale: ``[B, 2]`` cells for a pixel, along height and width.

    Returns:
        On the window's device the points ``[2B, P]``; for each of n pixels, n the longer side, the first of the two
        that it lies between ``[2B, n]``, counted from the first of all, and how far it lies from that one ``[2B, n]``,
        0..1.
    """
    device, length = window.images.device, max(window.shape)
    start, steps = np.concatenate([window.top, window.left]).astype(np.float64), scale.T.ravel()
    ends = np.floor((start + 0.5) * steps), np.floor((start + (length - 0.5)) * steps)
    middles = torch.arange(length, dtype=torch.float64, device=device) + 0.5
    # In double precision, so that noise is the same on every device.
    at = (onto(start, device)[:, None] + middles) * onto(steps, device)[:, None]
    cell = at.floor()
    first = cell[:, :1]
    points = first.long() + torch.arange(int((ends[1] - ends[0]).max()) + 2, device=device)
    return points, (cell - first).long(), (at - cell).float()


def _slopes(window: "Window", scale: Numbers) -> tuple[Tensor, Tensor]:
    """As ``_lattice``, the points, and the weight of each at each pixel beside the same times the offset.

    Returns:
        ``[2B, P]``, and ``[2B, n, 2P]``.
    """
    points, cell, t = _lattice(window, scale)
    count = points.shape[1]
    fade = t * t * t * (t * (6 * t - 15) + 10)
    rest = 1 - fade
    weights = torch.zeros(*cell.shape, 2 * count, device=t.device)
    for further, values in ((0, rest), (1, fade), (count, rest * t), (count + 1, fade * (t - 1))):
        weights.scatter_(2, (cell + further)[..., None], values[..., None])
    return points, weights


def _between(values: Tensor, first: Tensor, part: Tensor) -> Tensor:
    """Lines of ``values [B, P, n]`` at places between two of them: ``first`` and how far beyond, ``[B, m]`` both."""
    count, points, length = values.shape
    lines = values.reshape(count * points, length)
    place = (first + torch.arange(count, device=first.device)[:, None] * points).flatten()
    low, high = lines.index_select(0, place), lines.index_select(0, place + 1)
    return low.lerp_(high, part.reshape(-1, 1)).view(count, -1, length)
