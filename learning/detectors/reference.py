"""What good parts usually look like at each place, laid over a picture so that it shows what is unusual there."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from learning.detectors.inputs import roughness
from learning.detectors.placewise import settled
from learning.detectors.subspace import Apart, Subspace, fit_subspace
from learning.progress import Progress, silent

if TYPE_CHECKING:
    from learning.images.image_set import ImageSet

_PREFIX = "reference."
_LEVELS = ((24, 6), (48, 4), (96, 2))
"""Shorter sides of the pictures that are laid over each other, from coarse to fine, and how often each is corrected."""

_ROUNDS = 3
"""How often the mean is made anew from parts that were laid over the one before."""

_MOST_IMAGES = 160
_FEWEST_IMAGES = 8
_MOST_VALUES = 128_000_000
"""Of the pictures that are laid over each other, together: fewer are taken where they are large."""

_BATCH = 16

_LEAST = 1e-6
"""Variance below which nothing is seen on pictures but the rounding of their values."""

_STEADIEST = 0.25
"""Of the median variance of places, that is added to that of each."""

_OUTLIER = 2.0
"""A place that differs by more pulls no harder: a defect, or a serial number, must not move the picture."""

_MOST = 3.0
_SCALE = 2.0
"""Deviations are given in units of so many, up to ``_MOST`` units, as a network's other inputs are."""

_LEAST_EXPLAINED = 0.25


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

    def grid(self, places: "Places") -> Tensor:
        """Where places are, for ``grid_sample``: ``[B, h, w, 2]``."""
        height, width = len(places.down), len(places.across)

        def in_turn(*two: Tensor) -> Tensor:
            return torch.stack(two, dim=-1)[:, None, None].repeat(1, 1, 1, width)

        # Both coordinates of a row as one row: OpenVINO lays columns and rows side by side element by element, and
        # takes what has rows in the place of channels for a picture of so many.
        right, below, shift = in_turn(self.cos, self.sin), in_turn(-self.sin, self.cos), in_turn(self.x, self.y)
        found = right * places.across.repeat_interleave(2) + below * places.down[:, None] + shift
        return (found * places.sides.repeat(width)).view(-1, height, width, 2)

    def within(self, places: "Places") -> Tensor:
        """Whether places are on the picture, ``[B, 1, h, w]``: where the grid is -1..1."""
        cos, sin, x, y = (one[:, None, None, None] for one in (self.cos, self.sin, self.x, self.y))
        down, (across_side, down_side) = places.down[:, None], places.sides.unbind()
        across = (cos * places.across - sin * down + x) * across_side
        down = (sin * places.across + cos * down + y) * down_side
        return (across.abs() <= 1) & (down.abs() <= 1)


class Places:
    """Those of the pixels of ``[..., h, w]``, from its middle, in halves of the shorter side.

    Attributes:
        across: ``[w]``.
        down: ``[h]``.
        sides: ``[2]``, the shorter side as a share of the width and of the height.
    """

    def __init__(self, planes: Tensor) -> None:
        shorter = min(planes.shape[-2:])
        self.down, self.across = (
            (torch.arange(side, device=planes.device, dtype=planes.dtype) + 0.5 - side / 2) / (shorter / 2)
            for side in planes.shape[-2:]
        )
        self.sides = planes.new_tensor([shorter / planes.shape[-1], shorter / planes.shape[-2]])


class _Level:
    """Lays pictures over a template at one resolution, by the inverse compositional algorithm.

    Baker and Matthews (2004), Lucas-Kanade 20 years on, section 3.2: the template's gradients stay as they are, so
    that a correction costs one sampling of the picture and one product.
    """

    def __init__(self, template: Tensor, side: int, corrections: int) -> None:
        self.shrink = max(1, round(min(template.shape[-2:]) / side))
        self.corrections = corrections
        self.template = functional.avg_pool2d(template[None, None], self.shrink)
        self.places = Places(self.template)
        down, across = (one.flatten() for one in torch.meshgrid(self.places.down, self.places.across, indexing="ij"))
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
            differing = self.differences(pictures, pose).flatten(2)
            # No matrix product: it would depend on the batch in its last bits. Of four dimensions, as with three
            # OpenVINO takes the corrections for channels, and copies what is summed.
            scale, turn, x, y = (differing[:, None] * self.solved).sum(dim=-1)[:, 0].unbind(dim=1)
            pose = pose.after(Similarity(1 + scale, turn, x, y).inverse())
        return pose

    def differences(self, pictures: Tensor, pose: Similarity) -> Tensor:
        """``[B, 1, h, w]`` of pictures at this resolution."""
        laid = _sample(pictures, pose.grid(self.places))
        return (laid - self.template).clamp(-_OUTLIER, _OUTLIER)


