"""What defects are put on, and the places and lines that several of them start from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

from synth.parts.scene import Array, Scene, along_polyline


@dataclass(frozen=True)
class Part:
    """A good part that a defect can be put on.

    Attributes:
        plan: What the part is; some defects change it.
        scene: What lies under the camera.
        build: Builds the scene of another plan, at the same size.
    """

    plan: Any
    scene: Scene
    build: Callable[[Any], Scene]


Defect = Callable[[Part, np.random.Generator, float], Scene]


def spot(scene: Scene, rng: np.random.Generator, margin: float) -> tuple[float, float]:
    """A place on the part, away from its outline where the part is wide enough."""
    on = scene.cover > 0.99
    inside = binary_erosion(on, iterations=max(1, int(margin / scene.pitch)))
    places = np.flatnonzero(inside if inside.any() else on)
    place = int(rng.choice(places))
    return float(scene.u.flat[place]), float(scene.v.flat[place])


def stroke(scene: Scene, rng: np.random.Generator, length: float, bend: float) -> tuple[Array, Array]:
    """Distance to a slightly bent stroke on the part, and the place along it."""
    at_u, at_v = spot(scene, rng, margin=4)
    heading = rng.uniform(0, 2 * np.pi)
    t = np.linspace(-0.5, 0.5, 9)
    bow = bend * rng.uniform(-1, 1) * length * (1 - 4 * t**2)
    points = np.stack(
        [
            at_u + t * length * np.cos(heading) - bow * np.sin(heading),
            at_v + t * length * np.sin(heading) + bow * np.cos(heading),
        ],
        axis=1,
    )
    return along_polyline(scene.u, scene.v, points)


def walk(rng: np.random.Generator, start: tuple[float, float], heading: float, length: float) -> NDArray[np.float64]:
    """Corners ``[P, 2]`` of a wandering line."""
    count = max(4, int(length / 4))
    headings = heading + np.cumsum(rng.normal(0, 0.35, count))
    steps = length / count * np.stack([np.cos(headings), np.sin(headings)], axis=1)
    return np.concatenate([[start], np.array(start) + np.cumsum(steps, axis=0)])


def hairline(scene: Scene, points: NDArray[np.float64], width: float) -> Array:
    """A line that thins towards its end, 0..1; narrower than a pixel it gets fainter, not wider."""
    distance, along = along_polyline(scene.u, scene.v, points)
    half = np.float32(width) * (1.1 - along)
    return np.clip((half - distance) / np.float32(scene.pitch) + 0.5, 0, 1) * np.minimum(
        1, half * 2 / scene.pitch + 0.3
    )
