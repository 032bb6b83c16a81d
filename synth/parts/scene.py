"""What lies under the camera, before it is lit: a height field and what it is made of.

Lengths and heights are in units of 1/256 of the image's side, so that a part looks the same at every size.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

Array = NDArray[Any]
"""``[H, W]`` float32, unless said otherwise."""

SIDE = 256.0
"""Units that an image's side measures."""


@dataclass(frozen=True)
class Scene:
    """A part on its background; all arrays are ``[H, W]`` float32.

    Attributes:
        height: Above the background's plane, in units.
        albedo: Share of the light that is scattered, 0..1.
        gloss: Strength of the mirror-like reflection, 0..1.
        cover: How much of the pixel the part covers, 0..1.
        u: Position along the part's own first axis, in units from its centre.
        v: Position along its second axis.
        shine: Exponent of the mirror-like reflection; higher is sharper.
        lift: How far the part stands off its background, in units; it throws a shadow.
        tallest: How far what stands on the part reaches up, in units, and throws shadows on the part; 0 where nothing
            does.
    """

    height: Array
    albedo: Array
    gloss: Array
    cover: Array
    u: Array
    v: Array
    shine: float
    lift: float
    tallest: float = 0.0

    @property
    def pitch(self) -> float:
        """Width of a pixel in units."""
        return SIDE / self.height.shape[1]


@dataclass(frozen=True)
class Pose:
    """Where a part lies: its centre's distance from the image's centre, in units, and its angle in radians."""

    x: float
    y: float
    angle: float


def coordinates(size: int, pose: Pose) -> tuple[Array, Array]:
    """Position of every pixel in the part's own axes; two ``[size, size]`` arrays in units."""
    axis = (np.arange(size, dtype=np.float32) + 0.5) * np.float32(SIDE / size) - np.float32(SIDE / 2)
    x, y = axis[None, :] - np.float32(pose.x), axis[:, None] - np.float32(pose.y)
    cosine, sine = np.float32(np.cos(pose.angle)), np.float32(np.sin(pose.angle))
    return x * cosine + y * sine, y * cosine - x * sine


def coverage(distance: Array, pitch: float) -> Array:
    """Share of a pixel inside a shape, from the signed distance to its outline (negative inside)."""
    return np.clip(0.5 - distance / np.float32(pitch), 0, 1)


def rounded_box(u: Array, v: Array, half_u: float, half_v: float, radius: float) -> Array:
    """Signed distance to a rectangle with rounded corners."""
    a, b = np.abs(u) - np.float32(half_u - radius), np.abs(v) - np.float32(half_v - radius)
    outside = np.hypot(np.maximum(a, 0), np.maximum(b, 0))
    return outside + np.minimum(np.maximum(a, b), 0) - np.float32(radius)


def cloud(rng: np.random.Generator, size: int, scale: float) -> Array:
    """Smooth noise ``[size, size]`` of unit variance or so; ``scale`` is the size of its features in units.

    A cubic B-spline surface over random knots.
    """
    knots = min(max(round(SIDE / scale), 1), size) + 3
    basis = _spline_basis(size, knots)
    return basis @ rng.standard_normal((knots, knots), dtype=np.float32) @ basis.T


@lru_cache(maxsize=64)
def _spline_basis(size: int, knots: int) -> Array:
    """``[size, knots]`` weights of uniform cubic B-splines, scaled so that random knots give unit variance."""
    place = (np.arange(size) + 0.5) / size * (knots - 3)
    first = np.minimum(place.astype(int), knots - 4)
    t = place - first
    weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1)
    weights /= np.sqrt((weights**2).sum(axis=1, keepdims=True).mean())
    basis = np.zeros((size, knots), dtype=np.float32)
    np.put_along_axis(basis, first[:, None] + np.arange(4), weights.astype(np.float32), axis=1)
    return basis


def sample(picture: Array, rows: Array, columns: Array) -> Array:
    """Values of a picture between its pixels, linearly; its border goes on outside."""
    return map_coordinates(picture, [rows, columns], order=1, mode="nearest", prefilter=False)


def over(background: Array, foreground: Array | float, cover: Array) -> Array:
    """Lay one thing over another."""
    return background + (foreground - background) * cover


def along_polyline(u: Array, v: Array, points: NDArray[np.floating]) -> tuple[Array, Array]:
    """Distance of every position to a polyline, and how far along it the nearest point is.

    Args:
        u: ``[H, W]``.
        v: ``[H, W]``.
        points: ``[P, 2]`` corners, in the same axes.

    Returns:
        Distances in units, and positions along the line, 0..1.
    """
    shortest = np.full(u.shape, np.inf, dtype=np.float32)
    nearest = np.zeros(u.shape, dtype=np.float32)
    lengths = np.hypot(*np.diff(points, axis=0).T)
    before = np.concatenate([[0], np.cumsum(lengths)])
    for (au, av), (bu, bv), length, start in zip(points[:-1], points[1:], lengths, before[:-1], strict=True):
        du, dv = np.float32(bu - au), np.float32(bv - av)
        pu, pv = u - np.float32(au), v - np.float32(av)
        t = np.clip((pu * du + pv * dv) / np.float32(max(length**2, 1e-9)), 0, 1)
        distance = (pu - t * du) ** 2 + (pv - t * dv) ** 2
        closer = distance < shortest
        shortest = np.where(closer, distance, shortest)
        nearest = np.where(closer, np.float32(start) + t * np.float32(length), nearest)
    return np.sqrt(shortest), nearest / np.float32(max(before[-1], 1e-9))
