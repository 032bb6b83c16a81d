"""One number from a map of probabilities."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

_LEAST_PROBABILITY = 1e-4
"""Smaller ones, and those as close to one, count as this: odds without an end would decide alone."""

_HALVINGS = 18
_LOWEST = 1e-10
"""Probabilities below it are not told apart: over 23 of the logarithm, 18 halvings end within 9e-5 of a value."""


def image_scores(maps: Tensor, shares: Sequence[float], pixels: int | None = None) -> Tensor:
    """Geometric mean of the odds of the means of the highest values: ``[B]`` in 0..1.

    Args:
        maps: Probabilities ``[B, 1, h, w]``.
        shares: Of the pixels, 0..1, one for each mean.
        pixels: Shares are of so many, at most those of the map; None is all of it.
    """
    flat = maps.flatten(1)
    of = flat.shape[1] if pixels is None else min(pixels, flat.shape[1])
    counts = [max(1, round(of * share)) for share in shares]
    # Of a fifth of all pixels, the TopK of OpenVINO takes more time than the network in INT8; torch's does not.
    means = means_by_halving(flat, counts) if torch.compiler.is_exporting() else means_by_sorting(flat, counts)
    return torch.logit(means, eps=_LEAST_PROBABILITY).mean(dim=0).sigmoid()


def means_by_sorting(values: Tensor, counts: Sequence[int]) -> Tensor:
    """Means of the highest of ``[B, N]``, as many of them as each count says: ``[counts, B]``."""
    highest = values.topk(max(counts), dim=1).values
    return torch.stack([highest[:, :count].mean(dim=1) for count in counts])


def means_by_halving(values: Tensor, counts: Sequence[int]) -> Tensor:
    """The same of values 0..1, without sorting.

    The mean of the k highest is the least, over t, of t and a k-th of what values exceed t by (Rockafellar and Uryasev,
    2000, theorem 1); it is least at the k-th highest value, which is found by halving, by ratios, where it can be. From
    above: fewer than k values exceed that, so that the mean is no further off than t is, however many are alike.
    """
    wanted = values.new_tensor(counts)
    low = values.amin(dim=1, keepdim=True).clamp_min(_LOWEST).expand(-1, len(counts))
    high = values.amax(dim=1, keepdim=True).clamp_min(_LOWEST).expand(-1, len(counts))
    every = values[:, None]
    for _ in range(_HALVINGS):
        middle = (low * high).sqrt()
        enough = (every > middle[..., None]).to(values.dtype).sum(dim=-1) >= wanted
        low, high = torch.where(enough, middle, low), torch.where(enough, high, middle)
    return (high + functional.relu(every - high[..., None]).sum(dim=-1) / wanted).T
