"""Losses for masks of very different sizes, many of them too faint to be found."""

import torch
from torch import Tensor
from torch.nn import functional

_TYPICAL_AREA = 144
"""Pixels of a flaw whose pixels weigh as much as sound ones; those of smaller flaws weigh more."""


def pixel_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Binary cross-entropy, a flawed pixel weighted by one over the square root of its image's flawed area.

    A Dice loss, common for small targets, was tried first and dropped: where many flaws cannot be seen, it is lowest
    when all of the part is called half flawed, and nothing small is ever learnt (docs/detectors.md).

    Args:
        logits: ``[B, 1, h, w]``.
        masks: ``[B, 1, h, w]``, 0 or 1.
    """
    area = masks.sum(dim=(1, 2, 3), keepdim=True).clamp_min(1)
    weights = torch.where(masks > 0, (_TYPICAL_AREA / area).sqrt(), 1.0)
    return (weights * functional.binary_cross_entropy_with_logits(logits, masks, reduction="none")).mean()


def image_logits(logits: Tensor, share: float) -> Tensor:
    """Mean of the highest logits of each image, ``[B]``; ``share`` says how many of the pixels count."""
    flat = logits.flatten(1)
    return flat.topk(max(1, round(flat.shape[1] * share)), dim=1).values.mean(dim=1)


def image_loss(logits: Tensor, flawed: Tensor, share: float) -> Tensor:
    """Binary cross-entropy of what becomes the image score; flawed and sound images weigh the same.

    It is the hardest places of sound images that decide about false rejects, and a mean over pixels hardly sees them.
    A batch of only one kind gives half the loss.

    Args:
        logits: ``[B, 1, h, w]``.
        flawed: ``[B]`` bool.
        share: See ``image_logits``.
    """
    flawed = flawed.to(logits)
    weights = torch.where(flawed > 0, 0.5 / flawed.sum().clamp_min(1), 0.5 / (1 - flawed).sum().clamp_min(1))
    crossed = functional.binary_cross_entropy_with_logits(image_logits(logits, share), flawed, reduction="none")
    return (weights * crossed).sum()


def compute_losses(logits: Tensor, masks: Tensor, share: float, marked: Tensor | None = None) -> dict[str, Tensor]:
    """Both, weighted so that they are of one size at the end of a training.

    Args:
        logits: ``[B, 1, h, w]``.
        masks: ``[B, 1, h, w]``, 0 or 1.
        share: See ``image_logits``.
        marked: ``[B]`` bool, false where an image is flawed and nobody said where: it counts in the loss of images
            alone. None is true everywhere.
    """
    flawed = masks.flatten(1).amax(dim=1) > 0
    known_logits, known_masks = logits, masks
    if marked is not None and not marked.all():
        flawed = flawed | ~marked
        known_logits, known_masks = logits[marked], masks[marked]
    return {"pixels": 10 * pixel_loss(known_logits, known_masks), "images": 0.3 * image_loss(logits, flawed, share)}
