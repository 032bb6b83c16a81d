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
from synth.devices import onto
from synth.noise import Numbers, flat_table, lattice, lattice_starts, uniforms
from synth.windows import run

Points = tuple[Tensor, Tensor, Numbers]

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
    pixels = (grain * np.minimum(stretch, 1 / stretch)).astype(np.float32)
    cos, sin, along, across = (
        onto(values, x.device).to(x.dtype)[:, None, None]
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
        onto(values, fields.device).to(fields.dtype)[:, None, None, None]
        for values in (parameters.brightness, parameters.contrast)
    )
    grey = brightness + contrast * fields[:, None]
    if channels == 1:
        return grey
    tints = onto(uniforms(parameters.seed + 11, 2 * channels) - 0.5, fields.device)[:, :, None, None].chunk(2, 1)
    share = (fields[:, None] + 1) / 2
    return grey + 0.4 * (tints[0] + share * (tints[1] - tints[0]))


def _noise(seed: Numbers, u: Tensor, v: Tensor) -> Tensor:
    """Smooth noise with a bump for each unit; ``[B, h, w]``, 0..1."""
    if usable(u):
        noise = np.empty(u.shape, np.float32)
        places = (points.contiguous().numpy() for points in (u, v))
        kernels().values_at(lattice_starts(seed), flat_table(), *places, noise)
        return torch.from_numpy(noise)
    whole_u, whole_v = u.floor(), v.floor()
    corners = _around(seed, whole_u, whole_v, (0, 1))
    sides = torch.lerp(corners[:, :, 0], corners[:, :, 1], _fade(u - whole_u)[:, None])
    return torch.lerp(sides[:, 0], sides[:, 1], _fade(v - whole_v))


def _around(seed: Numbers, u: Tensor, v: Tensor, steps: tuple[int, ...]) -> Tensor:
    """Random numbers at lattice points so many steps from whole ``u`` and ``v``; ``[B, S, S, h, w]``, v before u."""
    offsets = torch.arange(steps[0], steps[-1] + 1, device=u.device)[:, None, None]
    return lattice(seed, (v.long()[:, None] + offsets)[:, :, None], (u.long()[:, None] + offsets)[:, None])


def _fade(t: Tensor) -> Tensor:
    return t * t * (3 - 2 * t)


def _octaves(seed: Numbers, points: Points, count: int = 4) -> Tensor:
    """Noise on several scales, each twice as fine and half as strong; about -1..1."""
    u, v, pixels = points
    total = torch.zeros_like(u)
    for octave in range(count):
        seen = np.flatnonzero(pixels / 2**octave >= _FINEST) if octave else np.arange(len(pixels))
        if len(seen):
            rows = run(seen)
            noise = _noise(seed[rows] + octave, u[rows] * 2**octave, v[rows] * 2**octave)
            total[rows] += 0.5**octave * (2 * noise - 1)
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
    steps = (-1, 0, 1)
    whole_u, whole_v = u.floor(), v.floor()
    offsets = torch.arange(-1.0, 2.0, device=u.device)[:, None, None]
    # How far the strewn points around are, in units: one in each cell of the lattice.
    distance = (_around(seed, whole_u, whole_v, steps) + offsets - (u - whole_u)[:, None, None]).square_()
    distance += (_around(seed + 1, whole_u, whole_v, steps) + offsets[:, None] - (v - whole_v)[:, None, None]).square_()
    distance = distance.flatten(1, 2)
    nearest, best = distance.min(dim=1, keepdim=True)
    second = distance.scatter(1, best, 9.0).amin(dim=1)
    number = _around(seed + 2, whole_u, whole_v, steps).flatten(1, 2).gather(1, best)[:, 0]
    return nearest[:, 0].sqrt(), second.sqrt(), number


def _grit(seed: Numbers, points: Points, finer: float) -> Tensor:
    """Noise that is so many times finer than the grain, but not finer than the pixels; -1..1."""
    u, v, pixels = points
    factor = onto(pixels.clip(1.0, finer), u.device)[:, None, None]
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
    slow = (torch.pi * u / 12 + 2 * torch.pi * onto(uniforms(seed, 1), u.device)[:, :, None]).sin()
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