class Reference:
    """What good parts look like, place by place: mean, directions that they vary in, and deviation from these.

    Pictures are as ``learning.detectors.inputs.standardise`` gives them. They are laid over each other by how rough
    each place is, which is alike on parts that roll or are lit otherwise.

    Args:
        usual: Of pictures ``[2C, h, w]``.
        deviation: ``[2C, h, w]``, above zero.
        template: ``[h, w]``, roughness of a usual part. None for references from before there was one: they lay
            pictures over the mean by the second half of their channels, where light is taken out of each place.
    """

    def __init__(self, usual: Subspace, deviation: Tensor, template: Tensor | None) -> None:
        self.usual = usual
        self.deviation = deviation
        self.template = template
        self._aligner = _Aligner(_guide(usual.mean[None])[0, 0] if template is None else template)

    @property
    def mean(self) -> Tensor:
        """``[2C, h, w]``."""
        return self.usual.mean

    def pose(self, pictures: Tensor) -> Similarity:
        """How pictures ``[B, 2C, h, w]`` lie; as they are, where no other pose is closer to the reference."""
        return self._aligner.pose(_guide(pictures) if self.template is None else roughness(pictures))

    def laid_over(self, pictures: Tensor) -> Tensor:
        """Pictures ``[B, 2C, h, w]``, each moved to lie as the reference does."""
        return self._aligner.laid_over(pictures, self.pose(pictures))

    def deviations(self, pictures: Tensor, apart: Apart | None = None, which: Tensor | None = None) -> Tensor:
        """How far pictures are from what is usual at their places, in units of two deviations.

        Args:
            pictures: ``[B, 2C, h, w]``.
            apart: What to take for parts that the reference was made of; only to train by.
            which: ``[B]``, numbers of such parts; -1 for others.

        Returns:
            ``[B, 2C, h, w]``, -3 to 3; the reference is moved, not the picture. Zero beside the reference.
        """
        pose = self.pose(pictures)
        laid = self._aligner.laid_over(pictures, pose) if len(self.usual.directions) else pictures
        if apart is None or which is None:
            expected = self.usual.nearest(laid)
        else:
            expected = apart.nearest(self.usual, laid, which)
        back = pose.inverse()
        both = torch.cat([expected, self.deviation[None].expand(len(pictures), -1, -1, -1)], dim=1)
        mean, deviation = _sample(both, back.grid(self._aligner.places)).chunk(2, dim=1)
        inside = back.within(self._aligner.places)
        return ((pictures - mean) / (_SCALE * deviation) * inside).clamp(-_MOST, _MOST)

    def to(self, device: str) -> "Reference":
        """The same on a device."""
        template = None if self.template is None else self.template.to(device)
        return Reference(self.usual.to(device), self.deviation.to(device), template)

    def arrays(self) -> dict[str, Tensor]:
        """What is stored beside the weights."""
        arrays = {f"{_PREFIX}mean": self.mean, f"{_PREFIX}deviation": self.deviation}
        if self.template is not None:
            arrays[f"{_PREFIX}template"] = self.template
            arrays[f"{_PREFIX}directions"] = self.usual.directions.half()
        return arrays

    @classmethod
    def of_arrays(cls, arrays: dict[str, Tensor]) -> Self | None:
        """Take what ``arrays`` gave out of the arrays of a file; None where it holds none."""
        if f"{_PREFIX}mean" not in arrays:
            return None
        mean, deviation = arrays.pop(f"{_PREFIX}mean"), arrays.pop(f"{_PREFIX}deviation")
        directions = arrays.pop(f"{_PREFIX}directions", mean[None][:0])
        return cls(Subspace(mean, directions.float()), deviation, arrays.pop(f"{_PREFIX}template", None))


class _Aligner:
    """Finds how pictures lie beside a template ``[h, w]``."""

    def __init__(self, template: Tensor) -> None:
        self.places = Places(template)
        self._levels = [_Level(template, side, corrections) for side, corrections in _LEVELS]

    def pose(self, guide: Tensor) -> Similarity:
        """Of ``[B, 1, h, w]``, in the template's unit."""
        still = pose = Similarity.identity(guide)
        for level in self._levels:
            small = functional.avg_pool2d(guide, level.shrink)
            pose = level.correct(small, pose)
        finest = self._levels[-1]
        near, far = (finest.differences(small, one).abs().mean(dim=(1, 2, 3)) for one in (pose, still))
        closer = near < far
        return Similarity(
            *(torch.where(closer, getattr(pose, name), getattr(still, name)) for name in ("cos", "sin", "x", "y"))
        )

    def laid_over(self, pictures: Tensor, pose: Similarity) -> Tensor:
        return _sample(pictures, pose.grid(self.places))


