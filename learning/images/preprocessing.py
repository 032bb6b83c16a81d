"""What is done to every image before a detector sees it; the bundle keeps it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional

from learning.errors import DataError
from learning.images.pixels import read_pixels

_LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey (ITU-R BT.601)."""

_LOOKED_AT = 16


class Preprocessing(BaseModel):
    """Bring every image to one size and one number of channels.

    Attributes:
        channels: 1 for grey, 3 for colour.
        height: In pixels.
        width: In pixels.
        depth: Bits to which the values are rounded, so that an image cached as integers is the same as one read anew.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    channels: Literal[1, 3]
    height: int = Field(ge=8, le=4096)
    width: int = Field(ge=8, le=4096)
    depth: Literal[8, 16] = 8

    @classmethod
    def for_images(cls, paths: Sequence[Path], size: int) -> Self:
        """Choose channels and depth by looking at up to 16 of the images, evenly spaced.

        Args:
            paths: The images to train on.
            size: Height and width to bring them to.

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
        return cls(channels=3 if colour else 1, height=size, width=size, depth=16 if deep else 8)

    def apply(self, image: Tensor) -> Tensor:
        """Bring ``[C, H, W]``, 0..1, C being 1 or 3, to ``[channels, height, width]``, float32, 0..1.

        Resizing is bilinear with antialiasing, as fine defects must not depend on where the pixels fall.
        """
        if image.shape[0] > self.channels:
            image = (image * image.new_tensor(_LUMA)[:, None, None]).sum(dim=0, keepdim=True)
        size = (self.height, self.width)
        if tuple(image.shape[-2:]) != size:
            image = functional.interpolate(image[None], size, mode="bilinear", antialias=True)[0]
        levels = 2**self.depth - 1
        return (image.clamp(0, 1) * levels).round().div(levels).expand(self.channels, -1, -1).contiguous()
