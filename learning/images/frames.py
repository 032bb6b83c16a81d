"""Crops at any angle: from a picture to what a detector sees of it, and back."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Frame:
    """Where a crop lies in its picture.

    Attributes:
        x: Of its centre, in pixels of the picture, whose corner is (0, 0).
        y: Of its centre.
        angle: Of its rows to those of the picture, in radians.
        pitch: Pixels of the picture for one of the crop.
        height: Of the crop, in its own pixels.
        width: Of the crop.
    """

    x: float
    y: float
    angle: float
    pitch: float
    height: int
    width: int

    def to_picture(self) -> NDArray[np.float64]:
        """``[2, 3]``: from the crop's (x, y, 1) to the picture's (x, y), pixel centres being whole numbers."""
        cosine, sine = self.pitch * math.cos(self.angle), self.pitch * math.sin(self.angle)
        turn = np.array([[cosine, -sine], [sine, cosine]])
        middle = np.array([(self.width - 1) / 2, (self.height - 1) / 2])
        offset = np.array([self.x - 0.5, self.y - 0.5]) - turn @ middle
        return np.concatenate([turn, offset[:, None]], axis=1)


def cut(image: Tensor, frame: Frame) -> Tensor:
    """Cut a crop out of a picture, sampling its pixels once, without aliasing.

    Args:
        image: ``[C, H, W]`` float32.
        frame: Where; outside of the picture its border goes on.

    Returns:
        ``[C, height, width]``.
    """
    pixels = np.ascontiguousarray(image.numpy().transpose(1, 2, 0))
    matrix = frame.to_picture()
    pixels, matrix = _window(pixels, matrix, frame)
    # Whole pixels are averaged first, as a picture of many megapixels is quickest reduced that way.
    whole = max(1, math.floor(frame.pitch))
    if whole > 1:
        height, width = pixels.shape[:2]
        pixels = cv2.copyMakeBorder(pixels, 0, -height % whole, 0, -width % whole, cv2.BORDER_REPLICATE)
        reduced = (pixels.shape[1] // whole, pixels.shape[0] // whole)
        pixels = cv2.resize(pixels, reduced, interpolation=cv2.INTER_AREA).astype(np.float32, copy=False)
        matrix = matrix / whole
        matrix[:, 2] += 0.5 / whole - 0.5
    left = frame.pitch / whole
    if left > 1:
        # What is left of the reduction; a Gaussian as wide as a pixel of the crop takes out what that cannot hold.
        sigma = 0.5 * math.sqrt(left**2 - 1) + 1e-3
        pixels = cv2.GaussianBlur(pixels, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE).astype(np.float32, copy=False)
    size = (frame.width, frame.height)
    warped = cv2.warpAffine(
        pixels, matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
    )
    planes = warped[None] if warped.ndim == 2 else warped.transpose(2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(planes, dtype=np.float32))


def put_back(values: NDArray[np.float32], frame: Frame, size: tuple[int, int]) -> NDArray[np.float32]:
    """Bring a map of a crop to its picture.

    Args:
        values: ``[height, width]`` of the crop.
        frame: Where it was cut.
        size: Height and width of the picture.

    Returns:
        ``[H, W]``; the lowest value of the map where the crop does not reach.
    """
    turned = cv2.warpAffine(
        np.ascontiguousarray(values, dtype=np.float32),
        frame.to_picture(),
        (size[1], size[0]),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=float(values.min()),
    )
    return np.asarray(turned, dtype=np.float32)


def _window(
    pixels: NDArray[np.float32], matrix: NDArray[np.float64], frame: Frame
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """The upright rectangle of the picture that a crop needs, so that what is far away costs nothing."""
    corners = np.array([[0, 0, 1], [frame.width, 0, 1], [0, frame.height, 1], [frame.width, frame.height, 1]])
    reached = corners @ matrix.T
    margin = 3 * frame.pitch + 2
    height, width = pixels.shape[:2]
    low = np.floor(np.clip(reached.min(axis=0) - margin, 0, [width - 1, height - 1])).astype(int)
    high = np.ceil(np.clip(reached.max(axis=0) + margin, low + 1, [width, height])).astype(int)
    moved = matrix.copy()
    moved[:, 2] -= low
    return pixels[low[1] : high[1], low[0] : high[0]], moved
