"""YOLO's detection and segmentation labels, as Ultralytics reads them."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from curation.labels.label import Found, Label, Mask, Reading, Refusal, Region, label_of
from curation.labels.shapes import from_box, from_polygons
from learning.errors import DataError
from learning.images.pixels import is_image, read_pixels

IMAGES, LABELS, DATA, CLASSES = "images", "labels", "data.yaml", "classes.txt"
_BOX = 4
_CORNERS = 6


def is_yolo(source: Path) -> bool:
    """Whether a folder has labels as text files, or a file that describes them."""
    return source.is_dir() and ((source / DATA).is_file() or any((source / LABELS).rglob("*.txt")))


def read_yolo(source: Path, reading: Reading) -> Found:
    """Read labels of a folder: a line is a class and a box, or a class and a polygon, in fractions of the image.

    Args:
        source: With ``data.yaml`` or ``classes.txt``, ``images`` and ``labels``.
        reading: How what is ambiguous is read.

    Raises:
        DataError: It names no classes, or has no images.
    """
    names = _names(source)
    everything = [file for file in sorted(source.rglob("*")) if is_image(file)]
    files = [file for file in everything if IMAGES in file.relative_to(source).parts[:-1]] or everything
    if not files:
        msg = f"{source} holds no images"
        raise DataError(msg)
    found = Found(root=source)
    for file in files:
        one = _label(file, source, names, reading)
        (found.labels if isinstance(one, Label) else found.refused).append(one)  # type: ignore[arg-type]
    return found


def _names(source: Path) -> dict[int, str]:
    described, listed = source / DATA, source / CLASSES
    try:
        if described.is_file():
            given = (yaml.safe_load(described.read_text()) or {}).get("names", [])
            pairs: Any = given.items() if isinstance(given, dict) else enumerate(given)
            return {int(number): str(name) for number, name in pairs}
        if listed.is_file():
            return dict(enumerate(line.strip() for line in listed.read_text().splitlines()))
    except (yaml.YAMLError, ValueError, AttributeError, UnicodeDecodeError) as error:
        msg = f"{described if described.is_file() else listed} cannot be read: {error}"
        raise DataError(msg) from error
    msg = f"{source} has neither {DATA} nor {CLASSES}, which name the classes"
    raise DataError(msg)


def _label(image: Path, source: Path, names: dict[int, str], reading: Reading) -> Label | Refusal:
    parts = list(image.relative_to(source).parts)
    if IMAGES in parts[:-1]:
        at = len(parts) - 1 - parts[::-1].index(IMAGES)
        parts[at] = LABELS
    file = source.joinpath(*parts).with_suffix(".txt")
    try:
        lines = file.read_text().splitlines() if file.is_file() else []
        # Fractions say nothing of pixels: the picture has to be read.
        size = read_pixels(image).shape[:2] if any(line.strip() for line in lines) else (0, 0)
        regions = [_region(line, names, size) for line in lines if line.strip()]
    except (ValueError, OSError, DataError) as error:
        return Refusal(str(image), f"{file.name}: {error}")
    return label_of(image, regions, reading)


def _region(line: str, names: dict[int, str], size: tuple[int, ...]) -> Region:
    number, *values = line.split()
    numbers = [float(value) for value in values]
    if not all(np.isfinite(numbers)) or (len(numbers) != _BOX and (len(numbers) < _CORNERS or len(numbers) % 2)):
        msg = f"{line!r} is neither a class and a box nor a class and a polygon"
        raise ValueError(msg)
    height, width = size
    if int(number) not in names:
        msg = f"no class {number} is named in {DATA} or {CLASSES}"
        raise ValueError(msg)
    name = names[int(number)]
    if len(numbers) == _BOX:
        return Region(name, "boxes", partial(_box, numbers, height, width))
    corners = (np.reshape(numbers, (-1, 2)) * (width, height)).ravel().tolist()
    return Region(name, "polygons", lambda: from_polygons([corners], height, width))


def _box(numbers: list[float], height: int, width: int) -> Mask:
    x, y, wide, high = numbers
    return from_box((x - wide / 2) * width, (y - high / 2) * height, wide * width, high * height, height, width)
