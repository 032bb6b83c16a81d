"""What is done to every image before a detector sees it; the bundle keeps it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional

from learning.errors import DataError
from learning.images.frames import Frame, cut, put_back
from learning.images.pixels import read_pixels
from learning.images.pose import PROFILE, Box, Extent, Part, bounding_box, find_part, main_axis, points_forward

_LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey (ITU-R BT.601)."""

_LOOKED_AT = 16

_NEARLY_SQUARE = 0.1
"""Logarithm of a proportion up to which pictures are stretched to a square."""

_LONGEST = 4.0
"""Longer pictures are stretched to this proportion; more would leave too few pixels across."""

_MULTIPLE = 16
"""Sides are multiples of it, so that networks halve them without a rest."""


class PartView(BaseModel):
    """How a part is cut out of its picture.

    Attributes:
        turn: Whether the part is turned so that its main axis lies along the crop's first side.
        reach: Width of the crop, as a share of the square root of the picture's area: pictures of one camera at
            another resolution give the same crop, and parts keep their relative sizes.
        length: That good parts usually have, in square roots of the picture's area; None where it is not known.
        breadth: That good parts usually have, in the same unit.
        profile: Of good parts along their axis, by which their ends are told apart; None is by their moments.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    turn: bool
    reach: float = Field(gt=0, le=8)
    length: float | None = Field(default=None, gt=0, le=8)
    breadth: float | None = Field(default=None, gt=0, le=8)
    profile: tuple[float, ...] | None = Field(default=None, min_length=PROFILE, max_length=PROFILE)

    @property
    def usual(self) -> Extent | None:
        """How large good parts are."""
        if self.length is None or self.breadth is None:
            return None
        return Extent(self.length, self.breadth, self.turn)

    def box(self, part: Part) -> Box:
        """The box around a part; where parts are turned it starts at the same end of all."""
        box = bounding_box(part, main_axis(part).angle if self.turn else 0.0)
        if self.profile is None or points_forward(part.profile(box), np.array(self.profile)):
            return box
        return bounding_box(part, box.angle + math.pi)


@dataclass(frozen=True)
class View:
    """What a detector sees of a picture.

    Attributes:
        image: ``[channels, height, width]`` float32, 0..1.
        frame: Where in the picture it lies; None where it is the picture as a whole, its sides brought to the size.
        part_found: False where a part should have been cut out and none was found.
    """

    image: Tensor
    frame: Frame | None
    part_found: bool

    def to_picture(self, values: Tensor, size: tuple[int, int]) -> NDArray[np.float32]:
        """Bring a map ``[height, width]`` to the picture's height and width."""
        if self.frame is not None:
            return put_back(values.numpy(), self.frame, size)
        resized: NDArray[np.float32] = functional.interpolate(
            values[None, None], size, mode="bilinear", align_corners=False
        )[0, 0].numpy()
        return resized

    def from_picture(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Bring a mask ``[H, W]`` of the picture to what the detector sees, ``[height, width]``.

        A pixel is set where the mask covers half of it; a mask too small for that sets the pixel it covers most of.
        """
        plane = torch.from_numpy(mask.astype(np.float32))[None]
        share = _stretch(plane, self.image.shape[-2:]) if self.frame is None else cut(plane, self.frame)
        most = float(share.max())
        return np.asarray(share[0].numpy() >= min(0.5, most)) if most > 0 else np.zeros(share.shape[1:], dtype=bool)


class Preprocessing(BaseModel):
    """Bring every image to one size and one number of channels.

    Attributes:
        channels: 1 for grey, 3 for colour.
        height: In pixels.
        width: In pixels.
        depth: Bits to which the values are rounded, so that an image cached as integers is the same as one read anew.
        part: How the part is cut out; None where pictures are taken whole.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    channels: Literal[1, 3]
    height: int = Field(ge=8, le=4096)
    width: int = Field(ge=8, le=4096)
    depth: Literal[8, 16] = 8
    part: PartView | None = None

    @classmethod
    def for_images(cls, paths: Sequence[Path], size: int) -> Self:
        """Choose channels, depth and shape by looking at up to 16 of the images, evenly spaced; they are taken whole.

        Args:
            paths: The images to train on.
            size: Square root of the number of pixels that they are brought to, about; their usual proportion is kept.

        Raises:
            DataError: If there are no images, or one that is looked at cannot be read.
        """
        if not paths:
            msg = "there are no images to choose the preprocessing by"
            raise DataError(msg)
        chosen = np.unique(np.linspace(0, len(paths) - 1, min(_LOOKED_AT, len(paths))).round().astype(int))
        images = [read_pixels(paths[i]) for i in chosen]
        # Cameras often store grey as three equal channels.
        colour = any(image.ndim == 3 and bool(np.ptp(image, axis=2).any()) for image in images)
        deep = any(image.dtype == np.uint16 for image in images)
        height, width = _shape(median(image.shape[0] / image.shape[1] for image in images), size)
        return cls(channels=3 if colour else 1, height=height, width=width, depth=16 if deep else 8)

    @property
    def view(self) -> Literal["whole", "part"]:
        """Whether pictures are taken whole, or the part is cut out of them."""
        return "whole" if self.part is None else "part"

    def pitch(self, size: tuple[int, int]) -> float:
        """How many pixels of a picture, along a side, one that is seen stands for.

        Args:
            size: Height and width of the picture.
        """
        root = math.sqrt(size[0] * size[1])
        return root / math.sqrt(self.height * self.width) if self.part is None else self.part.reach * root / self.width

    def apply(self, image: Tensor) -> Tensor:
        """The image of ``look``: ``[C, H, W]`` to ``[channels, height, width]``."""
        return self.look(image).image

    def look(self, image: Tensor) -> View:
        """Bring ``[C, H, W]``, 0..1, C being 1 or 3, to ``[channels, height, width]``, float32, 0..1.

        Resizing has antialiasing, as fine defects must not depend on where the pixels fall. Where no part is found the
        whole picture is taken, its sides in their proportion.
        """
        image = self._in_channels(image)
        if self.part is None:
            return View(self._rounded(_stretch(image, (self.height, self.width))), None, True)
        found = find_part(image, self.part.usual if self.part else None)
        frame = self._frame(found, (image.shape[-2], image.shape[-1]))
        return View(self._rounded(cut(image, frame)), frame, found is not None)

    def outline(self, image: Tensor) -> Tensor:
        """Where the part is in what ``look`` gives: ``[height, width]`` bool; everywhere where none is found."""
        image = self._in_channels(image)
        found = find_part(image, self.part.usual if self.part else None)
        if found is None:
            return torch.ones(self.height, self.width, dtype=torch.bool)
        size = (image.shape[-2], image.shape[-1])
        mask = torch.from_numpy(found.mask.astype(np.float32))[None]
        if self.part is None:
            return _stretch(mask, (self.height, self.width))[0] >= 0.5
        return cut(_stretch(mask, size), self._frame(found, size))[0] >= 0.5

    def _frame(self, part: Part | None, size: tuple[int, int]) -> Frame:
        """Where the crop lies in a picture of a height and width."""
        assert self.part is not None
        if part is None:
            pitch = max(size[0] / self.height, size[1] / self.width)
            return Frame(size[1] / 2, size[0] / 2, 0.0, pitch, self.height, self.width)
        box = self.part.box(part)
        # Nothing of a part that is larger than the good ones is cut off.
        pitch = max(self.pitch(size), box.length / self.width, box.breadth / self.height)
        return Frame(box.x, box.y, box.angle, pitch, self.height, self.width)

    def _in_channels(self, image: Tensor) -> Tensor:
        if image.shape[0] <= self.channels:
            return image
        return (image * image.new_tensor(_LUMA)[:, None, None]).sum(dim=0, keepdim=True)

    def _rounded(self, image: Tensor) -> Tensor:
        levels = 2**self.depth - 1
        return (image.clamp(0, 1) * levels).round().div(levels).expand(self.channels, -1, -1).contiguous()


def _shape(proportion: float, size: int) -> tuple[int, int]:
    """Height and width in a proportion, of about ``size`` squared pixels; multiples of 16 unless they are equal."""
    if abs(math.log(proportion)) < _NEARLY_SQUARE:
        return size, size
    kept = min(max(proportion, 1 / _LONGEST), _LONGEST)
    height, width = (
        max(_MULTIPLE, round(size * side / _MULTIPLE) * _MULTIPLE) for side in (math.sqrt(kept), 1 / math.sqrt(kept))
    )
    return height, width


def _stretch(image: Tensor, size: Sequence[int]) -> Tensor:
    if tuple(image.shape[-2:]) == tuple(size):
        return image
    return functional.interpolate(image[None], tuple(size), mode="bilinear", antialias=True)[0]
