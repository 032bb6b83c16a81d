"""Formulas that surfaces are made of: each is drawn once for a product, and gives every part of it a field of its own.

A pattern is drawn in two steps. The product's random numbers decide what stays the same from part to part, such as the
period of a weave; the part's own decide what differs, such as where its grains lie.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

Array = NDArray[Any]
"""``[size, size]`` float32, unless said otherwise."""


@dataclass(frozen=True)
class Grid:
    """Where the pixels of a picture lie on the part, in units of 1/256 of the picture's side.

    Attributes:
        u: ``[size, size]``.
        v: ``[size, size]``.
    """

    u: Array
    v: Array

    @property
    def size(self) -> int:
        """Side of the picture in pixels."""
        return int(self.u.shape[0])


Pattern = Callable[[np.random.Generator, Grid], Array]
"""From a part's random numbers and its grid to a field of about unit variance."""


def spectral(rng: np.random.Generator) -> Pattern:
    """Noise whose power falls with frequency, stretched along one direction: castings, brushed metal, clouds, paper."""
    slope = rng.uniform(0.0, 2.4)
    stretch = float(np.exp(rng.uniform(0.7, 3.4))) if rng.random() < 0.5 else 1.0
    angle = rng.uniform(0, np.pi)
    lowest = 2.0 ** rng.uniform(-9, -4)

    def render(item: np.random.Generator, grid: Grid) -> Array:
        rows = np.fft.fftfreq(grid.size)[:, None] * grid.size / 256
        columns = np.fft.rfftfreq(grid.size)[None] * grid.size / 256
        along = (columns * np.cos(angle) + rows * np.sin(angle)) * stretch
        across = rows * np.cos(angle) - columns * np.sin(angle)
        amplitude = (along**2 + across**2 + lowest**2) ** (-slope / 2)
        amplitude[0, 0] = 0
        white = np.fft.rfft2(item.standard_normal((grid.size, grid.size)))
        return _unit(np.fft.irfft2(white * amplitude, s=(grid.size, grid.size)))

    return render


def grating(rng: np.random.Generator) -> Pattern:
    """Lines, or two sets of lines that cross: weaves, meshes, milled and turned faces."""
    period = float(np.exp(rng.uniform(np.log(4), np.log(48))))
    angle = rng.uniform(0, np.pi)
    crossing = rng.random() < 0.55
    other = angle + (np.pi / 2 if rng.random() < 0.7 else rng.uniform(0.4, 2.6))
    ratio = rng.choice([1.0, 1.0, rng.uniform(0.5, 2)])
    sharpness = rng.uniform(0.5, 4)
    wobble, slowness = rng.uniform(0, 0.25), rng.uniform(20, 90)
    multiply = rng.random() < 0.5

    def render(item: np.random.Generator, grid: Grid) -> Array:
        def lines(direction: float, distance: float) -> Array:
            place = (grid.u * np.cos(direction) + grid.v * np.sin(direction)) / distance
            bent = place + wobble * smooth(item, grid.size, slowness) + item.uniform(0, 1)
            return np.tanh(sharpness * np.sin(2 * np.pi * bent))

        field = lines(angle, period)
        if crossing:
            second = lines(other, period * ratio)
            field = field * second if multiply else field + second
        return _unit(field)

    return render


def cells(rng: np.random.Generator) -> Pattern:
    """Grains around random points (Worley, 1996): crystals, leather, terrazzo, cracked glaze that is meant to be so."""
    count = int(np.exp(rng.uniform(np.log(30), np.log(1500))))
    seams = rng.random() < 0.5
    softness = rng.uniform(0.05, 0.5)
    toned = rng.uniform(0, 1)

    def render(item: np.random.Generator, grid: Grid) -> Array:
        points = item.uniform(-20, 276, (count, 2))
        places = np.stack([grid.u.ravel() + 128, grid.v.ravel() + 128], axis=1)
        distance, nearest = map(np.asarray, cKDTree(points).query(places, k=2))
        scale = 296 / np.sqrt(count)
        edge = (distance[:, 1] - distance[:, 0]) / scale if seams else distance[:, 0] / scale
        field = np.tanh(edge / softness) + toned * item.uniform(-1, 1, count)[nearest[:, 0]]
        return _unit(field.reshape(grid.u.shape))

    return render


