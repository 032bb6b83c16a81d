"""Pixels from files: 8 and 16 bit, grey and colour, upright, or a clear error."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from learning.errors import DataError

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
"""Files that count as images; in capitals too."""

Pixels = NDArray[np.uint8] | NDArray[np.uint16]

_BROKEN = (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, struct.error, zlib.error)
"""What Pillow's decoders raise on damaged files."""


def is_image(path: Path) -> bool:
    """Whether a file counts as an image, by its name alone."""
    return path.suffix.lower() in EXTENSIONS and not path.name.startswith(".")


def read_image(path: Path) -> Tensor:
    """Read an image.

    Args:
        path: PNG, JPEG, BMP, TIFF or WebP; 8 or 16 bit; grey, colour or palette. Transparency is dropped, and an
            orientation in EXIF is applied.

    Returns:
        ``[C, H, W]`` float32, 0..1 of the range of the file's depth; C is 1 for grey and 3 for colour.

    Raises:
        DataError: If the file is missing, damaged, or not such an image.
    """
    return to_tensor(read_pixels(path))


def read_mask(path: Path, size: tuple[int, int] | None = None) -> Tensor:
    """Read a mask; a pixel that is not black belongs to the defect.

    Args:
        path: An image file. In a JPEG, which blurs, only the brighter half of the range counts.
        size: Height and width that it must have.

    Returns:
        ``[H, W]`` bool.

    Raises:
        DataError: If the file is missing or damaged, or of another size.
    """
    image = read_image(path)
    if size is not None and tuple(image.shape[-2:]) != tuple(size):
        height, width = image.shape[-2:]
        msg = f"mask {path} is {width} × {height} pixels, but its image is {size[1]} × {size[0]}; they must be equal"
        raise DataError(msg)
    lossy = path.suffix.lower() in (".jpg", ".jpeg")
    return image.amax(dim=0) > (0.5 if lossy else 0.0)


def to_tensor(pixels: Pixels) -> Tensor:
    """Turn ``[H, W]`` or ``[H, W, 3]`` unsigned integers into ``[C, H, W]`` float32, 0..1."""
    planes = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    return torch.from_numpy(planes.astype(np.float32, order="C")) / np.iinfo(pixels.dtype).max


def read_pixels(path: Path) -> Pixels:
    """Read an image as it is stored: ``[H, W]`` or ``[H, W, 3]``, uint8 or uint16.

    Raises:
        DataError: If the file is missing, damaged, or not an image that this can read.
    """
    # Pillow decodes: it refuses truncated files, where OpenCV fills the rest with grey and says nothing. It cuts
    # colour at 16 bit down to 8, though, so those files, once known to be whole, are decoded by OpenCV.
    try:
        with Image.open(path) as image:
            if getattr(image, "n_frames", 1) > 1:
                msg = f"{path} holds several pages; save each as a file of its own"
                raise DataError(msg)
            deep_colour = any(";16" in str(tile[3]) for tile in image.tile) and len(image.getbands()) > 1
            image.load()
            upright = ImageOps.exif_transpose(image)
    except FileNotFoundError as error:
        msg = f"image {path} does not exist"
        raise DataError(msg) from error
    except (*_BROKEN, Image.DecompressionBombError) as error:
        msg = f"image {path} cannot be read ({error}); replace it or take it out"
        raise DataError(msg) from error
    return _deep_colour(path) if deep_colour else _pixels(upright, path)


def _pixels(image: Image.Image, path: Path) -> Pixels:
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)
    if image.mode == "I" and image.format == "PNG":
        return np.asarray(image).clip(0, 65535).astype(np.uint16)
    if image.mode in ("I", "F"):
        msg = f"image {path} has 32 bits a pixel; save it with 8 or 16"
        raise DataError(msg)
    return np.asarray(image.convert("L" if image.mode in ("1", "L", "LA", "La") else "RGB"))


def _deep_colour(path: Path) -> Pixels:
    """Colour at 16 bit; unlike ``IMREAD_UNCHANGED`` these flags apply the orientation and drop transparency."""
    decoded = cv2.imdecode(np.fromfile(path, dtype=np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if decoded is None or decoded.dtype != np.uint16:
        msg = f"image {path} cannot be read as colour with 16 bits; save it as an ordinary PNG or TIFF"
        raise DataError(msg)
    return np.ascontiguousarray(decoded[..., ::-1]).astype(np.uint16, copy=False)
