"""Where the part is: what differs from the colour of the image's border, by Otsu's threshold.

Otsu, "A threshold selection method from gray-level histograms", 1979.
"""

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from synth.families.base import check
from synth.masks import box_blur

LEAST_TRUST = 0.6
"""Below this a mask is not used, and the whole image is taken."""

_BINS = 256
_AREAS = (0.03, 0.97)
_LEAST_DISTANCE = 0.06
"""Part and background differ by at least this much of the range; less is texture or light."""


def foreground(images: Tensor) -> tuple[Tensor, Tensor]:
    """Find the part in each image.

    The background is taken to have the colour of the image's border. Trust is the share of the variance that the
    threshold explains, times the share of the border that looks like background.

    Args:
        images: ``[B, C, H, W]``, 0..1.

    Returns:
        Masks ``[B, 1, H, W]`` (0 or 1) and trust ``[B]`` in 0..1. Where the trust is 0 no part could be told from its
        background, and the mask is the whole image.

    Raises:
        SynthError: If the images cannot be used.
    """
    check(images)
    side = min(images.shape[-2:])
    rim = max(1, side // 50)
    ring = torch.ones(images.shape[-2:], dtype=torch.bool, device=images.device)
    ring[rim:-rim, rim:-rim] = False
    edge = images[:, :, ring]
    colour = edge.median(dim=2).values[:, :, None, None]
    distance = box_blur((images - colour).abs().amax(dim=1, keepdim=True), max(1, side // 128))
    threshold, explained = otsu(distance.flatten(1))
    far = distance[:, 0] > threshold[:, None, None]

    masks = torch.stack([torch.from_numpy(_solid(mask)) for mask in far.cpu().numpy()]).to(images)[:, None]
    calm = 1 - far[:, ring].float().mean(dim=1)
    apart = _contrast(distance, masks)
    area = masks.mean(dim=(1, 2, 3))
    trust = explained * calm * ((area > _AREAS[0]) & (area < _AREAS[1]) & (apart > _LEAST_DISTANCE))
    trusted = trust >= LEAST_TRUST
    return torch.where(trusted[:, None, None, None], masks, 1.0), torch.where(trusted, trust, 0.0)


def otsu(values: Tensor) -> tuple[Tensor, Tensor]:
    """Threshold that splits each row in two classes with the greatest variance between them.

    Args:
        values: ``[B, N]``, 0..1.

    Returns:
        The thresholds ``[B]``, and the share ``[B]`` of the variance that lies between the classes.
    """
    bins = (values * (_BINS - 1)).round().long().clamp(0, _BINS - 1)
    counts = torch.zeros(len(values), _BINS, dtype=torch.float64, device=values.device)
    counts.scatter_add_(1, bins, torch.ones_like(values, dtype=torch.float64))
    share = counts / values.shape[1]
    levels = torch.arange(_BINS, dtype=torch.float64, device=values.device) / (_BINS - 1)
    below, sums = share.cumsum(dim=1), (share * levels).cumsum(dim=1)
    mean = sums[:, -1:]
    between = (mean * below - sums).square() / (below * (1 - below)).clamp_min(1e-12)
    best, index = between.max(dim=1)
    variance = (share * (levels - mean).square()).sum(dim=1)
    return ((index + 0.5) / (_BINS - 1)).to(values), (best / variance.clamp_min(1e-12)).clamp(0, 1).to(values)


def _solid(mask: np.ndarray) -> np.ndarray:
    """Fill holes, and drop pieces much smaller than the largest."""
    filled = ndimage.binary_fill_holes(mask)
    pieces, number = ndimage.label(filled)
    if number < 2:
        return np.asarray(filled)
    areas = np.bincount(pieces.ravel())
    areas[0] = 0
    return np.asarray((areas >= 0.1 * areas.max())[pieces])


def _contrast(distance: Tensor, masks: Tensor) -> Tensor:
    inside = (distance * masks).sum(dim=(1, 2, 3)) / masks.sum(dim=(1, 2, 3)).clamp_min(1)
    outside = (distance * (1 - masks)).sum(dim=(1, 2, 3)) / (1 - masks).sum(dim=(1, 2, 3)).clamp_min(1)
    return inside - outside