def bricks(rng: np.random.Generator) -> Pattern:
    """Rows of equal pieces with joints between them: masonry, tiling, solar cells, chips in a tray."""
    width, height = np.exp(rng.uniform(np.log(14), np.log(110), 2))
    joint = rng.uniform(0.8, 5)
    offset = rng.choice([0.0, 0.5, rng.uniform(0, 1)])
    rough, toned = rng.uniform(0, 1.5), rng.uniform(0, 1.2)
    sunk = rng.choice([-1, 1]) * rng.uniform(1, 3)

    def render(item: np.random.Generator, grid: Grid) -> Array:
        u = grid.u + rough * smooth(item, grid.size, 12) + 1000
        v = grid.v + rough * smooth(item, grid.size, 12) + 1000
        row: Array = np.floor(v / height)
        shifted = u / width + offset * row
        column: Array = np.floor(shifted)
        near = np.minimum(
            np.minimum(shifted - column, column + 1 - shifted) * width,
            np.minimum(v / height - row, row + 1 - v / height) * height,
        )
        tones = item.standard_normal((64, 64))
        field = sunk * np.clip(near / joint, 0, 1) + toned * tones[row.astype(int) % 64, column.astype(int) % 64]
        return _unit(field)

    return render


def spots(rng: np.random.Generator) -> Pattern:
    """Blots of one size on a plain ground: granite, foam, filler in a plastic, sintered powder."""
    scale = float(np.exp(rng.uniform(np.log(2.5), np.log(18))))
    covered = rng.uniform(0.03, 0.5)
    edge = rng.uniform(2, 12)
    sign = rng.choice([-1, 1])

    def render(item: np.random.Generator, grid: Grid) -> Array:
        field = smooth(item, grid.size, scale)
        level = np.quantile(field, 1 - covered)
        return _unit(sign * np.tanh(edge * (field - level)))

    return render


def rings(rng: np.random.Generator) -> Pattern:
    """Tracks around a point, far or near: turned faces, wood, grinding."""
    centre = rng.normal(0, 1, 2) * np.exp(rng.uniform(np.log(20), np.log(900)))
    period = float(np.exp(rng.uniform(np.log(3), np.log(30))))
    wobble, slowness = rng.uniform(0, 6), rng.uniform(30, 120)
    regular = rng.random() < 0.4

    def render(item: np.random.Generator, grid: Grid) -> Array:
        radius = np.hypot(grid.u - centre[0], grid.v - centre[1]) + wobble * smooth(item, grid.size, slowness)
        if regular:
            return _unit(np.sin(2 * np.pi * (radius / period + item.uniform(0, 1))))
        place = (radius - radius.min()) / period
        knots = item.standard_normal(int(place.max()) + 3)
        below = place.astype(int)
        part = place - below
        return _unit(knots[below] * (1 - part) + knots[below + 1] * part)

    return render


def layout(rng: np.random.Generator) -> Pattern:
    """Marks that lie alike on every part: print, pads, holes, ribs."""
    count = int(rng.integers(3, 60))
    centres = rng.uniform(-125, 125, (count, 2))
    if rng.random() < 0.5:
        pitch = rng.uniform(8, 40, 2)
        centres = np.round(centres / pitch) * pitch
    halves = np.exp(rng.uniform(np.log(1.5), np.log(22), (count, 2)))
    round_ones = rng.random(count) < rng.choice([0.0, 0.5, 1.0])
    tones = rng.choice([-1.0, 1.0]) * np.where(rng.random(count) < 0.8, 1.0, rng.uniform(-1, 1, count))
    soft = rng.uniform(0.6, 2.5)

    def render(item: np.random.Generator, grid: Grid) -> Array:
        field = np.zeros_like(grid.u)
        play = item.normal(0, 0.5, 2)
        for (at_u, at_v), (half_u, half_v), is_round, tone in zip(centres, halves, round_ones, tones, strict=True):
            du, dv = np.abs(grid.u - at_u - play[0]), np.abs(grid.v - at_v - play[1])
            outside = np.hypot(du, dv) - half_u if is_round else np.maximum(du - half_u, dv - half_v)
            cover = np.clip(0.5 - outside / soft, 0, 1)
            field += (tone - field) * cover
        return _unit(field)

    return render


PATTERNS: Mapping[str, Callable[[np.random.Generator], Pattern]] = {
    "spectral": spectral,
    "grating": grating,
    "cells": cells,
    "bricks": bricks,
    "spots": spots,
    "rings": rings,
    "layout": layout,
}
"""Every pattern by name."""


def smooth(rng: np.random.Generator, size: int, scale: float) -> Array:
    """Smooth noise of unit variance, its features about ``scale`` units wide."""
    sigma = scale * size / 256 / 2
    shrink = max(1, int(sigma / 2))
    small = -(-size // shrink) + 4
    field = gaussian_filter(rng.standard_normal((small, small)), sigma / shrink, mode="wrap")
    field = field / (field.std() + 1e-9)
    if shrink > 1:
        place = np.arange(size) / shrink
        below = place.astype(int)
        part = place - below
        rows = field[below] * (1 - part)[:, None] + field[below + 1] * part[:, None]
        field = rows[:, below] * (1 - part) + rows[:, below + 1] * part
    return np.asarray(field[:size, :size], dtype=np.float32)


def _unit(field: Array) -> Array:
    centred = field - field.mean()
    return np.asarray(centred / (centred.std() + 1e-6), dtype=np.float32)
