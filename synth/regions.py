"""Where flaws are allowed by the user's word: regions of interest and ignore regions, for all parts or a product."""

import math
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Annotated, Literal, Self

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from skimage.draw import polygon2mask
from torch import Tensor

from synth.errors import SynthError
from synth.pictures import read_pixels

Mask = NDArray[np.bool_]
"""``[H, W]``."""

Unit = Literal["fraction", "pixels"]
Coordinate = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Point = tuple[Coordinate, Coordinate]


class Shape(BaseModel):
    """One region: a box, a polygon or a mask.

    Attributes:
        box: Left, top, right and bottom.
        polygon: Corners (x, y), at least three; pixels whose centres lie inside belong to it.
        mask: An image file, white where the region is, at any resolution; brought to the size of each image, which
            has to be of the same shape. Relative to the configuration's folder.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    box: tuple[Coordinate, Coordinate, Coordinate, Coordinate] | None = None
    polygon: tuple[Point, ...] | None = Field(default=None, min_length=3)
    mask: Path | None = None

    @field_validator("box")
    @classmethod
    def _ordered(cls, box: tuple[float, float, float, float] | None) -> tuple[float, float, float, float] | None:
        if box is not None and not (box[0] < box[2] and box[1] < box[3]):
            msg = "takes left, top, right and bottom, left before right and top above bottom"
            raise ValueError(msg)
        return box

    @field_validator("mask")
    @classmethod
    def _beside_the_configuration(cls, mask: Path | None, info: ValidationInfo) -> Path | None:
        if mask is None or info.context is None:
            return mask
        file: Path = info.context["folder"] / mask
        if not file.is_file():
            msg = f"there is no file {file}; masks are looked for beside the configuration"
            raise ValueError(msg)
        return file

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if [self.box, self.polygon, self.mask].count(None) != 2:
            msg = "takes one of box, polygon and mask"
            raise ValueError(msg)
        return self

    @property
    def farthest(self) -> float:
        """The largest coordinate."""
        return max([*(self.box or ()), *(value for point in self.polygon or () for value in point)], default=0.0)


class Area(BaseModel):
    """Regions of interest less ignore regions.

    Attributes:
        include: Flaws are allowed in these only; none means everywhere.
        ignore: Flaws are never allowed in these.
        unit: Of boxes and polygons: fractions of width and height, or pixels.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    include: tuple[Shape, ...] = ()
    ignore: tuple[Shape, ...] = ()
    unit: Unit = "fraction"

    @model_validator(mode="after")
    def _fractions_are_fractions(self) -> Self:
        farthest = max((shape.farthest for shape in (*self.include, *self.ignore)), default=0.0)
        if self.unit == "fraction" and farthest > 1:
            msg = f"holds a coordinate of {farthest:g}; fractions lie in 0..1, or say unit: pixels"
            raise ValueError(msg)
        return self

    def mask(self, height: int, width: int) -> Mask | None:
        """Where flaws are allowed, ``[H, W]``; None is everywhere."""
        if not self.include and not self.ignore:
            return None
        allowed = np.full((height, width), not self.include)
        for shape in self.include:
            allowed |= _rasterise(shape, self.unit, height, width)
        for shape in self.ignore:
            allowed &= ~_rasterise(shape, self.unit, height, width)
        return allowed


class Regions(Area):
    """Where flaws are allowed, on all parts and on single products.

    Attributes:
        products: Areas by a pattern of an image's path (``*`` is anything: ``*/bracket/*``); a part that a pattern
            fits has to keep to it as well.
    """

    products: dict[str, Area] = Field(default_factory=dict)

    def allowed(self, height: int, width: int, image: PurePath | str) -> Mask | None:
        """Where flaws are allowed on an image.

        Args:
            height: Of the image.
            width: Of the image.
            image: Its path, for the products' patterns and for errors.

        Returns:
            ``[H, W]`` bool; None is everywhere.

        Raises:
            SynthError: If nothing is left, or a mask cannot be read or is of another shape than the image.
        """
        path = PurePath(image).as_posix()
        areas = [self, *(area for pattern, area in self.products.items() if fnmatch(path, pattern))]
        masks = [mask for area in areas if (mask := area.mask(height, width)) is not None]
        if not masks:
            return None
        allowed = np.logical_and.reduce(masks)
        if not allowed.any():
            msg = f"{image}: the configured regions leave none of its {width} × {height} pixels; correct them"
            raise SynthError(msg)
        return allowed


def confine(foreground: Tensor, allowed: Mask | None, image: PurePath | str) -> Tensor:
    """Keep of a part's mask what regions allow.

    Args:
        foreground: ``[1, 1, H, W]``, 0 or 1.
        allowed: ``[H, W]``, or None for everywhere.
        image: Name of the image, for the error.

    Raises:
        SynthError: If nothing is left.
    """
    if allowed is None:
        return foreground
    both = foreground * torch.from_numpy(allowed).to(foreground)
    if not both.any():
        part, regions = float(foreground.float().mean()), float(allowed.mean())
        msg = (
            f"{image}: no pixel is left for flaws: the part that was found covers {part:.0%} of the image and the "
            f"regions allow {regions:.0%}, elsewhere; correct the regions"
        )
        raise SynthError(msg)
    return both


@lru_cache(maxsize=8)
def _rasterise(shape: Shape, unit: Unit, height: int, width: int) -> Mask:
    inside: Mask = np.zeros((height, width), dtype=bool)
    scale = np.array([width, height]) if unit == "fraction" else np.ones(2)
    if shape.box is not None:
        corners = np.array(shape.box).reshape(2, 2) * scale
        # As for polygons, pixels whose centres lie inside.
        (left, top), (right, bottom) = np.ceil(corners - 0.5).astype(int)
        inside[top:bottom, left:right] = True
    elif shape.polygon is not None:
        corners = np.array(shape.polygon) * scale - 0.5
        inside = polygon2mask((height, width), corners[:, ::-1])
    elif shape.mask is not None:
        inside = _read_mask(shape.mask, height, width)
    inside.flags.writeable = False
    return inside


def _read_mask(path: Path, height: int, width: int) -> Mask:
    try:
        pixels = read_pixels(path)
    except SynthError as error:
        msg = f"a mask of the regions cannot be used: {error}"
        raise SynthError(msg) from error
    if not _same_shape(pixels.shape[:2], (height, width)):
        msg = (
            f"mask {path} has {pixels.shape[1]} × {pixels.shape[0]} pixels and cannot be laid on an image of "
            f"{width} × {height} without stretching it; make it in the image's shape, at any resolution"
        )
        raise SynthError(msg)
    grey = pixels if pixels.ndim == 2 else pixels.max(axis=2)
    scaled = cv2.resize(grey, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(scaled > np.iinfo(pixels.dtype).max // 2)


def _same_shape(mask: tuple[int, ...], image: tuple[int, int]) -> bool:
    """Whether one is the other scaled, but for rounding a side to whole pixels."""
    small, large = sorted((mask, image), key=math.prod)
    scales = [((side - 1) / whole, (side + 1) / whole) for side, whole in zip(small, large, strict=True)]
    return max(low for low, _ in scales) < min(high for _, high in scales)
