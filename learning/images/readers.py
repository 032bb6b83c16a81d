"""Data sets from folders and tables, as records; no pixels are read here."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from learning.errors import DataError
from learning.images.copies import join_copies
from learning.images.groups import apply_groups
from learning.images.pixels import EXTENSIONS, is_image, read_image, read_mask
from learning.images.records import GOOD, UNLABELLED, ImageRecord
from learning.images.tables import read_table
from learning.splits import draw_train_test, refuse_leaks

__all__ = ["cameras_of", "find_images", "list_data", "of_camera", "read_data", "read_image", "read_mask"]

ACCEPTED = (
    "accepted are: train/good (with test/<class> and ground_truth/<class>, as in MVTec AD); one folder per class, "
    "one of them called good; a folder of good images; a CSV with a column image"
)


def read_data(data: Path, groups: str | None = None, seed: int = 0) -> list[ImageRecord]:
    """List the images of a data set.

    Args:
        data: One of four. A folder in MVTec AD's layout: ``train/good``, ``test/<class>`` and masks
            ``ground_truth/<class>/<stem>_mask.png``. A folder of class folders, one of them ``good``, which is split
            by group and seed. A folder of good images, which get the label ``unlabelled`` and no split. Or a CSV; see
            ``read_table``.
        groups: Says which images belong together. A CSV with the columns image (relative to ``data``, or to the
            CSV's folder) and group; or a regular expression that is searched in each image's relative path, where the
            first bracket, or else the whole match, names the group. By default ``groups.csv`` in ``data`` where there
            is one.
        seed: Draws the split where the data set has none.

    Returns:
        One record for each image, sorted by path. Hidden files and files that are not images are left out. Files with
        the same bytes, on one side of the split, are in one group.

    Raises:
        DataError: If there are no images, the layout is none of these or could be two of them, a group lies on both
            sides of the split, or a table is wrong.
    """
    return with_split(list_data(data, groups), seed)


def with_split(records: list[ImageRecord], seed: int) -> list[ImageRecord]:
    """The records, with a split by group and seed where there are defects and none has one; copies are in one group.

    Raises:
        DataError: If a group lies on both sides of the split.
    """
    records = join_copies(records)
    if is_undivided(records):
        records = draw_train_test(records, seed)
    refuse_leaks({split: [r for r in records if r.split == split] for split in ("train", "test")})
    return records


def is_undivided(records: Sequence[ImageRecord]) -> bool:
    """Whether good parts lie beside defects, and nothing says which of them train."""
    return any(record.defective for record in records) and all(record.split is None for record in records)


def list_data(data: Path, groups: str | None = None) -> list[ImageRecord]:
    """List the images of a data set as it is: no split is drawn, and one that leaks is not refused.

    Args:
        data: As for ``read_data``.
        groups: As for ``read_data``.

    Raises:
        DataError: If there are no images, the layout is none of these or could be two of them, or a table is wrong.
    """
    if not data.exists():
        msg = f"{data} does not exist; {ACCEPTED}"
        raise DataError(msg)
    if data.is_dir():
        records, root = _read_folder(data), data
    else:
        records, root = read_table(data), data.parent
    if not records:
        msg = f"{data} holds no images ({', '.join(sorted(EXTENSIONS))}); {ACCEPTED}"
        raise DataError(msg)
    return apply_groups(records, root, groups, by_itself=data.is_dir())


def of_camera(records: Sequence[ImageRecord], camera: str | None) -> list[ImageRecord]:
    """Those of one camera; all where none is named.

    Raises:
        DataError: If there are none of that camera, naming the cameras there are.
    """
    if camera is None:
        return list(records)
    found = [record for record in records if record.camera == camera]
    if not found:
        there = ", ".join(cameras_of(records)) or "none; a CSV names them in its column camera"
        msg = f"there are no images of camera {camera!r}; there are: {there}"
        raise DataError(msg)
    return found


def cameras_of(records: Sequence[ImageRecord]) -> list[str]:
    """Cameras that are named, sorted."""
    return sorted({record.camera for record in records if record.camera})


def find_images(paths: Iterable[Path]) -> list[Path]:
    """List image files: each path that is a file, and all images in and below each that is a folder, sorted.

    Raises:
        DataError: If a path does not exist, or nothing is found.
    """
    found: list[Path] = []
    given = list(paths)
    for path in given:
        if not path.exists():
            msg = f"{path} does not exist"
            raise DataError(msg)
        found += images_below(path) if path.is_dir() else [path]
    if not found:
        msg = f"no images in {', '.join(map(str, given))}; looked for {', '.join(sorted(EXTENSIONS))}"
        raise DataError(msg)
    return list(dict.fromkeys(found))


def _read_folder(data: Path) -> list[ImageRecord]:
    has_mvtec = (data / "train" / GOOD).is_dir()
    has_good = (data / GOOD).is_dir()
    folders = [folder for folder in _folders(data) if images_below(folder)]
    loose = [file for file in sorted(data.iterdir()) if file.is_file() and is_image(file)]
    if has_mvtec + has_good + bool(loose) > 1:
        seen = [name for name, here in [("train/good", has_mvtec), ("good", has_good), ("loose images", loose)] if here]
        msg = f"{data} holds {' and '.join(seen)}, so its layout is ambiguous; {ACCEPTED}"
        raise DataError(msg)
    if has_mvtec:
        return read_mvtec(data)
    if has_good:
        return [_record(data, path, folder.name) for folder in folders for path in images_below(folder)]
    if folders:
        names = ", ".join(folder.name for folder in folders[:5])
        msg = f"{data} holds folders of images ({names}) but none called good; {ACCEPTED}"
        raise DataError(msg)
    return [_record(data, path, UNLABELLED) for path in loose]


def read_mvtec(data: Path) -> list[ImageRecord]:
    """List the images of a folder in MVTec AD's layout, whatever part of it is there; groups are not read.

    Raises:
        DataError: If images lie outside of class folders, or masks do not fit their images by name.
    """
    records: list[ImageRecord] = []
    for split in ("train", "test"):
        folder = data / split
        stray = [file.name for file in _files(folder) if is_image(file)]
        if stray:
            msg = f"{folder} holds images outside its class folders ({', '.join(stray[:3])}); move them into one"
            raise DataError(msg)
        for class_folder in _folders(folder):
            images = images_below(class_folder)
            masks = _masks(data, class_folder, images) if split == "test" and class_folder.name != GOOD else {}
            for path in images:
                record = _record(data, path, class_folder.name)
                records.append(replace(record, split=split, mask=masks.get(path)))
    return records


def _masks(data: Path, class_folder: Path, images: Sequence[Path]) -> dict[Path, Path]:
    """Mask of each image that has one: ``<stem>_mask`` or ``<stem>``, in the same place below ``ground_truth``."""
    root = data / "ground_truth" / class_folder.name
    by_key: dict[Path, list[Path]] = {}
    for mask in images_below(root) if root.is_dir() else []:
        key = mask.relative_to(root).with_name(mask.stem.removesuffix("_mask"))
        by_key.setdefault(key, []).append(mask)
    found: dict[Path, Path] = {}
    used: set[Path] = set()
    for image in images:
        key = image.relative_to(class_folder).with_suffix("")
        masks = by_key.get(key, [])
        if len(masks) > 1 or (masks and key in used):
            msg = f"image {image} and its masks ({', '.join(m.name for m in masks)}) are not one to one; keep one each"
            raise DataError(msg)
        if masks:
            found[image] = masks[0]
            used.add(key)
    if by_key and not found:
        msg = f"none of the masks in {root} belongs to an image in {class_folder}; call them <image's stem>_mask.png"
        raise DataError(msg)
    return found


def _record(data: Path, path: Path, label: str) -> ImageRecord:
    return ImageRecord(path=path, label=label, part=path.relative_to(data).as_posix())


def images_below(folder: Path) -> list[Path]:
    """All images in and below a folder, sorted; hidden files and folders are left out."""
    return sorted(path for path in _walk(folder) if is_image(path))


def _walk(folder: Path) -> Iterator[Path]:
    for where, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(where) / name for name in files)


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in _entries(folder) if path.is_dir())


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in _entries(folder) if path.is_file())


def _entries(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if not path.name.startswith(".")] if folder.is_dir() else []
