"""Nuisances that good parts bring with them: mirrored, slightly moved, under another light."""

import torch
from torch import Generator, Tensor
from torch.nn import functional


def augment(
    images: Tensor,
    outlines: Tensor,
    generator: Generator,
    mirror: bool = True,
    turn: float = 3.0,
    zoom: float = 0.1,
    shift: float = 0.04,
    light: float = 0.2,
) -> tuple[Tensor, Tensor]:
    """Vary good parts within what still is the same good part.

    Args:
        images: ``[B, C, h, w]``, 0..1.
        outlines: ``[B, 1, h, w]``, 0 or 1: where the parts are; moved with them.
        generator: On the CPU; every image draws its own variation.
        mirror: Mirror left-right and up-down, each with probability one half.
        turn: Largest rotation, in degrees.
        zoom: Largest relative change of scale.
        shift: Largest shift, as a fraction of the side; what comes in is reflected.
        light: Largest relative change of gain, and of the exponent of a gamma curve.

    Returns:
        Images and outlines, of the same shapes and ranges.
    """
    count, channels, height, width = images.shape

    def uniform(limit: float) -> Tensor:
        return torch.empty(count).uniform_(-limit, limit, generator=generator)

    angle, scale = torch.deg2rad(uniform(turn)), 1 + uniform(zoom)
    signs = torch.ones(count, 2)
    if mirror:
        signs = torch.randint(0, 2, (count, 2), generator=generator) * 2.0 - 1
    cos, sin = angle.cos() * scale, angle.sin() * scale
    # The grid is in units of half the sides: turning a picture that is not square needs their ratio.
    ratio = height / width
    rows = [
        torch.stack([cos * signs[:, 0], -sin * ratio * signs[:, 1], 2 * uniform(shift)], dim=1),
        torch.stack([sin / ratio * signs[:, 0], cos * signs[:, 1], 2 * uniform(shift)], dim=1),
    ]
    grid = functional.affine_grid(torch.stack(rows, dim=1).to(images), list(images.shape), align_corners=False)
    both = torch.cat([images, outlines.to(images)], dim=1)
    both = functional.grid_sample(both, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    moved, outlined = both[:, :channels], (both[:, channels:] >= 0.5).to(images)
    gain, gamma = (1 + uniform(light)).to(images), (1 + uniform(light)).to(images)
    lit = (moved.clamp(1e-4, 1) ** gamma[:, None, None, None] * gain[:, None, None, None]).clamp(0, 1)
    return lit, outlined
