"""What shape flaws have: irregular regions, soft or hard; box filters."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from synth.compiled import kernels, usable
from synth.devices import onto
from synth.draws import Draws
from synth.noise import Numbers, perlin
from synth.windows import Window

_BUMPS = 0.8
"""How far Perlin noise reaches, nearly always."""


@dataclass(frozen=True, kw_only=True)
class FlawParameters:
    """What every flaw has.

    Attributes:
        severity: ``[B]``, 0 (barely visible: a few pixels, or a faint contrast) to 1 (gross).
    """

    severity: Numbers


@dataclass(frozen=True, kw_only=True)
class PlacedParameters(FlawParameters):
    """Where a flaw lies and how large it is: the frame that its shape is drawn in.

    Attributes:
        centre: ``[B, 2]`` place on the part, (x, y) in 0..1; see ``Ground.place``.
        size: ``[B]`` half of the longer axis, as a fraction of the image's shorter side.
        aspect: ``[B]`` shorter axis over longer axis, 0..1.
        angle: ``[B]`` direction of the longer axis, radians.
        roughness: ``[B]`` how far noise moves the outline, in half axes.
        seed: ``[B]`` int64, of the noise.
    """

    centre: Numbers
    size: Numbers
    aspect: Numbers
    angle: Numbers
    roughness: Numbers
    seed: Numbers


@dataclass(frozen=True, kw_only=True)
class RegionParameters(PlacedParameters):
    """An irregular region per image: an ellipse or a box whose outline is bent by noise.

    Attributes:
        softness: ``[B]`` width of the edge over the half axis; 0 is a hard edge.
        square: ``[B]`` bool, a box and no ellipse.
    """

    softness: Numbers
    square: Numbers


def place_columns(parameters: PlacedParameters) -> tuple[Numbers, ...]:
    """What loops that paint in place are told of a place, after its centre."""
    return parameters.size, parameters.aspect, parameters.angle, parameters.roughness, parameters.seed


def region_columns(parameters: RegionParameters) -> tuple[Numbers, ...]:
    """As ``place_columns``, of a region."""
    return *place_columns(parameters), parameters.softness, parameters.square


def draw_place(
    draws: Draws,
    size: tuple[float, float],
    aspect: tuple[float, float] = (0.3, 1.0),
    roughness: tuple[float, float] = (0.05, 0.7),
) -> dict[str, Any]:
    """Draw the fields of ``PlacedParameters``."""
    return {
        "severity": draws.severity,
        "centre": draws.uniform(0, 1, 2),
        "size": draws.sized(*size),
        "aspect": draws.uniform(*aspect),
        "angle": draws.uniform(0, np.pi),
        "roughness": draws.uniform(*roughness),
        "seed": draws.seeds(),
    }


def draw_region(
    draws: Draws,
    size: tuple[float, float],
    aspect: tuple[float, float] = (0.3, 1.0),
    softness: tuple[float, float] = (0.05, 0.6),
    square: float = 0.2,
    roughness: tuple[float, float] = (0.05, 0.7),
) -> dict[str, Any]:
    """Draw the fields of ``RegionParameters``."""
    return {
        **draw_place(draws, size, aspect, roughness),
        "softness": draws.uniform(*softness),
        "square": draws.chance(square),
    }


def half_axes(parameters: PlacedParameters, size: tuple[int, int], smallest: float = 1.5) -> tuple[Numbers, Numbers]:
    """Half of the longer and the shorter axis in pixels, ``[B]`` both, at least ``smallest``."""
    longer = np.maximum(parameters.size * min(size), smallest)
    return longer, np.maximum(longer * parameters.aspect, smallest)


def region_reach(parameters: RegionParameters, size: tuple[int, int], smallest: float = 1.5) -> Numbers:
    """How far regions reach from their centre along x and y, in pixels, ``[B, 2]``."""
    longer, shorter = half_axes(parameters, size, smallest)
    cos, sin = np.abs(np.cos(parameters.angle)), np.abs(np.sin(parameters.angle))
    along, across = np.stack([cos, sin], axis=1), np.stack([sin, cos], axis=1)
    along, across = along * longer[:, None], across * shorter[:, None]
    edge = np.maximum(parameters.softness, 1 / shorter)
    grown = 1 + _BUMPS * parameters.roughness + 0.5 * edge
    return np.where(parameters.square[:, None], along + across, np.hypot(along, across)) * grown[:, None]


def region(parameters: RegionParameters, window: Window, smallest: float = 1.5, octaves: int = 1) -> Tensor:
    """Irregular soft regions around the window's centres.

    Args:
        parameters: One region for each image.
        window: Where to evaluate it.
        smallest: Least half axis in pixels.
        octaves: Of the noise that bends the outline: more make it ragged.

    Returns:
        ``[B, 1, h, w]`` in 0..1, 1 inside.
    """
    _, shorter = half_axes(parameters, window.size, smallest)
    edge = np.maximum(parameters.softness, 1 / shorter)
    return _inside(parameters, window, smallest, 1 / edge, 0.5, cut=True, octaves=octaves)


def inwardness(parameters: RegionParameters, window: Window, smallest: float = 1.5, octaves: int = 1) -> Tensor:
    """How far inside a region pixels are: about 1 in the middle, 0 on the outline, below it outside; ``[B, 1, h, w]``.

    Args:
        parameters: One region for each image.
        window: Where to evaluate it.
        smallest: Least half axis in pixels.
        octaves: Of the noise that bends the outline: more make it ragged.
    """
    return _inside(parameters, window, smallest, np.ones_like(parameters.size), 0.0, octaves=octaves)


def _inside(
    parameters: RegionParameters,
    window: Window,
    smallest: float,
    scale: Numbers,
    start: float,
    *,
    cut: bool = False,
    octaves: int = 1,
) -> Tensor:
    """``inwardness`` times a scale ``[B]``, from a start on, cut to 0..1 if wanted."""
    longer, shorter = half_axes(parameters, window.size, smallest)
    cos, sin = np.cos(parameters.angle), np.sin(parameters.angle)
    along, across = scale / longer, scale / shorter
    if usable(window.images):
        field = bumps(parameters, window, smallest, octaves)
        frames = np.empty((len(cos), 9))
        frames[:, 0], frames[:, 1] = window.left - window.centre[:, 0], window.top - window.centre[:, 1]
        frames[:, 2], frames[:, 3], frames[:, 4], frames[:, 5] = cos * along, sin * along, -sin * across, cos * across
        frames[:, 6], frames[:, 7], frames[:, 8] = parameters.roughness * scale, scale + start, parameters.square
        kernels().inside_regions(frames, cut, field[:, 0].numpy())
        return field
    u = window.plane(cos * along, sin * along)
    v = window.plane(-sin * across, cos * across)
    box = torch.maximum(u.abs(), v.abs()) if parameters.square.any() else None
    distance = u.square_().addcmul_(v, v).sqrt_()
    if box is not None:
        # One or the other, as torch.where, which takes several times as long.
        distance.lerp_(box, window.column(parameters.square))
    noise = bumps(parameters, window, smallest, octaves).mul_(window.column(parameters.roughness * scale))
    inside = noise.sub_(distance).add_(window.column(scale + start))
    return inside.clamp_(0, 1) if cut else inside


def bumps(parameters: PlacedParameters, window: Window, smallest: float = 1.5, octaves: int = 1) -> Tensor:
    """Noise of about two bumps per half axis, whatever the size, to bend an outline by; ``[B, 1, h, w]``, -1..1."""
    longer, shorter = half_axes(parameters, window.size, smallest)
    picture = np.array(window.size, dtype=np.float32)
    return perlin(parameters.seed, picture / (0.5 * (longer + shorter))[:, None] * np.float32(1.2), window, octaves)


def box_blur(images: Tensor, radius: int | Numbers) -> Tensor:
    """Mean over ``2 * radius + 1`` pixels along both axes, edges replicated; cost does not grow with the radius.

    Args:
        images: ``[B, C, h, w]``.
        radius: Of all, or ``[B]`` int64.
    """
    radii = np.broadcast_to(radius, len(images))
    if images.device.type == "cpu" and images.dtype == torch.float32:
        # OpenCV works on one plane at a time on the CPU, and several times as quickly as sums over the whole batch.
        sides = (2 * radii + 1).repeat(images.shape[1]).tolist()
        planes = images.reshape(-1, *images.shape[-2:]).contiguous().numpy()
        blurred = [
            cv2.blur(plane, (side, side), borderType=cv2.BORDER_REPLICATE)
            for plane, side in zip(planes, sides, strict=True)
        ]
        return torch.from_numpy(np.stack(blurred)).view(images.shape)
    widest = int(radii.max())
    around = onto(radii.astype(np.int64), images.device)[:, None]
    for dim in (-1, -2):
        length = images.shape[dim]
        padded = functional.pad(images, (widest, widest, 0, 0) if dim == -1 else (0, 0, widest, widest), "replicate")
        total = functional.pad(padded.double().cumsum(dim), (1, 0) if dim == -1 else (0, 0, 1, 0))
        first = torch.arange(length, device=images.device) + widest - around
        low, high = (
            total.take_along_dim(places[:, None, None] if dim == -1 else places[:, None, :, None], dim)
            for places in (first, first + 2 * around + 1)
        )
        images = ((high - low) / (2 * around + 1)[:, :, None, None]).to(images)
    return images
