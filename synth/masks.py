"""What shape flaws have: irregular regions, soft or hard; box filters."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from synth.draws import Draws
from synth.noise import perlin
from synth.windows import Window

_BUMPS = 0.8
"""How far Perlin noise reaches, nearly always."""


@dataclass(frozen=True, kw_only=True)
class FlawParameters:
    """What every flaw has.

    Attributes:
        severity: ``[B]``, 0 (barely visible: a few pixels, or a faint contrast) to 1 (gross).
    """

    severity: Tensor


@dataclass(frozen=True, kw_only=True)
class RegionParameters(FlawParameters):
    """An irregular region per image: an ellipse or a box whose outline is bent by noise.

    Attributes:
        centre: ``[B, 2]`` place on the part, (x, y) in 0..1; see ``Ground.place``.
        size: ``[B]`` half of the longer axis, as a fraction of the image's shorter side.
        aspect: ``[B]`` shorter axis over longer axis, 0..1.
        angle: ``[B]`` direction of the longer axis, radians.
        roughness: ``[B]`` how far noise moves the outline, in half axes.
        softness: ``[B]`` width of the edge over the half axis; 0 is a hard edge.
        square: ``[B]`` bool, a box and no ellipse.
        seed: ``[B]`` int64, of the noise.
    """

    centre: Tensor
    size: Tensor
    aspect: Tensor
    angle: Tensor
    roughness: Tensor
    softness: Tensor
    square: Tensor
    seed: Tensor


def draw_region(
    draws: Draws,
    size: tuple[float, float],
    aspect: tuple[float, float] = (0.3, 1.0),
    softness: tuple[float, float] = (0.05, 0.6),
    square: float = 0.2,
) -> dict[str, Any]:
    """Draw the fields of ``RegionParameters``."""
    return {
        "severity": draws.severity,
        "centre": draws.uniform(0, 1, 2),
        "size": draws.sized(*size),
        "aspect": draws.uniform(*aspect),
        "angle": draws.uniform(0, torch.pi),
        "roughness": draws.uniform(0.05, 0.7),
        "softness": draws.uniform(*softness),
        "square": draws.chance(square),
        "seed": draws.seeds(),
    }


def half_axes(parameters: RegionParameters, size: tuple[int, int], smallest: float = 1.5) -> tuple[Tensor, Tensor]:
    """Half the longer and the shorter axis in pixels, ``[B]`` both, at least ``smallest``."""
    longer = (parameters.size * min(size)).clamp_min(smallest)
    return longer, (longer * parameters.aspect).clamp_min(smallest)


def region_reach(parameters: RegionParameters, size: tuple[int, int], smallest: float = 1.5) -> Tensor:
    """How far regions reach from their centre along x and y, in pixels, ``[B, 2]``."""
    longer, shorter = half_axes(parameters, size, smallest)
    cos, sin = parameters.angle.cos().abs(), parameters.angle.sin().abs()
    box = torch.stack([longer * cos + shorter * sin, longer * sin + shorter * cos], dim=1)
    ellipse = torch.stack([torch.hypot(longer * cos, shorter * sin), torch.hypot(longer * sin, shorter * cos)], dim=1)
    edge = torch.maximum(parameters.softness, 1 / shorter)
    grown = 1 + _BUMPS * parameters.roughness + 0.5 * edge
    return torch.where(parameters.square[:, None], box, ellipse) * grown[:, None]


def region(parameters: RegionParameters, window: Window, smallest: float = 1.5) -> Tensor:
    """Irregular soft regions around the window's centres.

    Args:
        parameters: One region for each image.
        window: Where to evaluate it.
        smallest: Least half axis in pixels.

    Returns:
        ``[B, 1, h, w]`` in 0..1, 1 inside.
    """
    longer, shorter = half_axes(parameters, window.size, smallest)
    x, y = window.offsets
    edge = torch.maximum(parameters.softness, 1 / shorter)
    cos, sin = parameters.angle.cos(), parameters.angle.sin()
    along, across = (1 / (axis * edge) for axis in (longer, shorter))
    u = x * window.column(cos * along) + y * window.column(sin * along)
    v = y * window.column(cos * across) - x * window.column(sin * across)
    # Distances are in widths of the edge.
    if parameters.square.any():
        box = torch.maximum(u.abs(), v.abs())
        distance = torch.where(window.column(parameters.square) > 0, box, torch.hypot(u, v))
    else:
        distance = u.square_().addcmul_(v, v).sqrt_()

    # About two bumps per half axis, whatever the region's size.
    picture = torch.tensor(window.size, dtype=torch.float32)
    noise = perlin(parameters.seed, picture / (0.5 * (longer + shorter))[:, None] * 1.2, window)
    inside = noise.mul_(window.column(parameters.roughness / edge)).sub_(distance)
    return inside.add_(window.column(1 / edge + 0.5)).clamp_(0, 1)


def box_blur(images: Tensor, radius: int) -> Tensor:
    """Mean over ``2 * radius + 1`` pixels along both axes, edges replicated; cost does not grow with the radius."""
    side = 2 * radius + 1
    padded = functional.pad(images, (radius, radius, radius, radius), mode="replicate")
    for dim in (-1, -2):
        total = functional.pad(padded.double().cumsum(dim), (1, 0) if dim == -1 else (0, 0, 1, 0))
        length = total.shape[dim] - side
        padded = ((total.narrow(dim, side, length) - total.narrow(dim, 0, length)) / side).to(images)
    return padded
