"""Procedural textures: a plane of each, evaluated wherever it is asked for, from a seed.

Nothing is downloaded. A texture is a function of the place alone: what is random about it lies on the lattice of
``synth.noise``, so that any window of an image can be painted by itself and the windows fit. Noise on a lattice is
after Perlin, "An image synthesizer" (1985), cells after Worley, "A cellular texture basis function" (1996).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from synth.compiled import kernels, usable
from synth.noise import Numbers, flat_table, lattice, lattice_starts, uniforms
from synth.windows import run

Points = tuple[Tensor, Tensor, Tensor]

_FINEST = 1.0
"""Octaves of noise whose bumps are smaller than this many pixels cannot be seen and are left out."""


@dataclass(frozen=True, kw_only=True)
class TextureParameters:
    """Textures as plain data; ``[B]`` each.

    Attributes:
        kind: 0..1 over ``TEXTURES``.
        seed: int64.
        grain: Size of a grain, as a fraction of the image's shorter side.
        stretch: Length of a grain along the texture's own x over its length along its own y.
        angle: By which the texture is turned, radians.
        brightness: Its mean, 0..1.
        contrast: Its spread, 0..1.
    """

    kind: Numbers
    seed: Numbers
    grain: Numbers
    stretch: Numbers
    angle: Numbers
    brightness: Numbers
    contrast: Numbers


def textures(parameters: TextureParameters, x: Tensor, y: Tensor, side: int, channels: int) -> Tensor:
    """Evaluate textures.

    Args:
        parameters: One texture for each row.
        x: ``[B, 1, h, w]``, or ``[B, 1, 1, w]``, pixels from the left of the whole image.
        y: ``[B, 1, h, w]``, or ``[B, 1, h, 1]``, pixels from its top.
        side: Shorter side of the whole image in pixels.
        channels: 1, or 3 for textures in two colours.

    Returns:
        ``[B, channels, h, w]``, 0..1, of the type and on the device of ``x``.
    """
    x, y = (values[:, 0].float() for values in torch.broadcast_tensors(x, y))
    grain, stretch = np.maximum(parameters.grain * side, 1.0), np.sqrt(parameters.stretch)
    pixels = torch.from_numpy(grain * np.minimum(stretch, 1 / stretch)).to(x)
    cos, sin, along, across = (
        torch.from_numpy(values).to(x)[:, None, None]
        for values in (np.cos(parameters.angle), np.sin(parameters.angle), grain * stretch, grain / stretch)
    )
    u = (x * cos + y * sin) / along
    v = (y * cos - x * sin) / across
    kinds = list(TEXTURES.values())
    chosen = (parameters.kind * len(kinds)).astype(np.int64).clip(0, len(kinds) - 1)
    fields = torch.empty_like(u)
    for kind in sorted(set(chosen.tolist())):
        rows = run(np.flatnonzero(chosen == kind))
        fields[rows] = kinds[kind](parameters.seed[rows], (u[rows], v[rows], pixels[rows]))
    return _coloured(fields, parameters, channels).clamp(0, 1)


def _coloured(fields: Tensor, parameters: TextureParameters, channels: int) -> Tensor:
    """Two colours, one where the field is -1 and one where it is 1, around the brightness."""
    if usable(fields):
        rolls = np.float32(0.4 * (channels > 1)) * (uniforms(parameters.seed + 11, 2 * channels) - np.float32(0.5))
        colours = (np.ascontiguousarray(tint) for tint in np.split(rolls, 2, axis=1))
        means = (np.ascontiguousarray(v, np.float32) for v in (parameters.brightness, parameters.contrast))
        pixels = np.empty((len(fields), channels, *fields.shape[1:]), np.float32)
        kernels().in_two_colours(fields.contiguous().numpy(), *means, *colours, pixels)
        return torch.from_numpy(pixels)
    brightness, contrast = (
        torch.from_numpy(values).to(fields)[:, None, None, None]
        for values in (parameters.brightness, parameters.contrast)
    )
    grey = brightness + contrast * fields[:, None]
    if channels == 1:
        return grey
    tints = (
        torch.from_numpy(uniforms(parameters.seed + 11, 2 * channels) - 0.5)[:, :, None, None].to(fields).chunk(2, 1)
    )
    share = (fields[:, None] + 1) / 2
    return grey + 0.4 * (tints[0] + share * (tints[1] - tints[0]))


def _table(seed: Numbers, u: Tensor, v: Tensor, rim: int) -> tuple[Tensor, Tensor, Tensor]:
    """Random numbers on the lattice points under a window and ``rim`` around it.

    Returns:
        ``[B, n, m]`` numbers 0..1, and ``[B, 1, 1]`` int64 the first lattice point along u and v.
    """
    firsts, counts = [], []
    for values in (u, v):
        flat = values.flatten(1)
        low, high = (edge.floor().long() for edge in (flat.amin(dim=1), flat.amax(dim=1)))
        firsts.append(low - rim)
        counts.append(int((high - low).max()) + 2 + 2 * rim)
    columns, rows = (
        first.cpu().numpy()[:, None] + np.arange(count) for first, count in zip(firsts, counts, strict=True)
    )
    first_u, first_v = (first[:, None, None] for first in firsts)
    return lattice(seed, rows, columns, u.device), first_u, first_v


def _noise(seed: Numbers, u: Tensor, v: Tensor) -> Tensor:
    """Smooth noise with a bump for each unit; ``[B, h, w]``, 0..1."""
    if usable(u):
        noise = np.empty(u.shape, np.float32)
        places = (points.contiguous().numpy() for points in (u, v))
        kernels().values_at(lattice_starts(seed), flat_table(), *places, noise)
        return torch.from_numpy(noise)
    # Gathered and not by grid_sample, whose coordinates lose digits to the size of the table, and so to the batch.
    table, first_u, first_v = _table(seed, u, v, rim=0)
    width = table.shape[-1]
    values = table.flatten(1)
    whole_u, whole_v = u.floor(), v.floor()
    at = ((whole_v.long() - first_v) * width + (whole_u.long() - first_u)).flatten(1)
    along, down = _fade(u - whole_u).flatten(1), _fade(v - whole_v).flatten(1)
    upper = torch.lerp(values.gather(1, at), values.gather(1, at + 1), along)
    at += width
    lower = torch.lerp(values.gather(1, at), values.gather(1, at + 1), along)
    return torch.lerp(upper, lower, down).view_as(u)


def _fade(t: Tensor) -> Tensor:
    return t * t * (3 - 2 * t)


def _octaves(seed: Numbers, points: Points, count: int = 4) -> Tensor:
    """Noise on several scales, each twice as fine and half as strong; about -1..1."""
    u, v, pixels = points
    total = torch.zeros_like(u)
    for octave in range(count):
        seen = (pixels / 2**octave >= _FINEST).nonzero().flatten() if octave else torch.arange(len(u), device=u.device)
        if len(seen):
            noise = _noise(seed[seen.cpu().numpy()] + octave, u[seen] * 2**octave, v[seen] * 2**octave)
            total[seen] += 0.5**octave * (2 * noise - 1)
    return total


def _cells(seed: Numbers, points: Points) -> tuple[Tensor, Tensor, Tensor]:
    """Distance to the nearest and second nearest of points strewn about, and a random number of the nearest one's own.

    Returns:
        ``[B, h, w]`` each; distances are in units.
    """
    u, v, _ = points
    if usable(u):
        near = np.empty((3, *u.shape), np.float32)
        places = (points.contiguous().numpy() for points in (u, v))
        starts = lattice_starts(np.stack([seed, seed + 1, seed + 2]))
        kernels().nearest_points(starts, flat_table(), *places, *near)
        found = torch.from_numpy(near)
        return found[0], found[1], found[2]
    tables, first_u, first_v = zip(*(_table(seed + k, u, v, rim=1) for k in range(3)), strict=True)
    height, width = tables[0].shape[-2:]
    column, row = u.floor().long() - first_u[0], v.floor().long() - first_v[0]
    u, v = u - first_u[0], v - first_v[0]
    # Where the strewn points lie, in units from the first lattice point.
    at_u = (tables[0] + torch.arange(width, device=u.device)).flatten(1)
    at_v = (tables[1] + torch.arange(height, device=u.device)[:, None]).flatten(1)
    nearest = second = torch.full_like(u, 9.0)
    best = torch.zeros_like(column)
    for down in (-1, 0, 1):
        for across in (-1, 0, 1):
            cell = (row + down) * width + (column + across)
            flat = cell.flatten(1)
            distance = (at_u.gather(1, flat).view_as(u) - u).square_()
            distance += (at_v.gather(1, flat).view_as(v) - v).square_()
            second = torch.minimum(second, torch.maximum(nearest, distance))
            best = torch.where(distance < nearest, cell, best)
            nearest = torch.minimum(nearest, distance)
    number = tables[2].flatten(1).gather(1, best.flatten(1)).view_as(u)
    return nearest.sqrt(), second.sqrt(), number


def _grit(seed: Numbers, points: Points, finer: float) -> Tensor:
    """Noise that is so many times finer than the grain, but not finer than the pixels; -1..1."""
    u, v, pixels = points
    factor = pixels.clamp(1.0, finer)[:, None, None]
    return 2 * _noise(seed, u * factor, v * factor) - 1


def _clouds(seed: Numbers, points: Points) -> Tensor:
    return _octaves(seed, points)


def _speckle(seed: Numbers, points: Points) -> Tensor:
    """Fine noise, most of it dark, as of sand or casting."""
    return (2 * _noise(seed, points[0] * 2, points[1] * 2) - 1) ** 3 * 2


def _brushed(seed: Numbers, points: Points) -> Tensor:
    """Streaks in one direction, as of brushing and rolling."""
    u, v, _ = points
    return (_noise(seed, u / 16, v * 2) + 0.7 * _noise(seed + 1, u / 8, v * 4) - 0.85) * 2


def _woven(seed: Numbers, points: Points) -> Tensor:
    """A plain weave: yarns go over and under each other."""
    u, v, _ = points
    warp = 0.15 * (_noise(seed, u / 4, v / 4) - 0.5)
    u, v = u + warp, v + warp
    over = (torch.pi * u).sin() * (torch.pi * v).sin()
    along = (torch.pi * u).cos().abs()
    across = (torch.pi * v).cos().abs()
    return torch.where(over > 0, 1 - 1.6 * along, 1 - 1.6 * across) + 0.15 * _grit(seed + 1, points, 4)


def _striped(seed: Numbers, points: Points) -> Tensor:
    """Stripes of wavering width."""
    u, v, _ = points
    return (torch.pi * (v + 0.6 * _noise(seed, u / 6, v / 6))).sin() * 1.2


def _knurled(seed: Numbers, points: Points) -> Tensor:
    """Small pyramids in rows, as of knurling, embossing and tread plate."""
    u, v, _ = points
    return (2 * (u - u.floor() - 0.5).abs() + 2 * (v - v.floor() - 0.5).abs()) - 1


def _dots(seed: Numbers, points: Points) -> Tensor:
    """Round spots of different sizes, strewn about."""
    nearest, _, number = _cells(seed, points)
    return 1 - 2 * ((nearest - 0.12 - 0.22 * number) * 12).clamp(0, 1)


def _cellular(seed: Numbers, points: Points) -> Tensor:
    """Patches of even brightness with dark joints, as of crystals and terrazzo."""
    nearest, second, number = _cells(seed, points)
    return (2 * number - 1) * ((second - nearest) * 8).clamp(0, 1) - 0.5 * (second - nearest < 0.06)


def _cracked(seed: Numbers, points: Points) -> Tensor:
    """A network of thin dark lines, as of dried paint and craquelure."""
    u, v, _ = points
    warp = [0.5 * (_noise(seed + i, u * 2, v * 2) - 0.5) for i in (5, 6)]
    nearest, second, _ = _cells(seed, (u + warp[0], v + warp[1], points[2]))
    return 0.4 - 1.6 * torch.exp(-(((second - nearest) / 0.06) ** 2))


def _rusty(seed: Numbers, points: Points) -> Tensor:
    """Two colours in ragged patches, as of rust and flaking paint."""
    ragged = _octaves(seed, points, 5)
    return (ragged * 6).clamp(-1, 1) * 0.8 + 0.2 * _grit(seed + 9, points, 8)


def _marbled(seed: Numbers, points: Points) -> Tensor:
    """Veins."""
    u, v, _ = points
    return (
        1
        - 2 * (torch.pi * (u / 2 + 1.5 * _octaves(seed, (u / 2, v / 2, 2 * points[2]), 3))).sin().abs().add(0.01).sqrt()
    )


def _gradient(seed: Numbers, points: Points) -> Tensor:
    """A slow change of brightness, with a little grain."""
    u = points[0]
    slow = (torch.pi * u / 12 + 2 * torch.pi * torch.from_numpy(uniforms(seed, 1)).to(u)[:, :, None]).sin()
    return slow + 0.08 * _grit(seed, points, 4)


TEXTURES: dict[str, Callable[[Numbers, Points], Tensor]] = {
    "brushed": _brushed,
    "cells": _cellular,
    "clouds": _clouds,
    "cracks": _cracked,
    "dots": _dots,
    "gradient": _gradient,
    "knurled": _knurled,
    "marble": _marbled,
    "rust": _rusty,
    "speckle": _speckle,
    "stripes": _striped,
    "woven": _woven,
}
"""Kinds of texture by name: functions of ``[B]`` seeds and points, about -1..1.

Points are u and v, ``[B, h, w]`` in grains, and the pixels ``[B]`` that a grain has."""
