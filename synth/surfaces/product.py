"""Products of no particular kind: surfaces and simple objects made of formulas, to learn seeing on.

A product is drawn by its seed; its parts differ as those of one lot do, by where they lie, by grain and by light.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from synth.errors import SynthError
from synth.surfaces.patterns import PATTERNS, Array, Grid, Pattern, smooth

SMALLEST = 32
"""Least side of a picture, in pixels."""

_WEIGHTS = {"spectral": 5, "grating": 2, "cells": 1.5, "bricks": 1, "spots": 1.5, "rings": 2, "layout": 2}
"""How often patterns are drawn, relative to each other: most industrial surfaces are some kind of noise."""

_OBJECT, _SPLIT = 0.3, 0.15
"""Shares of products that are objects before a background, and of those that show two materials."""

Cover = Callable[[np.random.Generator, Grid], Array]


@dataclass(frozen=True)
class _Material:
    patterns: tuple[tuple[float, Pattern], ...]
    tone: float
    contrast: float
    bend: float

    def render(self, item: np.random.Generator, grid: Grid) -> Array:
        field = sum((weight * pattern(item, grid) for weight, pattern in self.patterns), np.zeros_like(grid.u))
        field = np.tanh(field * self.bend) / self.bend
        return np.asarray(self.tone * np.exp(self.contrast * field * np.exp(item.normal(0, 0.1))), dtype=np.float32)


@dataclass(frozen=True)
class _Product:
    materials: tuple[_Material, ...]
    cover: Cover | None
    is_object: bool
    rim: float
    play: tuple[float, float]
    light: tuple[float, float]
    noise: float
    blur: float


def make_parts_of(seed: int, count: int, size: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Pictures of good parts of one product.

    Args:
        seed: Of the product; another seed is another product.
        count: Number of parts.
        size: Side of the pictures in pixels, at least 32.

    Returns:
        ``[count, size, size]`` pictures, and where the part is in them.

    Raises:
        SynthError: If the pictures would be too small, or none.
    """
    if size < SMALLEST or count < 1:
        msg = (
            f"parts of a surface need pictures of at least {SMALLEST} pixels, and at least one; got {size} and {count}"
        )
        raise SynthError(msg)
    product = _draw(np.random.default_rng([seed, 0]))
    parts = [_photograph(product, np.random.default_rng([seed, 1 + i]), size) for i in range(count)]
    return np.stack([image for image, _ in parts]), np.stack([cover for _, cover in parts])


def _draw(rng: np.random.Generator) -> _Product:
    chance = rng.random()
    is_object = chance < _OBJECT
    split = not is_object and chance < _OBJECT + _SPLIT
    return _Product(
        materials=tuple(_material(rng) for _ in range(2 if is_object or split else 1)),
        cover=_shape(rng) if is_object else _halves(rng) if split else None,
        is_object=is_object,
        rim=rng.uniform(-0.4, 0.4),
        play=(rng.uniform(0, 6), rng.uniform(0, 0.04)),
        light=(rng.uniform(0, 0.25), rng.uniform(0, 0.12)),
        noise=rng.uniform(0, 0.015),
        blur=rng.uniform(0, 1.1) if rng.random() < 0.6 else 0.0,
    )


def _material(rng: np.random.Generator) -> _Material:
    names = list(PATTERNS)
    odds = np.array([_WEIGHTS[name] for name in names])
    chosen = rng.choice(len(names), size=int(rng.integers(1, 4)), p=odds / odds.sum())
    return _Material(
        patterns=tuple((rng.uniform(0.25, 1), PATTERNS[names[i]](rng)) for i in chosen),
        tone=rng.uniform(0.12, 0.7),
        contrast=float(np.exp(rng.uniform(np.log(0.025), np.log(0.4)))),
        bend=rng.uniform(0.3, 1.2),
    )


def _shape(rng: np.random.Generator) -> Cover:
    """An outline that all parts share: a rounded polygon, with holes in some."""
    waves = rng.normal(0, 0.12, (2, 5)) / (1 + np.arange(5))
    square = rng.random() < 0.5
    half = rng.uniform(60, 118, 2)
    holes = [(*rng.uniform(-50, 50, 2), rng.uniform(5, 24)) for _ in range(int(rng.integers(0, 4)))]

    def cover(item: np.random.Generator, grid: Grid) -> Array:
        u, v = grid.u / half[0], grid.v / half[1]
        around = np.arctan2(v, u)
        radius = np.maximum(np.abs(u), np.abs(v)) if square else np.hypot(u, v)
        wavy = sum(waves[0, k] * np.cos((k + 2) * around) + waves[1, k] * np.sin((k + 2) * around) for k in range(5))
        outside = (radius - 1 - (0 if square else wavy)) * half.min()
        for at_u, at_v, size in holes:
            outside = np.maximum(outside, size - np.hypot(grid.u - at_u, grid.v - at_v))
        return np.clip(0.5 - outside * grid.size / 256, 0, 1)

    return cover


def _halves(rng: np.random.Generator) -> Cover:
    """Two materials side by side: an edge of the part, a band, a seam."""
    angle, place, width = rng.uniform(0, np.pi), rng.uniform(-90, 90), rng.choice([400, rng.uniform(8, 60)])
    soft = rng.uniform(0.7, 6)

    def cover(item: np.random.Generator, grid: Grid) -> Array:
        across = grid.u * np.cos(angle) + grid.v * np.sin(angle) - place - item.normal(0, 2)
        return np.clip(0.5 - (np.abs(across - width) - width) / soft, 0, 1)

    return cover


def _photograph(product: _Product, item: np.random.Generator, size: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    grid = _grid(item, product.play, size)
    picture = product.materials[0].render(item, grid)
    cover = np.ones_like(picture)
    if product.cover is not None:
        cover = product.cover(item, grid)
        rim = product.rim * (gaussian_filter(cover, 2 * size / 256) - gaussian_filter(cover, 7 * size / 256))
        picture = picture * (1 + rim)
        picture = product.materials[1].render(item, grid) * (1 - cover) + picture * cover
    slant, patchy = product.light
    direction = item.uniform(0, 2 * np.pi)
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    picture = picture * (1 + slant * (axis[None] * np.cos(direction) + axis[:, None] * np.sin(direction)))
    picture = picture * (1 + patchy * smooth(item, size, 110)) * np.exp(item.normal(0, 0.06))
    if product.blur:
        picture = gaussian_filter(picture, product.blur)
    picture = picture + item.normal(0, product.noise, picture.shape)
    seen = cover > 0.5 if product.is_object else np.ones_like(cover, dtype=bool)
    return (np.clip(picture, 0, 1) * 255).round().astype(np.uint8), seen


def _grid(item: np.random.Generator, play: tuple[float, float], size: int) -> Grid:
    axis = ((np.arange(size) + 0.5) / size * 256 - 128).astype(np.float32)
    angle = item.normal(0, play[1])
    x, y = axis[None] - item.normal(0, play[0]), axis[:, None] - item.normal(0, play[0])
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return Grid((x * cosine + y * sine).astype(np.float32), (y * cosine - x * sine).astype(np.float32))
