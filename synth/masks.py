"""Where flaws lie and what shape they have: Perlin noise, irregular regions, places on a part; box filters."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional

from synth.draws import Draws, generators

_MOST_CELLS = 64.0


@dataclass(frozen=True, kw_only=True)
class RegionParameters:
    """An irregular region per image: an ellipse or a box whose outline is bent by noise.

    Attributes:
        centre: ``[B, 2]`` place on the part, (x, y) in 0..1; see ``place``.
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
) -> dict[str, Tensor]:
    """Draw the fields of ``RegionParameters``."""
    return {
        "centre": draws.uniform(0, 1, 2),
        "size": draws.log_uniform(*size),
        "aspect": draws.uniform(*aspect),
        "angle": draws.uniform(0, torch.pi),
        "roughness": draws.uniform(0.05, 0.7),
        "softness": draws.uniform(*softness),
        "square": draws.chance(square),
        "seed": draws.seeds(),
    }


def region(parameters: RegionParameters, images: Tensor, foreground: Tensor, smallest: float = 1.5) -> Tensor:
    """Irregular soft regions.

    Args:
        parameters: One region for each image.
        images: ``[B, C, H, W]``; its size, device and type count.
        foreground: ``[B, 1, H, W]``, 0 or 1; regions are centred in it.
        smallest: Least half axis in pixels.

    Returns:
        ``[B, 1, H, W]`` in 0..1, 1 inside.
    """
    return region_at(place(foreground, parameters.centre), parameters, images, smallest)


def region_at(centre: Tensor, parameters: RegionParameters, images: Tensor, smallest: float = 1.5) -> Tensor:
    """Irregular soft regions around given centres ``[B, 2]`` (x, y) in pixels; otherwise as ``region``."""
    height, width = images.shape[-2:]
    longer = (parameters.size * min(height, width)).clamp_min(smallest)
    shorter = (longer * parameters.aspect).clamp_min(smallest)
    x, y = offsets(images, centre)
    cos, sin = (column(f(parameters.angle), images) for f in (torch.cos, torch.sin))
    u = (x * cos + y * sin) / column(longer, images)
    v = (y * cos - x * sin) / column(shorter, images)
    distance = torch.where(
        column(parameters.square, images) > 0, torch.maximum(u.abs(), v.abs()), (u * u + v * v).sqrt()
    )

    # About two bumps per half axis, whatever the region's size.
    sizes = torch.tensor([height, width], dtype=torch.float32)
    noise = perlin(parameters.seed, sizes / (0.5 * (longer + shorter))[:, None] * 1.2, (height, width)).to(images)
    inside = 1 - distance + column(parameters.roughness, images) * noise
    edge = torch.maximum(parameters.softness, 1 / shorter)
    return (inside / column(edge, images) + 0.5).clamp(0, 1)


def perlin(seeds: Tensor, cells: Tensor, size: tuple[int, int], octaves: int = 1) -> Tensor:
    """Perlin noise, a field of its own for every row.

    Noise at a point is the sum over the four lattice points around it of gradient times offset, faded (Perlin,
    "Improving noise", 2002). The fade is separable, so that the sum over the lattice is two products of small
    matrices.

    Args:
        seeds: ``[B]`` int64.
        cells: ``[B, 2]`` cells of the lattice along height and width, at least 1 and at most 64 are used.
        size: Height and width.
        octaves: Fields that are added, each twice as fine and half as strong as the one before.

    Returns:
        ``[B, 1, H, W]`` float32 on the CPU, about -1..1.
    """
    return torch.stack(
        [_perlin_row(g, row, size, octaves) for g, row in zip(generators(seeds), cells.tolist(), strict=True)]
    )


