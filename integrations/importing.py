"""Labels made elsewhere, from any of the formats that are known."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from curation.labels import Found, Reading
from curation.labels.coco import files_of, read_coco
from curation.labels.folders import class_folders, read_folders
from curation.labels.label import Label, read_json
from curation.labels.of_fiftyone import is_export, name_in_export, read_fiftyone
from curation.labels.yolo import is_yolo, read_yolo
from integrations.formats import Format
from integrations.label_studio.exported import is_exported, read_exported
from learning.errors import DataError
from learning.images.groups import apply_groups
from learning.images.records import GOOD, ImageRecord

_TIME_OF_EXPORT = re.compile(r"-at-\d{4}(-\d\d){4}-[0-9a-f]{8}$")
"""Ends the names that Label Studio gives to exports of one project."""


def format_of(source: str) -> Format:
    """Tell the format of a source.

    Raises:
        DataError: It is none of them, or could be several.
    """
    path = Path(source)
    if not path.exists():
        msg = f"{source}: no such file or folder (a data set in FiftyOne is read with --format fiftyone)"
        raise DataError(msg)
    _refuse_damaged(path)
    looks = {
        Format.FIFTYONE: path.is_dir() and is_export(path),
        Format.LABEL_STUDIO: path.is_file() and is_exported(path),
        Format.COCO: bool(files_of(path)),
        Format.YOLO: is_yolo(path),
        Format.MVTEC: path.suffix.lower() == ".csv"
        or any((path / folder).is_dir() for folder in (GOOD, f"train/{GOOD}", "test"))
        or bool(class_folders(path, Reading())),
    }
    found = [name for name, here in looks.items() if here]
    if len(found) == 1:
        return found[0]
    known = ", ".join(found or [one for one in Format if one is not Format.AUTO])
    if found:
        msg = f"{source} could be {known}: say which with --format"
    elif path.suffix.lower() == ".json":
        msg = (
            f"{source} is neither COCO (an object with images and annotations) nor Label Studio's export called JSON "
            "(a list of tasks with data; JSON-MIN says too little)"
        )
    else:
        msg = f"{source} is none of {known}"
    raise DataError(msg)


def name_of(source: str, kind: Format) -> str:
    """What a source is called, from wherever it is read and whenever it was exported.

    Args:
        source: A file or folder, or for ``fiftyone`` the name of a data set.
        kind: Not ``auto``.

    Raises:
        DataError: A file that would tell is damaged.
    """
    path = Path(source).resolve()
    if kind is Format.FIFTYONE:
        return (is_export(path) and name_in_export(path)) or (path.name if path.is_dir() else source)
    if kind is Format.YOLO and path.is_file():
        path = path.parent
    name = path.stem if path.is_file() else path.name
    return _TIME_OF_EXPORT.sub("", name) if kind is Format.LABEL_STUDIO else name


def read_labels(
    source: str,
    kind: Format,
    reading: Reading,
    images: Path | None = None,
    field: str | None = None,
    groups: str | None = None,
) -> Found:
    """Read the labels of a source.

    Args:
        source: A file or folder, or for ``fiftyone`` the name of a data set.
        kind: Not ``auto``.
        reading: How what is ambiguous is read.
        images: Folder of the images, where a file only names them.
        field: Of FiftyOne.
        groups: Which images are not independent, as in training.

    Raises:
        DataError: The source is not what it is said to be.
    """
    path = Path(source)
    _refuse_damaged(path)
    if kind is Format.MVTEC:
        return read_folders(path, reading, groups)
    if kind is Format.COCO:
        found = read_coco(path, reading, images)
    elif kind is Format.YOLO:
        found = read_yolo(path, reading, images)
    elif kind is Format.LABEL_STUDIO:
        found = read_exported(path, reading, images)
    else:
        found = read_fiftyone(source, reading, field)
    return _grouped(found, groups)


def _grouped(found: Found, groups: str | None) -> Found:
    records = [ImageRecord(label.image, part=_part(label, found.root)) for label in found.labels]
    grouped = apply_groups(records, found.root, groups, by_itself=found.root.is_dir())
    labels = [
        replace(label, part=record.part, group=record.group)
        for label, record in zip(found.labels, grouped, strict=True)
    ]
    return Found(labels, found.refused, found.root)


def _part(label: Label, root: Path) -> str:
    path, root = label.image.resolve(), root.resolve()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _refuse_damaged(path: Path) -> None:
    """Say where a JSON file is damaged, instead of that it is of no known format."""
    if path.suffix.lower() == ".json" and path.is_file():
        read_json(path)
