"""What is measured of each picture: a few numbers and a signature, in one look at its pixels."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from curation.quality.places import describe_places
from learning.images.pixels import Pixels, read_pixels

VERSION = 2
"""Raised when a measurement changes its meaning, so that cached ones are made again."""

NUMBERS = (
    *("width", "height", "channels", "depth"),
    *("mean", "contrast", "lowest", "highest", "clipped_dark", "clipped_bright"),
    *("fine", "sharpness", "darkest_spot", "brightest_spot"),
)
"""Names of the numbers, in the order in which they are kept."""

_SIDE, _KEPT = 64, 16
SIGNATURE = _KEPT * _KEPT - 1
"""Length of a signature."""

_SPOT_SIDE = 128
_CLIPPED = 0.01
_QUANTISED = 1e-7
"""Keeps the logarithm of an empty band finite; far below what 8 bits resolve."""

_ROUNDED = 2e-5
"""Length of the low frequencies below which they are rounding, of which 64 x 64 equal pixels have up to 6e-6."""


@dataclass(frozen=True)
class Measured:
    """One picture in numbers.

    Attributes:
        numbers: ``[len(NUMBERS)]`` float32. Mean, contrast (standard deviation), lowest and highest in 0..1 of the
            depth's range; ``clipped_*`` shares of the pixels that lie within 1 % of the picture's own span from its
            lowest or highest value (a plateau there is clipping, whatever the camera's depth); ``fine`` and
            ``sharpness`` natural logarithms of ratios of energy between neighbouring octaves; spots in standard
            deviations from the mean.
        signature: ``[SIGNATURE]`` float16, low frequencies of the picture, free of brightness and contrast.
        places: ``[PLACES]`` float16, what each place looks like.
        pixels: Checksum of size, depth and pixels: the same for the same picture in another file format.
    """

    numbers: NDArray[np.float32]
    signature: NDArray[np.float16]
    places: NDArray[np.float16]
    pixels: bytes


def measure(path: Path) -> Measured:
    """Measure a picture.

    Raises:
        DataError: If it cannot be read.
    """
    return measure_pixels(read_pixels(path))


def measure_pixels(pixels: Pixels) -> Measured:
    """Measure ``[H, W]`` or ``[H, W, 3]`` unsigned integers."""
    grey = to_grey(pixels)
    lowest, highest = float(grey.min()), float(grey.max())
    edge = _CLIPPED * (highest - lowest)
    fine, sharpness = detail(grey)
    dark, bright = _spots(grey)
    numbers = (
        *(pixels.shape[1], pixels.shape[0], 1 if pixels.ndim == 2 else 3, np.iinfo(pixels.dtype).bits),
        # Rounding leaves most pictures of one value a deviation of about 1e-8.
        *(float(grey.mean()), float(grey.std()) if highest > lowest else 0.0, lowest, highest),
        *(float((grey <= lowest + edge).mean()), float((grey >= highest - edge).mean())),
        *(fine, sharpness, dark, bright),
    )
    return Measured(np.array(numbers, dtype=np.float32), signature_of(grey), describe_places(grey), _checksum(pixels))


def detail(grey: NDArray[np.float32]) -> tuple[float, float]:
    """Logarithms of the energy of the finest octave over that of the next, and of that over the one after.

    Args:
        grey: ``[H, W]``.
    """
    smooth = [cv2.GaussianBlur(grey, (0, 0), sigma) for sigma in (1.0, 2.0, 4.0)]
    finest, middle, coarse = (
        float((a - b).var()) + _QUANTISED for a, b in zip([grey, *smooth[:2]], smooth, strict=True)
    )
    return float(np.log(finest / middle)), float(np.log(middle / coarse))


def to_grey(pixels: Pixels) -> NDArray[np.float32]:
    """``[H, W]`` float32 in 0..1 of the depth's range, the mean of the channels."""
    scale = np.float32(np.iinfo(pixels.dtype).max)
    if pixels.ndim == 3:
        return pixels.mean(axis=2, dtype=np.float32) / scale
    return pixels.astype(np.float32) / scale


def signature_of(grey: NDArray[np.float32]) -> NDArray[np.float16]:
    """The low frequencies of a picture, as in the perceptual hash of the cosine transform, but kept as numbers.

    The bits of the hash say on which side of zero each frequency lies. On parts that all lie in one place they are all
    the same; numbers can be compared with what is usual in the data set first (``near.unusual``).

    Source: C. Zauner, Implementation and benchmarking of perceptual image hash functions, 2010, section 3.2.1.

    Args:
        grey: ``[H, W]``.

    Returns:
        ``[SIGNATURE]`` float16 of length 1; zeros for a picture without contrast.
    """
    small = _resized(grey, _SIDE, _SIDE)
    wave = cv2.dct(small - small.mean())[:_KEPT, :_KEPT].ravel()[1:]
    length = float(np.linalg.norm(wave))
    return (wave / length if length > _ROUNDED else np.zeros_like(wave)).astype(np.float16)


def _spots(grey: NDArray[np.float32]) -> tuple[float, float]:
    """How far the darkest and the brightest spot lie from the mean, in standard deviations of the picture."""
    scale = _SPOT_SIDE / min(grey.shape)
    small = _resized(grey, max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    spots = cv2.GaussianBlur(small, (0, 0), 2.0)
    mean, deviation = float(spots.mean()), float(spots.std()) + 1e-6
    return (mean - float(spots.min())) / deviation, (float(spots.max()) - mean) / deviation


def _resized(grey: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    smaller = width * height < grey.size
    resized = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    return np.asarray(resized, dtype=np.float32)


def _checksum(pixels: Pixels) -> bytes:
    digest = hashlib.blake2b(f"{pixels.shape} {pixels.dtype}".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.digest()