def _perlin_row(generator: Generator, cells: list[float], size: tuple[int, int], octaves: int) -> Tensor:
    field = torch.zeros(1, *size)
    for octave in range(octaves):
        down, right = (min(max(c, 1.0) * 2**octave, _MOST_CELLS) for c in cells)
        fade_y, slope_y = _fades(down, size[0])
        fade_x, slope_x = _fades(right, size[1])
        angles = 2 * torch.pi * torch.rand(fade_y.shape[1], fade_x.shape[1], generator=generator)
        noise = slope_y @ angles.sin() @ fade_x.T + fade_y @ angles.cos() @ slope_x.T
        field += 2**0.5 * 0.5**octave * noise
    return field


def _fades(cells: float, length: int) -> tuple[Tensor, Tensor]:
    """Weight of each lattice point at each pixel, and the same times the offset; ``[length, points]`` both."""
    points = torch.arange(int(cells) + 2)
    offset = (torch.arange(length) + 0.5)[:, None] * (cells / length) - points
    t = offset.abs().clamp_max(1)
    fade = 1 - t * t * t * (t * (6 * t - 15) + 10)
    return fade, fade * offset


def place(weights: Tensor, fractions: Tensor) -> Tensor:
    """Turn fractions into places where a map has weight: uniformly by weight if the fractions are uniform.

    Args:
        weights: ``[B, 1, H, W]``, at least 0; each row has some weight.
        fractions: ``[B, 2]`` (x, y) in 0..1.

    Returns:
        ``[B, 2]`` (x, y) in pixels, on the CPU.
    """
    maps = weights[:, 0].cpu().double()
    down = maps.sum(dim=2).cumsum(dim=1)
    wanted = fractions.double().clamp(0, 1 - 1e-9)
    rows = torch.searchsorted(down, wanted[:, 1:] * down[:, -1:], right=True).clamp_max(maps.shape[1] - 1)
    across = maps.gather(1, rows[..., None].expand(-1, 1, maps.shape[2]))[:, 0].cumsum(dim=1)
    columns = torch.searchsorted(across, wanted[:, :1] * across[:, -1:], right=True).clamp_max(maps.shape[2] - 1)
    return torch.cat([columns, rows], dim=1).float()


def border(foreground: Tensor) -> Tensor:
    """Outermost pixels of the foreground, the image's border included; ``[B, 1, H, W]``, 0 or 1."""
    outside = functional.pad(1 - foreground, (1, 1, 1, 1), value=1.0)
    return foreground * functional.max_pool2d(outside, 3, stride=1)


def offsets(images: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]:
    """Distance of every pixel from a centre ``[B, 2]`` in pixels: x ``[B, 1, 1, W]`` and y ``[B, 1, H, 1]``."""
    height, width = images.shape[-2:]
    centre = centre.to(images)
    x = torch.arange(width, device=images.device, dtype=images.dtype) - centre[:, :1]
    y = torch.arange(height, device=images.device, dtype=images.dtype) - centre[:, 1:]
    return x[:, None, None, :], y[:, None, :, None]


def column(values: Tensor, images: Tensor) -> Tensor:
    """Give one number per image the shape ``[B, 1, 1, 1]``, type and device of the images."""
    return values.to(images)[:, None, None, None]


def box_blur(images: Tensor, radius: int) -> Tensor:
    """Mean over ``2 * radius + 1`` pixels along both axes, edges replicated; cost does not grow with the radius."""
    side = 2 * radius + 1
    padded = functional.pad(images, (radius, radius, radius, radius), mode="replicate")
    for dim in (-1, -2):
        total = functional.pad(padded.double().cumsum(dim), (1, 0) if dim == -1 else (0, 0, 1, 0))
        length = total.shape[dim] - side
        padded = ((total.narrow(dim, side, length) - total.narrow(dim, 0, length)) / side).to(images)
    return padded


def mean_inside(images: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean of each channel, ``[B, C, 1, 1]``; summed in double precision so that a batch changes nothing."""
    total = weights.double().sum(dim=(-2, -1), keepdim=True).clamp_min(1e-9)
    return ((images * weights).double().sum(dim=(-2, -1), keepdim=True) / total).to(images)
