"""Errors by what is usual for good parts, at each place of them where they lie alike."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from learning.detectors.surface import is_surface

if TYPE_CHECKING:
    from learning.images.image_set import ImageSet
    from learning.images.preprocessing import Preprocessing

_PREFIX = "usual."
_MOST_IMAGES = 48
_LOOKED_AT = 32
_BATCH = 8

_PRIOR = 4.0
"""Images that the usual variance of places counts for, beside the images that a place was seen in."""

_FLAT = 0.01
"""Share of the mean variance below which places are equally flat: a margin that never changes says nothing."""

_LEAST = 1e-6


class Usual:
    """Mean and deviation of errors of good parts.

    Args:
        mean: ``[K, h, w]`` of K kinds of error at each place, or ``[K, 1, 1]`` where all places are alike.
        deviation: Of the same shape, above zero.
    """

    def __init__(self, mean: Tensor, deviation: Tensor) -> None:
        self.mean = mean
        self.deviation = deviation

    def __call__(self, errors: Tensor) -> Tensor:
        """By how many deviations errors ``[B, K, h, w]`` lie above what is usual; below zero where they lie below."""
        return (errors - self.mean) / self.deviation

    def arrays(self) -> dict[str, Tensor]:
        """What is stored beside the weights."""
        return {f"{_PREFIX}mean": self.mean, f"{_PREFIX}deviation": self.deviation}

    @classmethod
    def of_arrays(cls, arrays: dict[str, Tensor]) -> Self:
        """Take what ``arrays`` gave out of the arrays of a file."""
        return cls(arrays.pop(f"{_PREFIX}mean"), arrays.pop(f"{_PREFIX}deviation"))


def fit_usual(errors: Tensor, by_place: bool, blur: float) -> Usual:
    """Take mean and deviation of the errors of good parts.

    The deviation is the root of the variance over images at a place, smoothed, and ``settled``.

    Args:
        errors: ``[N, K, h, w]`` of K kinds, of good parts.
        by_place: Whether places are compared with themselves alone; else with all.
        blur: Standard deviation in pixels of what smooths mean and variance, as parts lie alike to some pixels only.
    """
    values = errors.double()
    if not by_place:
        return _usual(values.mean(dim=(0, 2, 3))[:, None, None], values.var(dim=(0, 2, 3), correction=0)[:, None, None])
    mean, variance = _blurred(values.mean(dim=0), blur), _blurred(values.var(dim=0, correction=0), blur)
    return _usual(mean, settled(variance, len(values)))


def settled(variance: Tensor, count: int, over: tuple[int, ...] = (-2, -1)) -> Tensor:
    """Draw the variance of each place to what is usual: a place where a few parts happen to be equal is not held to it.

    Args:
        variance: ``[..., h, w]``, over so many images.
        count: How many.
        over: Dimensions that what is usual is taken over; by default places alone.

    Returns:
        ``(N v + n v') / (N + n)``, n being four images and v' the geometric mean over ``over``, which a few places that
        vary much do not make large.
    """
    least = (_FLAT * variance.mean(dim=over, keepdim=True)).clamp_min(_LEAST**2)
    typical = variance.maximum(least).log().mean(dim=over, keepdim=True).exp()
    return (count * variance + _PRIOR * typical) / (count + _PRIOR)


def stand_out(above: Tensor, preprocessing: "Preprocessing") -> Tensor:
    """A map of an image from how far errors of one or more kinds lie above what is usual.

    Where parts are turned, each is lit from another side, and all of it deviates: there the map is standardised by its
    own mean and deviation too.

    Args:
        above: ``[B, K, h, w]``, what ``Usual`` gives.
        preprocessing: Says whether parts are turned.

    Returns:
        ``[B, h, w]``, 0 or above: the mean over kinds.
    """
    mean = above.mean(dim=1)
    if preprocessing.part is not None and preprocessing.part.turn:
        own = mean.std(dim=(-2, -1), correction=0, keepdim=True).clamp_min(_LEAST)
        mean = (mean - mean.mean(dim=(-2, -1), keepdim=True)) / own
    return mean.clamp_min(0)


@torch.inference_mode()
def usual_errors(
    errors: Callable[[Tensor], Tensor], train: "ImageSet", selection: "ImageSet", blur: float, seed: int
) -> Usual:
    """Take mean and deviation of the errors of good parts, by place where parts lie alike.

    Held-out parts come first. Where there are fewer than 48, parts that were trained on fill up: too few leave places
    unknown, which costs more than that errors of known parts are a little smaller.

    Args:
        errors: Of images ``[B, C, h, w]``, ``[B, K, h, w]``.
        train: Good parts that tell whether they lie alike.
        selection: Good parts that trained nothing.
        blur: See ``fit_usual``.
        seed: Of which parts are looked at.
    """
    draws = torch.Generator().manual_seed(seed)
    found: list[Tensor] = []
    for images in (selection, train):
        order = torch.randperm(len(images), generator=draws)[: _MOST_IMAGES - sum(map(len, found))]
        found += [errors(images.batch(some.tolist())) for some in order.split(_BATCH) if len(some)]
    return fit_usual(torch.cat(found), lie_alike(train), blur)


def lie_alike(train: "ImageSet") -> bool:
    """Whether good parts show the same thing at the same place: cut out, or told so by up to 32 pictures."""
    if train.preprocessing.part is not None:
        return True
    looked = np.unique(np.linspace(0, len(train) - 1, min(_LOOKED_AT, len(train))).round().astype(int)).tolist()
    return not is_surface(train.batch(looked), train.outlines(looked))


def _usual(mean: Tensor, variance: Tensor) -> Usual:
    return Usual(mean.float(), variance.clamp_min(_LEAST**2).sqrt().float())


def _blurred(planes: Tensor, deviation: float) -> Tensor:
    """Planes ``[K, h, w]``, smoothed."""
    radius = min(round(3 * deviation), min(planes.shape[-2:]) - 1)
    return gaussian_blur(planes, [2 * radius + 1] * 2, [deviation] * 2) if radius else planes
