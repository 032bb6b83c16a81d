"""Losses for masks in which few pixels are flawed."""

import torch
from torch import Tensor
from torch.nn import functional


def focal(logits: Tensor, masks: Tensor, gamma: float = 2.0, alpha: float = 0.75) -> Tensor:
    """Focal loss, the mean over pixels (Lin et al., 2017, arXiv 1708.02002, equation 5).

    Args:
        logits: ``[B, 1, h, w]``.
        masks: ``[B, 1, h, w]``, 0 or 1.
        gamma: How much easy pixels are played down.
        alpha: Weight of flawed pixels; sound ones weigh ``1 - alpha``.
    """
    crossed = functional.binary_cross_entropy_with_logits(logits, masks, reduction="none")
    missed = 1 - torch.exp(-crossed)
    weight = alpha * masks + (1 - alpha) * (1 - masks)
    return (weight * missed**gamma * crossed).mean()


def dice(logits: Tensor, masks: Tensor) -> Tensor:
    """One minus the Dice coefficient, the mean over the images that have a flaw (Milletari et al., 2016).

    Sound images have no overlap to reward; the pixel loss alone speaks for them. Shapes as in ``focal``.
    """
    probabilities = logits.sigmoid().flatten(1)
    truth = masks.flatten(1)
    overlap = (probabilities * truth).sum(dim=1)
    size = probabilities.sum(dim=1) + truth.sum(dim=1)
    flawed = (truth.sum(dim=1) > 0).to(logits)
    return ((1 - (2 * overlap + 1) / (size + 1)) * flawed).sum() / flawed.sum().clamp_min(1)
