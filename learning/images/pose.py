"""Where the part lies in a picture: its outline, its main axis and the box around it.

The outline is that of ``synth.foreground``, grown by hysteresis (Canny, "A computational approach to edge detection",
1986): the threshold that parts bright metal from a belt cuts its shaded side off.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from synth.foreground import MEDIAN_OF_NORMAL, background_distance, foreground, rim
from synth.masks import box_blur

_SIDE = 160
"""Pictures are reduced to about this many pixels squared to find the part: its outline is smooth, noise is not."""

_NOISE = 0.995
"""Quantile of the border's distance from its own colour, beyond which a pixel that touches the part belongs to it."""

_LEAST_DISTANCE = 0.02
_SIGMAS = (3.0, 4.0, 5.5, 7.5, 10.0, 14.0, 20.0)
"""Thresholds that are tried, in standard deviations of the background."""

_FITS, _FITS_BARELY = 0.12, 0.3
"""Misfits that are as good parts have, and that are still taken for the part."""

PROFILE = 16
"""Places along a part at which its profile is taken."""

_BREADTH = 0.65
"""Of a box, on each side of its middle, that counts in the profile."""

_ROUNDS = 3
_LEAST_UNEVEN = 0.3
"""Profiles that differ from their reverse by less than this of their length do not tell the ends of a part apart."""

_LARGEST_GROWTH = 4.0
"""A part that grows by more has flowed into its background, and is taken as it was found."""


@dataclass(frozen=True)
class Part:
    """A part in a picture; lengths are in pixels of that picture.

    Attributes:
        mask: ``[h, w]`` bool, the part in a reduced picture.
        distance: ``[h, w]``, how far each of its pixels is from the background.
        reduction: Sides of a pixel of ``mask``, (x, y), in pixels of the picture.
    """

    mask: NDArray[np.bool_]
    distance: NDArray[np.float32]
    reduction: tuple[float, float]

    def points(self) -> NDArray[np.float64]:
        """``[N, 2]`` x and y of the centres of the part's pixels, the picture's corner being (0, 0)."""
        return self._places(self.mask)

    def profile(self, box: "Box") -> NDArray[np.float64]:
        """How much stands out from the background along a box around the part, ``[16]`` from its start to its end.

        The mask does not count: where it misses the shaded side of a head, the head still is broader than the shank.
        """
        offset = self._places(np.ones_like(self.mask)) - np.array([box.x, box.y])
        cosine, sine = math.cos(box.angle), math.sin(box.angle)
        along = (offset @ np.array([cosine, sine])) / box.length + 0.5
        across = np.abs(offset @ np.array([-sine, cosine])) / box.breadth
        weights = self.distance.ravel() * (across < _BREADTH)
        return np.histogram(along, bins=PROFILE, range=(0, 1), weights=weights)[0]

    def _places(self, where: NDArray[np.bool_]) -> NDArray[np.float64]:
        rows, columns = np.nonzero(where)
        places: NDArray[np.float64] = (np.stack([columns, rows], axis=1) + 0.5) * np.array(self.reduction)
        return places


@dataclass(frozen=True)
class Axis:
    """The main axis of a shape, from its moments.

    Attributes:
        angle: Of the axis to the picture's rows, in radians, in -pi..pi; it points to the slender end.
        elongation: Standard deviation of the shape along the axis, by that across; 1 for a disc.
        skewness: Third standardised moment along the axis, not negative; about 0 where both ends are alike.
    """

    angle: float
    elongation: float
    skewness: float


@dataclass(frozen=True)
class Box:
    """A rectangle at an angle; lengths in pixels of the picture.

    Attributes:
        x: Of its centre, the picture's corner being (0, 0).
        y: Of its centre.
        angle: Of its first side to the picture's rows, in radians.
        length: Of its first side.
        breadth: Of its second side.
    """

    x: float
    y: float
    angle: float
    length: float
    breadth: float


@dataclass(frozen=True)
class Extent:
    """How large good parts are, by which a part is told from a stain on its background.

    Attributes:
        length: Of the box around a part, in square roots of the picture's area.
        breadth: Of the box, in the same unit.
        turn: Whether the box lies along the part's main axis, or along the picture's rows.
    """

    length: float
    breadth: float
    turn: bool

    def misfit(self, part: Part, size: tuple[int, int]) -> float:
        """How far a part in a picture of a height and width is from this: the greater of two log ratios."""
        box = bounding_box(part, main_axis(part).angle if self.turn else 0.0)
        root = math.sqrt(size[0] * size[1])
        return max(abs(math.log(box.length / root / self.length)), abs(math.log(box.breadth / root / self.breadth)))


def points_forward(profile: NDArray[np.float64], usual: NDArray[np.float64]) -> bool:
    """Whether a profile is more like the usual one than it is reversed."""
    return float(profile @ usual) >= float(profile[::-1] @ usual)


