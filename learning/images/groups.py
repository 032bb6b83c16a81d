"""Which images are independent of each other: by file, by pattern, or each of its own."""

import re
from collections.abc import Sequence
from dataclasses import replace
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
        root: Folder that the paths are relative to.
        groups: A CSV file, a regular expression, or None.
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
    named: dict[str, str] = {}
    for line, row in read_rows(file, required=("image", "group"), accepted=("image", "group")):
        image = Path(row["image"]).as_posix()
        if not row["image"] or not row["group"]:
            msg = f"{file}, line {line}: image or group is empty"
            raise DataError(msg)
        if named.setdefault(image, row["group"]) != row["group"]:
            msg = f"{file}, line {line}: {image} is in two groups, {named[image]} and {row['group']}"
            raise DataError(msg)
    missing = [_relative(record, root) for record in records if _relative(record, root) not in named]
    if missing:
        msg = f"{file} gives no group for {_listed(missing)}; add a line image,group for each, relative to {root}"
        raise DataError(msg)
    return [replace(record, group=named[_relative(record, root)]) for record in records]


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
