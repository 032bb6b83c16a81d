"""Nuisances that good parts bring with them: mirrored, slightly moved, under another light, on another surface."""

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

    from kornia.geometry.transform import get_affine_matrix2d, warp_affine  # takes a second, and only training needs it

    angle, scale = uniform(turn), 1 + uniform(zoom)
    signs = torch.ones(count, 2)
    if mirror:
        signs = torch.randint(0, 2, (count, 2), generator=generator) * 2.0 - 1
    shifts = torch.stack([uniform(shift) * width, uniform(shift) * height], dim=1)
    middle = torch.tensor([[(width - 1) / 2, (height - 1) / 2]]).expand(count, 2)
    moves = get_affine_matrix2d(shifts, middle, scale[:, None] * signs, angle)[:, :2]
    still = torch.cat([images, outlines.to(images)], dim=1)
    both = warp_affine(still, moves.to(images), (height, width), padding_mode="reflection")
    # A small outline that would be moved out of the picture stays where it is.
    lost = (both[:, channels:] < 0.5).flatten(1).all(dim=1)
    both = torch.where(lost[:, None, None, None], still, both)
    moved, outlined = both[:, :channels], (both[:, channels:] >= 0.5).to(images)
    gain, gamma = (1 + uniform(light)).to(images), (1 + uniform(light)).to(images)
    lit = (moved.clamp(1e-4, 1) ** gamma[:, None, None, None] * gain[:, None, None, None]).clamp(0, 1)
    return lit, outlined


def mix(images: Tensor, generator: Generator, share: float = 0.5, most: float = 0.5) -> Tensor:
    """Vary surfaces beyond the few at hand: some take the light of another one, some are blended with another one.

    Blending is mixup (Zhang et al., 2018, arXiv 1710.09412) without labels: what lies between two good surfaces is
    taken for good. Light is all that is coarser than an eleventh of the shorter side. Images keep their mean brightness
    when blended.

    Args:
        images: ``[B, C, h, w]``, 0..1.
        generator: On the CPU; draws which images are changed, with which others, and how much.
        share: Of the images that take another's light; and, apart from that, of those that are blended.
        most: Largest weight of the other image in a blend, uniform from 0.

    Returns:
        ``[B, C, h, w]``, 0..1.
    """
    lit = torch.lerp(images, _lit_as(images, _shuffled(images, generator)), _chosen(images, generator, share))
    weights = most * torch.rand(len(images), generator=generator).to(images)[:, None, None, None]
    other = _shuffled(lit, generator)
    other = other + (_mean(lit) - _mean(other))
    return torch.lerp(lit, other, weights * _chosen(images, generator, share)).clamp_(0, 1)


def _lit_as(images: Tensor, others: Tensor) -> Tensor:
    """Images under the light of others."""
    cell = max(1, min(images.shape[-2:]) // 11)

    def light(pictures: Tensor) -> Tensor:
        coarse = functional.avg_pool2d(pictures, cell, ceil_mode=True)
        return functional.interpolate(coarse, size=pictures.shape[-2:], mode="bilinear", align_corners=False) + 0.02

    return (images / light(images) * light(others)).clamp_(0, 1)


def _mean(images: Tensor) -> Tensor:
    return images.mean(dim=(1, 2, 3), keepdim=True)


def _shuffled(images: Tensor, generator: Generator) -> Tensor:
    return images[torch.randperm(len(images), generator=generator)]


def _chosen(images: Tensor, generator: Generator, share: float) -> Tensor:
    """1 for that share of the images, drawn, and 0 for the others; ``[B, 1, 1, 1]``."""
    return (torch.rand(len(images), generator=generator) < share).to(images)[:, None, None, None]
