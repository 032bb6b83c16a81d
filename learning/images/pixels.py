"""Pixels from files: 8 and 16 bit, grey and colour, upright, or a clear error."""

from pathlib import Path

from torch import Tensor

from learning.errors import DataError
from synth import pictures
from synth.errors import SynthError
from synth.families.base import SMALLEST_SIDE
from synth.pictures import Pixels, to_tensor

__all__ = ["EXTENSIONS", "Pixels", "check_mask_size", "is_image", "read_image", "read_mask", "read_pixels", "to_tensor"]

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
"""Files that count as images; in capitals too."""


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
        DataError: If the file is missing, damaged, not such an image, or too small.
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
    if size is not None:
        _refuse_other_size(path, (image.shape[-2], image.shape[-1]), size)
    lossy = path.suffix.lower() in (".jpg", ".jpeg")
    return image.amax(dim=0) > (0.5 if lossy else 0.0)


def check_mask_size(mask: Path, image: Path) -> None:
    """Refuse a mask of another size than its image's, by the heads of both files; quick.

    Raises:
        DataError: If the sizes differ, or the mask is missing or damaged. An image that is says so when it is read.
    """
    try:
        size = pictures.size_of(image)
    except SynthError:
        return
    try:
        found = pictures.size_of(mask)
    except SynthError as error:
        raise DataError(str(error)) from error
    _refuse_other_size(mask, found, size)


def _refuse_other_size(mask: Path, found: tuple[int, int], size: tuple[int, int]) -> None:
    if found != size:
        msg = (
            f"mask {mask} is {found[1]} × {found[0]} pixels, but its image is {size[1]} × {size[0]}; they must be equal"
        )
        raise DataError(msg)


def read_pixels(path: Path) -> Pixels:
    """Read an image as it is stored: ``[H, W]`` or ``[H, W, 3]``, uint8 or uint16.

    Raises:
        DataError: If the file is missing, damaged, not an image that this can read, or too small to show anything.
    """
    try:
        pixels = pictures.read_pixels(path)
    except SynthError as error:
        raise DataError(str(error)) from error
    if min(pixels.shape[:2]) < SMALLEST_SIDE:
        msg = (
            f"image {path} has {pixels.shape[1]} × {pixels.shape[0]} pixels; "
            f"at least {SMALLEST_SIDE} × {SMALLEST_SIDE} are needed"
        )
        raise DataError(msg)
    return pixels