def usual_profile(profiles: Sequence[NDArray[np.float64]]) -> NDArray[np.float64] | None:
    """The profile of good parts, ``[16]`` with mean 0 and length 1; None where both ends of them are alike.

    Args:
        profiles: Of boxes that point to the slender end, most of them rightly.
    """
    table = np.stack(profiles)
    table = table / table.sum(axis=1, keepdims=True)
    for _ in range(_ROUNDS):
        usual = np.median(table, axis=0) - np.median(table)
        backward = [not points_forward(row, usual) for row in table]
        table[backward] = table[backward, ::-1]
    length = float(np.linalg.norm(usual))
    uneven = np.linalg.norm(usual - usual[::-1]) / max(length, 1e-12)
    return usual / length if length > 0 and uneven > _LEAST_UNEVEN else None


def find_part(image: Tensor, usual: Extent | None = None) -> Part | None:
    """Find the part in a picture ``[C, H, W]``, 0..1; None where none can be told from its background.

    Backgrounds have stains and blotches that one threshold takes for the part, or that hide it. Where it is known how
    large parts are, other thresholds are tried when the first gives something else, and the one that fits best counts.
    """
    size = (image.shape[-2], image.shape[-1])
    small = _reduce(image)
    reduction = (size[1] / small.shape[-1], size[0] / small.shape[-2])
    masks, trust = foreground(small)
    distance = background_distance(small[0].numpy())
    first = Part(_grown(small, masks[0, 0].numpy() > 0), distance, reduction) if float(trust[0]) > 0 else None
    if usual is None or (first is not None and usual.misfit(first, size) < _FITS):
        return first
    found = list(_candidates(distance))
    # As they are, and with their shaded sides, as the first has them; these may flow into stains.
    others = [Part(mask, distance, reduction) for mask in (*found, *(_grown(small, mask) for mask in found))]
    best = min(others, key=lambda part: usual.misfit(part, size), default=None)
    return first if best is None or usual.misfit(best, size) > _FITS_BARELY else best


def _candidates(distance: NDArray[np.float32]) -> Iterator[NDArray[np.bool_]]:
    """What stands out most from the background, by distances ``[h, w]`` from it, at several thresholds."""
    noise = float(np.median(rim(distance))) / MEDIAN_OF_NORMAL
    for sigmas in _SIGMAS:
        far = distance > max(_LEAST_DISTANCE, sigmas * noise)
        pieces, number = ndimage.label(ndimage.binary_opening(ndimage.binary_fill_holes(far)))
        if number:
            weights = ndimage.sum_labels(distance, pieces, np.arange(1, number + 1))
            yield pieces == 1 + int(np.argmax(weights))


def main_axis(part: Part) -> Axis:
    """The axis of the largest second moment, its direction by the third moment along it."""
    points = part.points()
    centred = points - points.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(centred) + 1e-9 * np.eye(2))
    along = vectors[:, 1]
    skewness = float(((centred @ along) ** 3).mean() / values[1] ** 1.5)
    if skewness < 0:
        along = -along
    return Axis(math.atan2(along[1], along[0]), math.sqrt(values[1] / values[0]), abs(skewness))


def bounding_box(part: Part, angle: float) -> Box:
    """The smallest box around a part whose first side lies at an angle."""
    points = part.points()
    axes = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    placed = points @ axes.T
    low, high = placed.min(axis=0), placed.max(axis=0)
    x, y = (low + high) / 2 @ axes
    pixel = max(part.reduction)
    return Box(float(x), float(y), angle, float(high[0] - low[0]) + pixel, float(high[1] - low[1]) + pixel)


def _reduce(image: Tensor) -> Tensor:
    """``[1, 1 or 3, h, w]`` of about ``_SIDE`` pixels squared, averaged over areas."""
    height, width = image.shape[-2:]
    factor = math.sqrt(height * width) / _SIDE
    if factor <= 1:
        return image[None]
    size = (max(8, round(width / factor)), max(8, round(height / factor)))
    planes = [cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in image.numpy()]
    # Sums of the areas exceed 1 by a rounding error where a picture is saturated.
    return torch.from_numpy(np.stack(planes))[None].clamp(0, 1)


def _grown(image: Tensor, core: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The part with all that touches it and differs from the border by more than the border's own noise."""
    side = min(image.shape[-2:])
    rim = max(2, side // 25)
    ring = torch.ones(image.shape[-2:], dtype=torch.bool)
    ring[rim:-rim, rim:-rim] = False
    colour = image[:, :, ring].median(dim=2).values[:, :, None, None]
    distance = box_blur((image - colour).abs().amax(dim=1, keepdim=True), max(1, side // 128))[0, 0]
    outside = distance[ring & ~torch.from_numpy(core)]
    if not len(outside):
        return core
    far = (distance > max(_LEAST_DISTANCE, 1.15 * float(outside.quantile(_NOISE)))).numpy()
    labels, _ = ndimage.label(far)
    touching = np.setdiff1d(np.unique(labels[core]), [0])
    grown = ndimage.binary_opening(ndimage.binary_fill_holes(np.isin(labels, touching))) | core
    return core if grown.sum() > _LARGEST_GROWTH * core.sum() else np.asarray(grown)
