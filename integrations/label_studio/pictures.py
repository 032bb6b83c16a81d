"""Pictures of an ask, in the folder that the server shows."""

from __future__ import annotations

import os
import shutil
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from learning.errors import DataError
from synth.errors import SynthError

_BROWSER_FORMATS = {"PNG": {"L", "P", "RGB", "RGBA"}, "JPEG": {"L", "RGB"}, "WEBP": {"RGB", "RGBA"}}
"""Formats and modes that browsers show as they are; the rest is rewritten as 8-bit PNG."""

_OUTLINE = (230, 25, 75)
_QUALITY = 90
"""Of what is drawn; the part itself is shown without loss."""


@dataclass(frozen=True)
class Pictures:
    """Pictures of one ask.

    Attributes:
        image: The part as it was taken.
        overlay: The same with its anomaly map; the part alone where there is none.
        anomaly_map: ``[H, W]``, 0 to 255, of the image's size; None where there is none.
    """

    image: Path
    overlay: Path
    anomaly_map: NDArray[np.uint8] | None


def write_pictures(folder: Path, ask_id: str, image: Path, map_path: Path | None) -> Pictures:
    """Put the pictures of an ask into the served folder; those that are there already are written again.

    Args:
        folder: Below the served root.
        ask_id: Their name.
        image: The part.
        map_path: 8-bit grey PNG, if there is one.

    Raises:
        DataError: If the image or its map cannot be read.
    """
    pixels = _eight_bit(image)
    shown = _show(folder, ask_id, image, pixels)
    if map_path is None:
        return Pictures(shown, shown, None)
    anomaly_map = read_map(map_path, pixels.shape[:2])
    over = folder / f"{ask_id}-map.jpg"
    _save(overlay(pixels, anomaly_map), over)
    return Pictures(shown, over, anomaly_map)


def write_reference(folder: Path, image_id: str, image: Path, mask: Path | None = None) -> Path:
    """Put a picture for comparison into the served folder, once for all tasks that show it.

    Args:
        folder: Below the served root.
        image_id: Its name.
        image: The part.
        mask: Of a confirmed defect, which is outlined.

    Raises:
        DataError: If a file cannot be read.
    """
    pixels = _eight_bit(image)
    if mask is None:
        return _show(folder, f"ref-{image_id}", image, pixels)
    confirmed = read_map(mask, pixels.shape[:2]) > 127
    # Outside of what is outlined, so that nothing of the defect is covered.
    width = max(1, round(max(confirmed.shape) / 250))
    line = ndimage.binary_dilation(confirmed, iterations=2 * width) & ~ndimage.binary_dilation(
        confirmed, iterations=width
    )
    colour = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels.copy()
    colour[line] = _OUTLINE
    path = folder / f"ref-{image_id}-outlined.jpg"
    _save(Image.fromarray(colour), path)
    return path


def write_placeholder(folder: Path) -> Path:
    """Put an empty picture into the served folder, for tasks that have nothing to compare with."""
    path = folder / "ref-none.png"
    if not path.exists():
        _save(Image.new("L", (160, 120), 225), path)
    return path


def overlay(pixels: NDArray[np.uint8], anomaly_map: NDArray[np.uint8]) -> Image.Image:
    """Lay an anomaly map over a part, so that the part stays visible where the map is low.

    Args:
        pixels: ``[H, W, 1 or 3]``, 0 to 255.
        anomaly_map: ``[H, W]``, 0 to 255.

    Returns:
        A picture of mode RGBX, ready for JPEG.
    """
    grey = pixels[..., 0] if pixels.shape[2] == 1 else cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    places = grey.astype(np.uint16) << 8 | anomaly_map
    # Whole pixels are looked up, four bytes each: three at a time take four times as long.
    drawn = np.take(_blended(), places)
    return Image.frombuffer("RGBX", (grey.shape[1], grey.shape[0]), drawn.tobytes(), "raw", "RGBX", 0, 1)


@cache
def _blended() -> NDArray[np.uint32]:
    """What each grey becomes under each value of a map, ``[65536]`` pixels of four bytes: not worked out each time."""
    levels = np.arange(256)
    heat = cv2.applyColorMap(levels.astype(np.uint8)[None], cv2.COLORMAP_TURBO)[..., ::-1]
    weight = 0.7 * (levels / 255)[None, :, None]
    mixed = (levels[:, None, None] * (1 - weight) + heat * weight).round().clip(0, 255).astype(np.uint8)
    return np.pad(mixed.reshape(-1, 3), ((0, 0), (0, 1))).view(np.uint32).ravel()


def _eight_bit(image: Path) -> NDArray[np.uint8]:
    """``[H, W, 1 or 3]``, 0 to 255 of the file's own range."""
    from learning.images.pixels import read_pixels  # brings torch along

    try:
        pixels = read_pixels(image)
    except SynthError as error:
        raise DataError(str(error)) from error
    if pixels.dtype == np.uint16:
        pixels = (pixels.astype(np.float32) / 257).round().astype(np.uint8)
    return np.asarray(pixels[..., None] if pixels.ndim == 2 else pixels, dtype=np.uint8)


def _show(folder: Path, name: str, image: Path, pixels: NDArray[np.uint8]) -> Path:
    """As it is where browsers can show it, else as 8-bit PNG."""
    if _browser_shows(image):
        shown = folder / f"{name}{image.suffix.lower()}"
        link(image, shown)
    else:
        shown = folder / f"{name}.png"
        _save(Image.fromarray(pixels.squeeze(axis=2) if pixels.shape[2] == 1 else pixels), shown)
    return shown


def _browser_shows(image: Path) -> bool:
    with Image.open(image) as opened:
        return opened.mode in _BROWSER_FORMATS.get(opened.format or "", set()) and image.suffix != ""


def read_map(path: Path, size: tuple[int, ...]) -> NDArray[np.uint8]:
    """Read an anomaly map at the size ``(H, W)`` of its image, 0 to 255.

    Raises:
        DataError: If it cannot be read.
    """
    try:
        with Image.open(path) as opened:
            grey = opened.convert("L")
            height, width = size
            if grey.size != (width, height):
                grey = grey.resize((width, height), Image.Resampling.BILINEAR)
            return np.asarray(grey)
    except OSError as error:
        msg = f"{path} is not readable as an anomaly map; score the images again with --maps"
        raise DataError(msg) from error


def link(source: Path, target: Path) -> None:
    """Hard-link where the file system allows it, else copy."""
    fresh = _fresh(target)
    fresh.unlink(missing_ok=True)
    try:
        os.link(source.resolve(), fresh)
    except OSError:
        shutil.copyfile(source, fresh)
    fresh.replace(target)
    fresh.unlink(missing_ok=True)  # renaming one link of a file onto another leaves both


def _fresh(target: Path) -> Path:
    """A name that no other process or thread writes to."""
    return target.with_name(f".{target.name}.{os.getpid()}.{threading.get_ident()}")


def _save(picture: Image.Image, target: Path) -> None:
    fresh = _fresh(target)
    if target.suffix == ".jpg":
        picture.save(fresh, format="JPEG", quality=_QUALITY)
    else:
        picture.save(fresh, format="PNG", compress_level=1)
    fresh.replace(target)
