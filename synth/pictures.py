"""Reading and writing pictures at their own size and depth: 8 and 16 bit, grey and colour, upright, without loss."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn import functional

from synth.errors import SynthError

Pixels = NDArray[np.uint8] | NDArray[np.uint16]
"""``[H, W]`` or ``[H, W, 3]``."""

_BROKEN = (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, struct.error, zlib.error)
"""What Pillow's decoders raise on damaged files."""

_ORIENTATION, _LYING = 0x0112, 5
"""EXIF's tag, and the least of its values by which rows are columns."""


def read_picture(path: Path) -> Tensor:
    """Read a picture as ``[C, H, W]`` float32, 0..1 of the range of its depth; C is 1 for grey and 3 for colour.

    Raises:
        SynthError: As ``read_pixels``.
    """
    return to_tensor(read_pixels(path))


def to_tensor(pixels: Pixels) -> Tensor:
    """Turn ``[H, W]`` or ``[H, W, 3]`` unsigned integers into ``[C, H, W]`` float32, 0..1."""
    planes = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    return torch.from_numpy(planes.astype(np.float32, order="C")) / np.iinfo(pixels.dtype).max


def depth_of(pixels: Pixels) -> int:
    """Bits of a channel, 8 or 16."""
    return np.iinfo(pixels.dtype).bits


def read_pixels(path: Path) -> Pixels:
    """Read a picture as it is stored: ``[H, W]`` or ``[H, W, 3]``, uint8 or uint16.

    Args:
        path: PNG, JPEG, BMP, TIFF or WebP; grey, colour or palette. Transparency is dropped, and an orientation in
            EXIF is applied.

    Raises:
        SynthError: If the file is missing, damaged, or not an image that this can read.
    """
    # Pillow decodes: it refuses truncated files, where OpenCV fills the rest with grey and says nothing. It cuts
    # colour at 16 bit down to 8, though, so those files, once known to be whole, are decoded by OpenCV.
    try:
        with Image.open(path) as image:
            pages = getattr(image, "n_frames", 1)
            deep_colour = any(";16" in str(tile[3]) for tile in image.tile) and len(image.getbands()) > 1
            image.load()
            upright = ImageOps.exif_transpose(image)
    except FileNotFoundError as error:
        msg = f"image {path} does not exist"
        raise SynthError(msg) from error
    except (*_BROKEN, Image.DecompressionBombError) as error:
        msg = f"image {path} cannot be read ({error}); replace it or take it out"
        raise SynthError(msg) from error
    if pages > 1:
        msg = f"{path} holds several pages; save each as a file of its own"
        raise SynthError(msg)
    return _deep_colour(path) if deep_colour else _pixels(upright, path)


def check_picture(path: Path) -> tuple[int, int]:
    """Height and width, upright, of a picture that ``read_pixels`` can read, at a tenth of its cost where that is much.

    Raises:
        SynthError: As ``read_pixels``, but for the little that only decoding shows.
    """
    try:
        with Image.open(path) as image:
            odd = getattr(image, "n_frames", 1) > 1 or image.mode in ("I", "F")
            if image.format == "PNG":
                image.verify()
            else:
                image.draft(image.mode, (1, 1))
                image.load()
    except (*_BROKEN, Image.DecompressionBombError):
        odd = True
    if odd:
        # It says what is wrong, or takes what is damaged only where nobody looks.
        read_pixels(path)
    return size_of(path)


def size_of(path: Path) -> tuple[int, int]:
    """Height and width of a picture, upright, from the head of its file.

    Raises:
        SynthError: If the file is missing or damaged.
    """
    try:
        with Image.open(path) as image:
            # Of a TIFF, Pillow gives the upright size by itself.
            lying = image.format != "TIFF" and image.getexif().get(_ORIENTATION, 1) >= _LYING
            return image.size if lying else (image.height, image.width)
    except (*_BROKEN, Image.DecompressionBombError) as error:
        msg = f"image {path} cannot be read ({error}); replace it or take it out"
        raise SynthError(msg) from error


def encode(pixels: Pixels) -> bytes:
    """The bytes of a PNG that holds these pixels.

    Raises:
        SynthError: If they cannot be encoded.
    """
    done, data = cv2.imencode(".png", pixels if pixels.ndim == 2 else np.ascontiguousarray(pixels[..., ::-1]))
    if not done:
        msg = f"{pixels.shape[1]} × {pixels.shape[0]} pixels of {pixels.dtype} cannot be written as PNG"
        raise SynthError(msg)
    return data.tobytes()


def to_pixels(picture: Tensor, depth: int = 8) -> Pixels:
    """Round ``[C, H, W]``, 0..1, to integers of 8 or 16 bits, ``[H, W]`` or ``[H, W, 3]``."""
    levels = (picture * (2**depth - 1)).round().cpu().numpy().astype(np.uint16 if depth == 16 else np.uint8)
    return np.asarray(levels[0] if len(levels) == 1 else np.ascontiguousarray(levels.transpose(1, 2, 0)))


def fit_picture(picture: Tensor, channels: int, size: tuple[int, int]) -> Tensor:
    """Bring ``[C, h, w]`` to a number of channels and a size."""
    if picture.shape[0] != channels:
        picture = picture.mean(dim=0, keepdim=True) if channels == 1 else picture.expand(channels, -1, -1)
    if picture.shape[-2:] != size:
        picture = functional.interpolate(picture[None], size, mode="bilinear", antialias=True)[0].clamp(0, 1)
    return picture


def cut_to(picture: Tensor, channels: int, size: tuple[int, int]) -> Tensor:
    """Bring ``[C, h, w]`` to a number of channels and a size without scaling, so that its texture keeps its grain.

    What is larger is cut to its middle; what is smaller goes on mirrored.
    """
    for dim, length in ((-2, size[0]), (-1, size[1])):
        have = picture.shape[dim]
        places = (torch.arange(length) + (have - length) // 2) % (2 * have)
        picture = picture.index_select(dim, torch.where(places < have, places, 2 * have - 1 - places))
    return fit_picture(picture, channels, size)


def _pixels(image: Image.Image, path: Path) -> Pixels:
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)
    if image.mode == "I" and image.format == "PNG":
        return np.asarray(image).clip(0, 65535).astype(np.uint16)
    if image.mode in ("I", "F"):
        msg = f"image {path} has 32 bits a pixel; save it with 8 or 16"
        raise SynthError(msg)
    return np.asarray(image.convert("L" if image.mode in ("1", "L", "LA", "La") else "RGB"))


def _deep_colour(path: Path) -> Pixels:
    """Colour at 16 bit; unlike ``IMREAD_UNCHANGED`` these flags apply the orientation and drop transparency."""
    decoded = cv2.imdecode(np.fromfile(path, dtype=np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if decoded is None or decoded.dtype != np.uint16:
        msg = f"image {path} cannot be read as colour with 16 bits; save it as an ordinary PNG or TIFF"
        raise SynthError(msg)
    return np.ascontiguousarray(decoded[..., ::-1]).astype(np.uint16, copy=False)
