"""Which images are independent of each other: by file, by pattern, or each of its own."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from learning.errors import DataError
from learning.images.records import ImageRecord
from learning.images.tables import read_rows

GROUPS_FILE = "groups.csv"
_SHOWN = 3


def apply_groups(
    records: Sequence[ImageRecord], root: Path, groups: str | None, by_itself: bool = True
) -> list[ImageRecord]:
    """Give each record its group.

    Args:
        records: With the groups that the data set itself gives.
        root: Folder of the data set.
        groups: A CSV file, whose images are all named relative to the root or all relative to its own folder; a
            regular expression, searched in paths relative to the root; or None.
        by_itself: Whether ``groups.csv`` in the root is used where ``groups`` is None.

    Raises:
        DataError: If the file or pattern is wrong, or leaves images without a group.
    """
    if groups is None:
        own = root / GROUPS_FILE
        return _from_file(records, root, own) if by_itself and own.is_file() else list(records)
    if Path(groups).is_file():
        return _from_file(records, root, Path(groups))
    if groups.lower().endswith(".csv"):
        msg = f"groups file {groups} does not exist; give a CSV with the columns image and group, or a pattern"
        raise DataError(msg)
    return _from_pattern(records, root, groups)


def _from_file(records: Sequence[ImageRecord], root: Path, file: Path) -> list[ImageRecord]:
    rows = list(read_rows(file, required=("image", "group"), accepted=("image", "group")))
    # One spelling of where a file lies, whatever links its folder was reached by; the file may be a link itself.
    real = cache(Path.resolve)
    places = [real(record.path.parent) / record.path.name for record in records]
    fewest: list[str] = []
    # One folder for all names of the file: a mixture could give an image the group of another one of that name.
    folders = dict.fromkeys((root.resolve(), file.parent.resolve()))
    for folder in folders:
        named = _named(file, rows, folder, real)
        missing = [_relative(record, root) for record, place in zip(records, places, strict=True) if place not in named]
        if not missing:
            return [replace(record, group=named[place]) for record, place in zip(records, places, strict=True)]
        fewest = min(fewest or missing, missing, key=len)
    also = f", or all to {file.parent}" if len(folders) > 1 else ""
    msg = f"{file} gives no group for {_listed(fewest)}; add a line image,group for each, relative to {root}{also}"
    raise DataError(msg)


def _named(
    file: Path, rows: Sequence[tuple[int, dict[str, str]]], folder: Path, real: Callable[[Path], Path]
) -> dict[Path, str]:
    """Group of each image by its place, names taken relative to a folder."""
    named: dict[Path, str] = {}
    for line, row in rows:
        image, group = row["image"], row["group"]
        if not image or not group:
            msg = f"{file}, line {line}: image or group is empty"
            raise DataError(msg)
        # As tables, it may have been written on Windows.
        place = folder / image.replace("\\", "/")
        if (before := named.setdefault(real(place.parent) / place.name, group)) != group:
            msg = f"{file}, line {line}: {image} is in two groups, {before} and {group}"
            raise DataError(msg)
    return named


def _from_pattern(records: Sequence[ImageRecord], root: Path, text: str) -> list[ImageRecord]:
    try:
        pattern = re.compile(text)
    except re.error as error:
        msg = f"groups {text!r} is neither a file nor a regular expression ({error})"
        raise DataError(msg) from error
    grouped: list[ImageRecord] = []
    missing: list[str] = []
    for record in records:
        match = pattern.search(_relative(record, root))
        group = match and (match[1] if pattern.groups else match[0])
        if group:
            grouped.append(replace(record, group=group))
        else:
            missing.append(_relative(record, root))
    if missing:
        msg = f"groups pattern {text!r} finds nothing in {_listed(missing)}; it has to match every image's path"
        raise DataError(msg)
    return grouped


def _relative(record: ImageRecord, root: Path) -> str:
    return record.path.relative_to(root).as_posix() if record.path.is_relative_to(root) else record.path.as_posix()


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more images" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
