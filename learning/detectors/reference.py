"""What good parts usually look like at each place, laid over a picture so that it shows what is unusual there."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from learning.detectors.placewise import settled
from learning.progress import Progress, silent

if TYPE_CHECKING:
    from learning.images.image_set import ImageSet

_PREFIX = "reference."
_LEVELS = ((24, 6), (48, 4), (96, 2))
"""Shorter sides of the pictures that are laid over each other, from coarse to fine, and how often each is corrected."""

_ROUNDS = 3
"""How often the mean is made anew from parts that were laid over the one before."""

_MOST_IMAGES = 160
_BATCH = 16

_LEAST = 1e-6
"""Variance below which nothing is seen on pictures but the rounding of their values."""

_OUTLIER = 2.0
"""A place that differs by more pulls no harder: a defect, or a serial number, must not move the picture."""

_MOST = 3.0
_SCALE = 2.0
"""Deviations are given in units of so many, up to ``_MOST`` units, as a network's other inputs are."""

_LEAST_EXPLAINED = 0.5


class Similarity:
    """Turns, scales and shifts of a batch of pictures: a place x of the reference is at ``R x + t`` of the picture.

    Args:
        cos: ``[B]``, cosine times scale.
        sin: ``[B]``, sine times scale.
        x: ``[B]``, shift in halves of the shorter side.
        y: ``[B]``.
    """

    def __init__(self, cos: Tensor, sin: Tensor, x: Tensor, y: Tensor) -> None:
        self.cos, self.sin, self.x, self.y = cos, sin, x, y

    @classmethod
    def identity(cls, images: Tensor) -> Self:
        """One that moves nothing, for each image of ``[B, C, h, w]``."""
        zeros = torch.zeros_like(images[:, 0, 0, 0])
        return cls(torch.ones_like(zeros), zeros, zeros, zeros)

    def inverse(self) -> "Similarity":
        """From places of the picture to those of the reference."""
        square = self.cos.square() + self.sin.square()
        cos, sin = self.cos / square, -self.sin / square
        return Similarity(cos, sin, sin * self.y - cos * self.x, -sin * self.x - cos * self.y)

    def after(self, first: "Similarity") -> "Similarity":
        """What ``first`` does, and then this."""
        cos = self.cos * first.cos - self.sin * first.sin
        sin = self.cos * first.sin + self.sin * first.cos
        x = self.cos * first.x - self.sin * first.y + self.x
        y = self.sin * first.x + self.cos * first.y + self.y
        return Similarity(cos, sin, x, y)

    def grid(self, places: Tensor) -> Tensor:
        """Where places ``[h, w, 2]`` are, for ``grid_sample``: ``[B, h, w, 2]``."""
        height, width = places.shape[:2]
        sides = places.new_tensor([min(height, width) / width, min(height, width) / height])
        # Both coordinates at once: OpenVINO lays columns and rows side by side element by element.
        across, down = (place.expand_as(places) for place in places.split(1, dim=-1))
        right = torch.stack([self.cos, self.sin], dim=-1)[:, None, None]
        below = torch.stack([-self.sin, self.cos], dim=-1)[:, None, None]
        shift = torch.stack([self.x, self.y], dim=-1)[:, None, None]
        return (right * across + below * down + shift) * sides


