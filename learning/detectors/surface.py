"""Whether pictures show a surface, a piece of it each, or something that all of them have in common."""

import torch
from torch import Tensor
from torch.nn import functional

from learning.detectors.inputs import standardise

_ALIKE = 0.2
"""Usual correlation of two pictures above which they show the same thing at the same place."""

_WHOLE = 0.99
"""Share of its picture that a part covers where it is not told from any background."""


def is_surface(images: Tensor, outlines: Tensor) -> bool:
    """Whether no part can be told from a background, and no two pictures are more alike than pieces of a surface are.

    Args:
        images: Of good parts, ``[B, C, h, w]``, 0..1; some tens, of different parts.
        outlines: Where the parts are, ``[B, 1, h, w]``, 0 or 1.

    Returns:
        Whether it is one. Fewer than two pictures tell nothing, and are not taken for one.
    """
    count = len(images)
    if count < 2 or float((outlines.flatten(1).mean(dim=1) >= _WHOLE).float().mean()) <= 0.5:
        return False
    # What differs from its surroundings, coarsely: light and position differ between pictures of one thing too.
    local = functional.avg_pool2d(standardise(images)[:, images.shape[1] :], 4).flatten(1)
    local = functional.normalize(local - local.mean(dim=1, keepdim=True))
    alike = (local @ local.T)[torch.triu_indices(count, count, 1).unbind()]
    return float(alike.median()) < _ALIKE
