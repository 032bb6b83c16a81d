"""How flaws make parts darker, brighter, or lit from the side."""

import numpy as np
import torch
from torch import Tensor

from synth.compiled import kernels, usable
from synth.noise import Numbers
from synth.spots import Spots
from synth.windows import Window


def shade(window: Window, profile: Tensor, amount: Numbers) -> Tensor:
    """Make images darker (amount below 0) or brighter (above 0) where a profile is high.

    Darkening takes a share of the brightness, brightening a share of what is missing to white. Where a part is almost
    black or white already, the other direction is taken, as the flaw could not be seen.

    Args:
        window: Whose images, and whose level of brightness.
        profile: ``[B, 1, h, w]``.
        amount: ``[B]``, -1..1.
    """
    target = brightens(window, amount).astype(np.float32)
    return mixed(window, profile, target[:, None].repeat(window.level.shape[1], axis=1), np.abs(amount))


def mixed(window: Window, share: Tensor, colours: Numbers, amount: Numbers) -> Tensor:
    """Images mixed with one colour each.

    Args:
        window: Whose images.
        share: ``[B, 1, h, w]`` of the colour, 0..1.
        colours: ``[B, C]``.
        amount: ``[B]``, by which the share is multiplied.
    """
    images = window.images
    if not usable(images):
        return torch.lerp(images, window.colours(colours), share * window.column(amount))
    pixels = np.empty(images.shape, np.float32)
    colours, amount = (np.ascontiguousarray(values, np.float32) for values in (colours, amount))
    kernels().mix(images.contiguous().numpy(), share.contiguous().numpy(), colours, amount, pixels)
    return torch.from_numpy(pixels)


def brightens(window: Window | Spots, amount: Numbers) -> Numbers:
    """Whether flaws make the part brighter: amounts ``[B, ...]`` above 0 do, but where it is almost black or white."""
    level = window.level.mean(axis=1).reshape(-1, *[1] * (amount.ndim - 1))
    return np.where(level < np.float32(0.12), True, np.where(level > np.float32(0.88), False, amount > 0))


def relative(window: Window | Spots, share: Numbers, brightest: Numbers | float = 1.0) -> Numbers:
    """A colour darker or brighter than the part around a flaw, ``[B, C]``.

    Args:
        window: Whose level, or spots.
        share: ``[B]``: -1 is black, 0 the level, 1 the brightest. Where the part is almost black or white already, the
            other direction is taken, as the colour could not be told from the part.
        brightest: ``[B, C]``, white by default.
    """
    level, shares = window.level, share[:, None]
    grey = level.mean(axis=1, keepdims=True)
    far = np.abs(shares)
    shares = np.where(grey > np.float32(0.85), -far, np.where(grey < np.float32(0.15), far, shares))
    return np.where(shares > 0, level + shares * (brightest - level), level * (1 + shares))


def light(images: Tensor, slope: Tensor) -> Tensor:
    """Light a relief from the side: brighter where the surface faces the light, darker where it turns away.

    Args:
        images: ``[B, C, h, w]``, 0..1.
        slope: ``[B, 1, h, w]``, -1..1: 1 faces the light, 0 is as flat as the surface around.
    """
    return torch.lerp(images, (slope > 0).to(slope), slope.abs())


def sunken(inside: Tensor, wall: Tensor) -> Tensor:
    """Depth of a break: 0 on its rim and towards 1 in the middle; steep walls, and a floor that is never quite flat.

    Args:
        inside: How far inside the rim pixels are; 0 or below is outside.
        wall: How far inside half the depth is reached; of a shape that fits.
    """
    inside = inside.clamp_min(0)
    return inside / (inside + wall)
