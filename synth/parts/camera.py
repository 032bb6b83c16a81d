"""Light and camera: from a scene to the picture that a line camera would take of it."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, shift, uniform_filter

from synth.parts.scene import Array, Scene

_STEPS = 12
"""Distances at which what may throw a shadow is looked for."""

_BLUNT = np.float32(0.8)
"""A shadow is full where what throws it reaches so many units above the ray; the lamp is no point."""


@dataclass(frozen=True)
class Camera:
    """One exposure: how the scene is lit and how the picture is taken.

    Attributes:
        azimuth: Where the light comes from, in radians.
        elevation: Its height above the part's plane, in radians.
        ambient: Share of the light that comes from everywhere.
        gain: Exposure.
        slope: Relative fall of the light across the picture, (x, y).
        vignette: Relative loss in the corners.
        focus: Standard deviation of the blur, in pixels.
        noise: Standard deviation of the sensor's noise at full well, in 0..1.
        seed: Of the noise.
    """

    azimuth: float
    elevation: float
    ambient: float
    gain: float
    slope: tuple[float, float]
    vignette: float
    focus: float
    noise: float
    seed: int


def draw_camera(rng: np.random.Generator, azimuth: float, gain: float) -> Camera:
    """Draw one exposure at a station whose light comes from about ``azimuth``."""
    return Camera(
        azimuth=azimuth + rng.normal(0, 0.05),
        elevation=0.85 + rng.normal(0, 0.03),
        ambient=0.35 + rng.normal(0, 0.02),
        gain=gain * float(np.exp(rng.normal(0, 0.04))),
        slope=(rng.normal(0, 0.05), rng.normal(0, 0.05)),
        vignette=rng.uniform(0.04, 0.2),
        focus=rng.uniform(0.35, 0.75) + (rng.random() < 0.1) * rng.uniform(0, 0.35),
        noise=rng.uniform(0.008, 0.016),
        seed=int(rng.integers(2**32)),
    )


def another_exposure(camera: Camera, rng: np.random.Generator) -> Camera:
    """The same station a moment later, lit from another side."""
    return replace(
        camera,
        azimuth=camera.azimuth + np.pi / 2 + rng.normal(0, 0.05),
        gain=camera.gain * float(np.exp(rng.normal(0, 0.05))),
        seed=int(rng.integers(2**32)),
    )


def photograph(scene: Scene, camera: Camera, size: int) -> NDArray[np.uint8]:
    """Take a picture, ``[size, size]`` of 8 bits.

    Lambert's law for what is scattered, Blinn's half vector (1977) for what is mirrored. The noise depends on the
    camera's seed alone, so that two scenes photographed by one camera differ by what differs in them.
    """
    light = radiance(scene, camera)
    oversampling = light.shape[0] // size
    if oversampling > 1:
        light = light.reshape(size, oversampling, size, oversampling).mean(axis=(1, 3))
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1
    x, y = axis[None, :], axis[:, None]
    falloff = (1 + camera.slope[0] * x) * (1 + camera.slope[1] * y) * (1 - camera.vignette * (x**2 + y**2) / 2)
    picture = gaussian_filter(light * falloff.astype(np.float32) * np.float32(camera.gain), camera.focus, truncate=3)
    noise = np.random.default_rng(camera.seed).standard_normal(picture.shape, dtype=np.float32)
    # Photon noise grows with the root of the signal; the small constant is the read-out's.
    picture += noise * np.float32(camera.noise) * np.sqrt(np.maximum(picture, 0) + np.float32(0.04))
    return np.clip(np.rint(picture * 255), 0, 255).astype(np.uint8)


def radiance(scene: Scene, camera: Camera) -> Array:
    """Light that every point of the scene sends to the camera, ``[H, W]``, about 0..1."""
    slope_y, slope_x = np.gradient(scene.height, np.float32(scene.pitch))
    towards = np.array([np.cos(camera.azimuth), np.sin(camera.azimuth)], dtype=np.float32) * np.float32(
        np.cos(camera.elevation)
    )
    up = np.float32(np.sin(camera.elevation))
    normal = 1 / np.sqrt(1 + slope_x**2 + slope_y**2)
    diffuse = np.maximum(up - slope_x * towards[0] - slope_y * towards[1], 0) * normal
    half = np.array([*towards, up + 1], dtype=np.float32) / np.float32(np.sqrt(2 + 2 * up))
    mirrored = np.clip((half[2] - slope_x * half[0] - slope_y * half[1]) * normal, 0, 1) ** np.float32(scene.shine)
    scattered = scene.albedo * (camera.ambient + (1 - camera.ambient) * diffuse)
    return (scattered + scene.gloss * mirrored) * _shadow(scene, camera)


def _shadow(scene: Scene, camera: Camera) -> Array:
    """What the part leaves of the light: soft shadows on the side away from it."""
    left = np.ones_like(scene.cover)
    away = np.array([-np.sin(camera.azimuth), -np.cos(camera.azimuth)]) / scene.pitch
    if scene.lift > 0:
        cast = shift(scene.cover, scene.lift * away, order=0, mode="nearest")
        left -= np.float32(0.6) * _softened(cast, scene.lift * 1.2 / scene.pitch) * (1 - scene.cover)
    if scene.tallest > 0:
        rise = np.float32(np.tan(camera.elevation))
        cast = np.zeros_like(scene.cover)
        for far in np.linspace(0, scene.tallest / rise, _STEPS + 1)[1:]:
            over_it = shift(scene.height, far * away, order=0, mode="nearest") - scene.height
            cast = np.maximum(cast, np.clip((over_it - np.float32(far) * rise) / _BLUNT, 0, 1))
        left -= np.float32(0.55) * _softened(cast, 1 / scene.pitch) * scene.cover
    return left


def _softened(cast: Array, width: float) -> Array:
    soft = max(int(width), 1)
    return uniform_filter(uniform_filter(cast, soft), soft)