class _Level:
    """Lays pictures over a template at one resolution, by the inverse compositional algorithm.

    Baker and Matthews (2004), Lucas-Kanade 20 years on, section 3.2: the template's gradients stay as they are, so
    that a correction costs one sampling of the picture and one product.
    """

    def __init__(self, template: Tensor, side: int, corrections: int) -> None:
        self.shrink = max(1, round(min(template.shape[-2:]) / side))
        self.corrections = corrections
        self.template = functional.avg_pool2d(template[None, None], self.shrink)
        self.places = _places(self.template)
        across, down = (part.flatten() for part in self.places.unbind(dim=-1))
        padded = functional.pad(self.template, (1, 1, 1, 1), mode="replicate")[0, 0]
        half = min(self.template.shape[-2:]) / 2
        right = ((padded[1:-1, 2:] - padded[1:-1, :-2]) / 2 * half).flatten()
        below = ((padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2 * half).flatten()
        steepest = torch.stack([right * across + below * down, below * across - right * down, right, below])
        hessian = steepest @ steepest.T
        # A template without structure along some direction says nothing of it, and corrects nothing.
        damping = 1e-3 * hessian.diagonal().mean().clamp_min(1e-6)
        self.solved = torch.linalg.solve(hessian + damping * torch.eye(4).to(hessian), steepest)

    def correct(self, pictures: Tensor, pose: Similarity) -> Similarity:
        for _ in range(self.corrections):
            differing = self.differences(pictures, pose).flatten(1)
            # No matrix product: it would depend on the batch in its last bits, and be taken for a layer by INT8.
            scale, turn, x, y = (differing[:, None] * self.solved).sum(dim=-1).unbind(dim=1)
            pose = pose.after(Similarity(1 + scale, turn, x, y).inverse())
        return pose

    def differences(self, pictures: Tensor, pose: Similarity) -> Tensor:
        """``[B, 1, h, w]`` of pictures at this resolution."""
        laid = _sample(pictures, pose.grid(self.places))
        return (laid - self.template).clamp(-_OUTLIER, _OUTLIER)


class Reference:
    """Mean and deviation of good parts at each place.

    Pictures are as ``learning.detectors.inputs.standardise`` gives them: the second half of their channels, where light
    is taken out of each place, is what they are laid over the mean by.

    Args:
        mean: ``[2C, h, w]``.
        deviation: ``[2C, h, w]``, above zero.
    """

    def __init__(self, mean: Tensor, deviation: Tensor) -> None:
        self.mean = mean
        self.deviation = deviation
        template = _guide(mean[None])[0, 0]
        self._places = _places(mean)
        self._levels = [_Level(template, side, corrections) for side, corrections in _LEVELS]

    def pose(self, pictures: Tensor) -> Similarity:
        """How pictures ``[B, 2C, h, w]`` lie; as they are, where no other pose is closer to the mean."""
        guide = _guide(pictures)
        still = pose = Similarity.identity(pictures)
        for level in self._levels:
            small = functional.avg_pool2d(guide, level.shrink)
            pose = level.correct(small, pose)
        finest = self._levels[-1]
        near, far = (finest.differences(small, one).abs().mean(dim=(1, 2, 3)) for one in (pose, still))
        closer = near < far
        return Similarity(
            *(torch.where(closer, getattr(pose, name), getattr(still, name)) for name in ("cos", "sin", "x", "y"))
        )

    def laid_over(self, pictures: Tensor) -> Tensor:
        """Pictures ``[B, 2C, h, w]``, each moved to lie as the reference does."""
        return _sample(pictures, self.pose(pictures).grid(self._places))

    def deviations(self, pictures: Tensor) -> Tensor:
        """How far pictures are from what is usual at their places, in units of two deviations.

        Args:
            pictures: ``[B, 2C, h, w]``.

        Returns:
            ``[B, 2C, h, w]``, -3 to 3; the reference is moved, not the picture. Zero beside the reference.
        """
        grid = self.pose(pictures).inverse().grid(self._places)
        both = torch.cat([self.mean, self.deviation])[None].expand(len(pictures), -1, -1, -1)
        mean, deviation = _sample(both, grid).chunk(2, dim=1)
        across, down = grid.abs().unbind(dim=-1)  # not all(): OpenVINO counts integers one by one
        inside = ((across <= 1) & (down <= 1))[:, None]
        return ((pictures - mean) / (_SCALE * deviation) * inside).clamp(-_MOST, _MOST)

    def to(self, device: str) -> "Reference":
        """The same on a device."""
        return Reference(self.mean.to(device), self.deviation.to(device))

    def arrays(self, prefix: str = _PREFIX) -> dict[str, Tensor]:
        """What is stored beside the weights."""
        return {f"{prefix}mean": self.mean, f"{prefix}deviation": self.deviation}

    @classmethod
    def of_arrays(cls, arrays: dict[str, Tensor], prefix: str = _PREFIX) -> Self | None:
        """Take what ``arrays`` gave out of the arrays of a file; None where it holds none."""
        if f"{prefix}mean" not in arrays:
            return None
        return cls(arrays.pop(f"{prefix}mean"), arrays.pop(f"{prefix}deviation"))


@torch.inference_mode()
def fit_reference(
    train: "ImageSet", look: Callable[[Tensor], Tensor], progress: Progress = silent
) -> tuple[Reference, float]:
    """Lay up to 160 good parts over each other, and take their mean and deviation.

    Starting from the mean of the pictures as they are, each round lays them over the mean of the round before
    (Learned-Miller, 2006, calls it congealing). The variance is ``settled`` as in
    ``learning.detectors.placewise``.

    Args:
        train: Good parts.
        look: From images ``[B, C, h, w]`` to what a network sees of them, ``[B, 2C, h, w]``.
        progress: Told how far it is.

    Returns:
        The reference, and the share of what good parts differ by from place to place that it explains, of those
        channels that light is taken out of: 1 where all are alike, 0 or less where they have nothing in common.
    """
    chosen = np.unique(np.linspace(0, len(train) - 1, min(_MOST_IMAGES, len(train))).round().astype(int)).tolist()
    batches = [chosen[i : i + _BATCH] for i in range(0, len(chosen), _BATCH)]
    moments = _Moments()
    for done in range(_ROUNDS + 1):
        reference = moments.reference() if done else None
        moments = _Moments()
        for i, indices in enumerate(batches):
            progress(done * len(batches) + i, (_ROUNDS + 1) * len(batches), "laying good parts over each other")
            pictures = look(train.batch(indices))
            moments.add(pictures if reference is None else reference.laid_over(pictures))
    return moments.reference(), moments.explained()


def is_explained(share: float) -> bool:
    """Whether parts have so much in common that what is unusual for a place means something."""
    return share >= _LEAST_EXPLAINED


class _Moments:
    """Sums over pictures, in whose memory no picture stays."""

    def __init__(self) -> None:
        self._count = 0
        self._sum = self._squares = self._own = torch.zeros(())

    def add(self, pictures: Tensor) -> None:
        values = pictures.double()
        self._count += len(values)
        self._sum = self._sum + values.sum(dim=0)
        self._squares = self._squares + values.square().sum(dim=0)
        self._own = self._own + values.var(dim=(-2, -1), correction=0).sum(dim=0)

    def reference(self) -> Reference:
        mean, variance = self._mean_and_variance()
        drawn = settled(variance, self._count, over=(-3, -2, -1))  # all channels are in the same unit
        return Reference(mean.float(), drawn.clamp_min(_LEAST).sqrt().float())

    def explained(self) -> float:
        _, variance = self._mean_and_variance()
        half = len(variance) // 2
        own = float(self._own[half:].mean()) / self._count
        if self._count < 2 or own < _LEAST:  # one part, or nothing on any: nobody knows
            return 0.0
        return 1 - float(variance[half:].mean()) * self._count / (self._count - 1) / own

    def _mean_and_variance(self) -> tuple[Tensor, Tensor]:
        mean = self._sum / self._count
        return mean, (self._squares / self._count - mean.square()).clamp_min(0)


def _guide(pictures: Tensor) -> Tensor:
    """The channels that pictures are laid over each other by, as one: ``[B, 2C, h, w]`` to ``[B, 1, h, w]``."""
    return pictures[:, pictures.shape[1] // 2 :].mean(dim=1, keepdim=True)


def _places(planes: Tensor) -> Tensor:
    """Places of ``[..., h, w]`` from its middle, in halves of the shorter side: ``[h, w, 2]``."""
    height, width = planes.shape[-2:]
    half = min(height, width) / 2
    rows = (torch.arange(height, device=planes.device, dtype=planes.dtype) + 0.5 - height / 2) / half
    columns = (torch.arange(width, device=planes.device, dtype=planes.dtype) + 0.5 - width / 2) / half
    down, across = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([across, down], dim=-1)


def _sample(planes: Tensor, grid: Tensor) -> Tensor:
    return functional.grid_sample(planes, grid, mode="bilinear", padding_mode="border", align_corners=False)