@dataclass(frozen=True)
class Fitted:
    """What good parts have in common.

    Attributes:
        reference: Of all of them.
        apart: What a network is to be trained by on the same parts.
        explained: The share of what good parts that are left out differ by from place to place that the others
            explain, of those channels that light is taken out of: 1 where all are alike, 0 or less where they have
            nothing in common.
    """

    reference: Reference
    apart: Apart
    explained: float


@torch.inference_mode()
def fit_reference(
    train: "ImageSet", look: Callable[[Tensor], Tensor], progress: Progress = silent, lie_as: Reference | None = None
) -> Fitted:
    """Lay up to 160 good parts over each other, and take their subspace and how far parts are from it.

    Starting from the mean of how rough the pictures are as they lie, each round lays them over the mean of the round
    before (Learned-Miller, 2006, calls it congealing). The deviation is that of parts that are left out in turn,
    ``settled`` as in ``learning.detectors.placewise``.

    Args:
        train: Good parts.
        look: From images ``[B, C, h, w]`` to what a network sees of them, ``[B, 2C, h, w]``.
        progress: Told how far it is.
        lie_as: A reference of such parts, over which they are laid instead.
    """
    first = look(train.batch([0]))
    most = min(_MOST_IMAGES, max(_FEWEST_IMAGES, _MOST_VALUES // first.numel()), len(train))
    chosen = np.unique(np.linspace(0, len(train) - 1, most).round().astype(int)).tolist()
    batches = [chosen[i : i + _BATCH] for i in range(0, len(chosen), _BATCH)]
    template = None if lie_as is None else lie_as.template
    rounds = _ROUNDS + 1 if template is None else 0

    def laid(done: int, of: Callable[[Tensor], Tensor]) -> Iterator[Tensor]:
        aligner = None if template is None else _Aligner(template)
        for i, indices in enumerate(batches):
            progress(done * len(batches) + i, (rounds + 1) * len(batches), "laying good parts over each other")
            seen = look(train.batch(indices))
            yield of(seen) if aligner is None else aligner.laid_over(of(seen), aligner.pose(roughness(seen)))

    for done in range(rounds):
        template = sum((one.double().sum(dim=0)[0] for one in laid(done, roughness)), start=torch.zeros(()))
        template = (template / len(chosen)).float()
    assert template is not None
    parts, row = torch.empty(len(chosen), *first.shape[1:]), 0
    for some in laid(rounds, lambda seen: seen):
        parts[row : row + len(some)] = some
        row += len(some)
    own = float(parts[:, parts.shape[1] // 2 :].var(dim=(-2, -1), correction=0).mean())
    groups = train.groups
    usual, subspaces, folds, squares = fit_subspace(parts, [groups[i] for i in chosen])
    known = torch.full((len(train),), -1)
    known[chosen] = folds
    # All channels are in the same unit. Where good parts are all but alike, noise alone would stand out.
    deviation = settled(squares, len(chosen), over=(-3, -2, -1))
    deviation = (deviation + _STEADIEST * squares.median()).clamp_min(_LEAST).sqrt()
    device = str(template.device)
    reference = Reference(usual.to(device), deviation.to(device), template)
    apart = Apart([one.to(device) for one in subspaces], known if subspaces else torch.full_like(known, -1))
    explained = 1 - float(squares[len(squares) // 2 :].mean()) / own if subspaces and own >= _LEAST else 0.0
    return Fitted(reference, apart, explained)


def is_explained(share: float) -> bool:
    """Whether parts have so much in common that what is unusual for a place means something."""
    return share >= _LEAST_EXPLAINED


def _guide(pictures: Tensor) -> Tensor:
    """The channels that pictures are laid over each other by, as one: ``[B, 2C, h, w]`` to ``[B, 1, h, w]``."""
    return pictures[:, pictures.shape[1] // 2 :].mean(dim=1, keepdim=True)


def _sample(planes: Tensor, grid: Tensor) -> Tensor:
    return functional.grid_sample(planes, grid, mode="bilinear", padding_mode="border", align_corners=False)
