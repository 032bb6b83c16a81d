"""YOLO's detection and segmentation labels, as Ultralytics reads them."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from curation.labels.label import UNREADABLE, Found, Label, Mask, Reading, Refusal, Region, label_of
from curation.labels.shapes import from_box, from_polygons
from learning.errors import DataError
from learning.images.pixels import is_image, read_pixels

IMAGES, LABELS, DATA, CLASSES = "images", "labels", "data.yaml", "classes.txt"
_BOX = 4
_CORNERS = 6
_OVER = 0.01
"""How far a fraction may lie outside of the image; what is further out was written in pixels."""


def is_yolo(source: Path) -> bool:
    """Whether a folder has labels as text files or a file that describes them, or a file is such a one."""
    if source.is_file():
        return _describes(source)
    named = (source / DATA).is_file() or (source / CLASSES).is_file()
    return named or any((source / LABELS).rglob("*.txt"))


def read_yolo(source: Path, reading: Reading, images: Path | None = None) -> Found:
    """Read labels of a folder: a line is a class and a box, or a class and a polygon, in fractions of the image.

    Args:
        source: With ``data.yaml`` or ``classes.txt``, ``images`` and ``labels``; or the YAML file in it that names the
            classes.
        reading: How what is ambiguous is read.
        images: Folder of the images, where they do not lie in the folder.

    Raises:
        DataError: It names no classes, or has no images.
    """
    described, folder = (source, source.parent) if source.is_file() else (source / DATA, source)
    names = _names(described, folder / CLASSES)
    pictures = images or folder
    everything = [file for file in sorted(pictures.rglob("*")) if is_image(file)]
    files = [file for file in everything if IMAGES in file.relative_to(pictures).parts[:-1]] or everything
    if not files:
        msg = f"{pictures} holds no images" + ("" if images else ": name their folder with --images")
        raise DataError(msg)
    found = Found(root=pictures)
    known = set()
    for file in files:
        labels = _labels_of(file.relative_to(pictures), folder)
        known.add(labels)
        one = _label(file, labels, names, reading)
        (found.labels if isinstance(one, Label) else found.refused).append(one)  # type: ignore[arg-type]
    found.refused.extend(_without_picture(folder, known))
    return found


def _describes(file: Path) -> bool:
    return file.suffix.lower() in (".yaml", ".yml")


def _names(described: Path, listed: Path) -> dict[int, str]:
    if described.is_file():
        return _named(described)
    if listed.is_file():
        return dict(enumerate(line.strip() for line in _text(listed).splitlines()))
    msg = (
        f"{listed.parent} has neither {DATA} nor {CLASSES}, which name the classes: give the YAML file that names them"
    )
    raise DataError(msg)


def _named(file: Path) -> dict[int, str]:
    try:
        content = yaml.safe_load(_text(file))
        given = content.get("names") if isinstance(content, dict) else None
        if isinstance(given, dict | list) and given:
            pairs: Any = given.items() if isinstance(given, dict) else enumerate(given)
            return {int(number): str(name) for number, name in pairs}
    except (yaml.YAMLError, ValueError, TypeError) as error:
        msg = f"{file} cannot be read: {error}"
        raise DataError(msg) from error
    msg = f"{file} names no classes: it needs names, as a list or by number"
    raise DataError(msg)


def _text(file: Path) -> str:
    try:
        # utf-8-sig: editors on Windows write a byte order mark.
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        msg = f"{file} is no text in UTF-8"
        raise DataError(msg) from error


def _labels_of(picture: Path, folder: Path) -> Path:
    """Where the labels of a picture lie: ``labels`` for the last ``images`` of its path, or below ``labels``."""
    parts = list(picture.parts)
    if IMAGES in parts[:-1]:
        at = len(parts) - 1 - parts[::-1].index(IMAGES)
        parts[at] = LABELS
    beside = folder.joinpath(*parts).with_suffix(".txt")
    below = folder.joinpath(LABELS, *parts).with_suffix(".txt")
    return below if below.is_file() and not beside.is_file() else beside


def _without_picture(folder: Path, known: set[Path]) -> Iterator[Refusal]:
    for file in sorted(folder.rglob("*.txt")):
        if LABELS in file.relative_to(folder).parts[:-1] and file not in known and file.read_bytes().strip():
            yield Refusal(str(file), "there is no picture to these labels: name their folder with --images")


def _label(image: Path, file: Path, names: dict[int, str], reading: Reading) -> Label | Refusal:
    try:
        lines = [line for line in _text(file).splitlines() if line.strip()] if file.is_file() else []
    except DataError:
        return Refusal(str(file), "these labels are no text in UTF-8")
    try:
        # Fractions say nothing of pixels: the picture has to be read.
        size = read_pixels(image).shape[:2] if lines else (0, 0)
    except DataError:
        return Refusal(str(image), UNREADABLE)
    regions = []
    for number, line in enumerate(lines, start=1):
        try:
            regions.append(_region(line, names, size))
        except DataError as error:
            return Refusal(f"{file}, line {number}", str(error))
    return label_of(image, regions, reading)


def _region(line: str, names: dict[int, str], size: tuple[int, ...]) -> Region:
    try:
        numbers = np.array(line.split(), dtype=float)
    except ValueError as error:
        msg = "not all of it are numbers"
        raise DataError(msg) from error
    number, numbers = numbers[0], numbers[1:]
    if len(numbers) != _BOX and (len(numbers) < _CORNERS or len(numbers) % 2):
        msg = "it is neither a class and a box (4 numbers) nor a class and a polygon (pairs of at least 3 corners)"
        raise DataError(msg)
    if not (numbers >= -_OVER).all() or not (numbers <= 1 + _OVER).all():
        msg = "its coordinates are no fractions of the image, 0 to 1"
        raise DataError(msg)
    if number not in names:
        msg = f"no class {number:g} is named in {DATA} or {CLASSES}"
        raise DataError(msg)
    height, width = size
    name = names[int(number)]
    if len(numbers) == _BOX:
        if min(numbers[2:]) <= 0:
            msg = "its box has no extent"
            raise DataError(msg)
        return Region(name, "boxes", partial(_box, numbers, height, width))
    corners = (np.reshape(numbers, (-1, 2)) * (width, height)).ravel().tolist()
    return Region(name, "polygons", lambda: from_polygons([corners], height, width))


def _box(numbers: np.ndarray, height: int, width: int) -> Mask:
    x, y, wide, high = numbers.tolist()
    return from_box((x - wide / 2) * width, (y - high / 2) * height, wide * width, high * height, height, width)
