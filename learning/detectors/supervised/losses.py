"""Binary cross-entropy beside Dice."""

import torch
from segmentation_models_pytorch.losses import DiceLoss
from torch import Tensor
from torch.nn import functional

_DICE = DiceLoss("binary", from_logits=True, smooth=0.5)
"""The library smooths one over the mean of the two areas, so that 0.5 there is 1 in the usual formula of their sum."""


def compute_losses(logits: Tensor, masks: Tensor) -> dict[str, Tensor]:
    """Both losses, each with weight one.

    Dice (Sudre et al., 2017, arXiv 1707.03237) counts the overlap over the whole batch, 0 where no patch is defective.

    Args:
        logits: ``[B, 1, h, w]``.
        masks: ``[B, 1, h, w]``, 0 or 1.
    """
    dice = _DICE(logits, masks) if masks.any() else torch.zeros((), device=logits.device)
    return {"crossentropy": functional.binary_cross_entropy_with_logits(logits, masks), "dice": dice}
