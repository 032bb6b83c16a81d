"""How rough and how bright each place of a part usually is, where nothing finer is alike on good parts.

A bolt that rolls shows its thread at another phase, and its head lit from another side, in every picture: what is usual
there, pixel by pixel, says little. How rough a place is does not depend on either. A bent shank, a missing corner and
a thread that is worn off are plain there, and a network that knows made-up flaws alone looks past them.
"""

from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor
from torch.nn import functional

from learning.detectors.inputs import box_mean
from learning.detectors.reference import Reference, fit_reference, is_explained
from learning.progress import Progress, silent

if TYPE_CHECKING:
    from collections.abc import Callable

    from learning.images.image_set import ImageSet

_PREFIX = "structure."

_FINEST = 96
"""Surroundings are a 96th of the shorter side to each side."""

_LEAST_ENERGY = 0.01
"""Of a gradient, in deviations of the picture for a pixel, squared: what is smoother is smooth."""

_SHARE = 0.005
"""Of the places, the most unusual ones: their mean is what a part is judged by."""

_LEAST = 1e-3
_FEWEST = 5
"""With fewer held-out parts nobody knows what is usual for a good one."""


def structure(seen: Tensor) -> Tensor:
    """Brightness and roughness of the surroundings of each place.

    Args:
        seen: ``[B, 2C, h, w]``, as ``learning.detectors.inputs.standardise`` gives it.

    Returns:
        ``[B, 2, h, w]``: the mean of the picture around each place, in its deviations; and the logarithm of the mean
        square of its gradient there.
    """
    whole = seen[:, : seen.shape[1] // 2]
    radius = max(1, round(min(seen.shape[-2:]) / _FINEST))
    padded = functional.pad(whole, (1, 1, 1, 1), mode="replicate")
    right = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    below = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    square = (right.square() + below.square()).mean(dim=1, keepdim=True)
    rough = (box_mean(square, radius) + _LEAST_ENERGY).log()
    return torch.cat([box_mean(whole.mean(dim=1, keepdim=True), round(1.5 * radius)), rough], dim=1)


class Structure:
    """What is usual at each place, and what an unusual part is worth on the scale of a network's scores.

    Args:
        reference: Of ``structure``.
        usual: ``[4]``: median and deviation of the logits of a network's scores, and of what parts deviate by, on good
            parts that neither has learnt from.
    """

    def __init__(self, reference: Reference, usual: Tensor) -> None:
        self.reference = reference
        self.usual = usual

    def join(self, scores: Tensor, maps: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Let the more suspicious of the two decide, for each part and each place.

        Args:
            scores: ``[B]`` of a network, 0..1.
            maps: ``[B, 1, h, w]``, 0..1.
            seen: ``[B, 2C, H, W]``, standardised images; H and W at least h and w.

        Returns:
            Scores and maps, none lower than before.
        """
        height, width = maps.shape[-2:]
        found = _deviating(self.reference, seen)[..., :height, :width]
        return (
            torch.maximum(scores, self._probabilities(_most(found))),
            torch.maximum(maps, self._probabilities(found.clamp_min(_LEAST).log())),
        )

    def to(self, device: str) -> "Structure":
        """The same on a device."""
        return Structure(self.reference.to(device), self.usual.to(device))

    def arrays(self) -> dict[str, Tensor]:
        """What is stored beside the weights."""
        return {**self.reference.arrays(_PREFIX), f"{_PREFIX}usual": self.usual}

    @classmethod
    def of_arrays(cls, arrays: dict[str, Tensor]) -> Self | None:
        """Take what ``arrays`` gave out of the arrays of a file; None where it holds none."""
        reference = Reference.of_arrays(arrays, _PREFIX)
        return None if reference is None else cls(reference, arrays.pop(f"{_PREFIX}usual"))

    def _probabilities(self, deviating: Tensor) -> Tensor:
        middle, spread, usual, unusual = self.usual.unbind()
        return (middle + spread * (deviating - usual) / unusual).sigmoid()


def fit_structure(
    train: "ImageSet", standardised: "Callable[[Tensor], Tensor]", progress: Progress = silent
) -> tuple[Reference | None, float]:
    """Learn what is usual from good parts.

    Returns:
        The reference of ``structure``, None where good parts have too little in common, and the share of the roughness
        of places that it explains.
    """
    reference, explained = fit_reference(train, lambda images: structure(standardised(images)), progress)
    return (reference if is_explained(explained) else None), explained


@torch.inference_mode()
def scaled(reference: Reference, logits: Tensor, seen: Tensor) -> Structure | None:
    """Bring what parts deviate by to the scale of a network's scores.

    Args:
        reference: Of ``structure``.
        logits: ``[N]`` of a network's scores of good parts that it has not learnt from.
        seen: ``[N, 2C, h, w]``, the same parts, standardised.

    Returns:
        None with fewer than 5 parts.
    """
    if len(logits) < _FEWEST:
        return None
    deviating = _most(torch.cat([_deviating(reference, one) for one in seen.split(1)]))
    found = [value for values in (logits, deviating) for value in (values.median(), values.std().clamp_min(_LEAST))]
    return Structure(reference, torch.stack(found).float())


def _deviating(reference: Reference, seen: Tensor) -> Tensor:
    """Root mean square of how far each place is from what is usual there: ``[B, 1, h, w]``."""
    deviations = reference.deviations(structure(seen))
    radius = max(1, round(min(seen.shape[-2:]) / _FINEST))
    return box_mean(deviations.square().mean(dim=1, keepdim=True).sqrt(), radius)


def _most(deviating: Tensor) -> Tensor:
    flat = deviating.flatten(1)
    return flat.topk(max(1, round(_SHARE * flat.shape[1])), dim=1).values.mean(dim=1).clamp_min(_LEAST).log()
