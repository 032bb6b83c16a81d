"""The focal loss that GLASS trains its discriminator with on local flaws."""

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
