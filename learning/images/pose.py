"""Where the part lies in a picture: its outline, its main axis and the box around it.

The outline is that of ``synth.foreground``, grown by hysteresis (Canny, "A computational approach to edge detection",
1986): the threshold that parts bright metal from a belt cuts its shaded side off.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from synth.foreground import foreground
from synth.masks import box_blur

_SIDE = 160
"""Pictures are reduced to about this many pixels squared to find the part: its outline is smooth, noise is not."""

_NOISE = 0.995
"""Quantile of the border's distance from its own colour, beyond which a pixel that touches the part belongs to it."""

_LEAST_DISTANCE = 0.02
_LARGEST_GROWTH = 4.0
"""A part that grows by more has flowed into its background, and is taken as it was found."""


@dataclass(frozen=True)
class Part:
    """A part in a picture; lengths are in pixels of that picture.

    Attributes:
        mask: ``[h, w]`` bool, the part in a reduced picture.
        reduction: Sides of a pixel of ``mask``, (x, y), in pixels of the picture.
    """

    mask: NDArray[np.bool_]
    reduction: tuple[float, float]

    def points(self) -> NDArray[np.float64]:
        """``[N, 2]`` x and y of the centres of the part's pixels, the picture's corner being (0, 0)."""
        rows, columns = np.nonzero(self.mask)
        points: NDArray[np.float64] = (np.stack([columns, rows], axis=1) + 0.5) * np.array(self.reduction)
        return points


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


def find_part(image: Tensor) -> Part | None:
    """Find the part in a picture ``[C, H, W]``, 0..1; None where none can be told from its background."""
    height, width = image.shape[-2:]
    small = _reduce(image)
    masks, trust = foreground(small)
    if float(trust[0]) <= 0:
        return None
    return Part(_grown(small, masks[0, 0].numpy() > 0), (width / small.shape[-1], height / small.shape[-2]))


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
    return torch.from_numpy(np.stack(planes))[None]


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
