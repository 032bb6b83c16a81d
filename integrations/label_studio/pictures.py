"""Pictures of an ask, in the folder that the server shows."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from integrations.label_studio.project import ASKS_FOLDER
from learning.errors import DataError

_BROWSER_FORMATS = {"PNG": {"L", "P", "RGB", "RGBA"}, "JPEG": {"L", "RGB"}, "WEBP": {"RGB", "RGBA"}}
"""Formats and modes that browsers show as they are; the rest is rewritten as 8-bit PNG."""


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
    from learning.images.readers import read_image  # brings torch along

    pixels = (read_image(image).permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    if _browser_shows(image):
        shown = folder / f"{ask_id}{image.suffix.lower()}"
        _link(image, shown)
    else:
        shown = folder / f"{ask_id}.png"
        _save(Image.fromarray(pixels.squeeze()), shown)
    anomaly_map = _read_map(map_path, pixels.shape[:2]) if map_path else None
    over = folder / f"{ask_id}-map.png"
    _save(Image.fromarray(overlay(pixels, anomaly_map) if anomaly_map is not None else pixels.squeeze()), over)
    return Pictures(shown, over, anomaly_map)


def overlay(pixels: NDArray[np.uint8], anomaly_map: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lay an anomaly map over a part, so that the part stays visible where the map is low.

    Args:
        pixels: ``[H, W, 1 or 3]``, 0 to 255.
        anomaly_map: ``[H, W]``, 0 to 255.

    Returns:
        ``[H, W, 3]``, 0 to 255.
    """
    from matplotlib import colormaps

    grey = pixels.astype(np.float32).mean(axis=2, keepdims=True)
    heat = np.asarray(colormaps["turbo"](anomaly_map))[..., :3] * 255
    weight = 0.7 * (anomaly_map[..., None].astype(np.float32) / 255)
    return np.asarray((grey * (1 - weight) + heat * weight).round().clip(0, 255).astype(np.uint8))


def address(picture: Path) -> str:
    """Where the server shows a picture, without its host."""
    return f"/data/local-files/?d={quote(f'{ASKS_FOLDER}/{picture.name}')}"


def _browser_shows(image: Path) -> bool:
    with Image.open(image) as opened:
        return opened.mode in _BROWSER_FORMATS.get(opened.format or "", set()) and image.suffix != ""


def _read_map(path: Path, size: tuple[int, ...]) -> NDArray[np.uint8]:
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


def _link(source: Path, target: Path) -> None:
    """Hard-link where the file system allows it, else copy."""
    fresh = target.with_name(f".{target.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    try:
        os.link(source.resolve(), fresh)
    except OSError:
        shutil.copyfile(source, fresh)
    fresh.replace(target)
    fresh.unlink(missing_ok=True)  # renaming one link of a file onto another leaves both


def _save(picture: Image.Image, target: Path) -> None:
    fresh = target.with_name(f".{target.name}.{os.getpid()}")
    picture.save(fresh, format="PNG")
    fresh.replace(target)
