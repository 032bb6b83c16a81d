"""Files that are exact copies of each other: one picture, however often it was saved."""

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from learning.images.records import ImageRecord
from learning.sealed import file_sha256


def find_copies(records: Sequence[ImageRecord]) -> list[list[ImageRecord]]:
    """Families of images whose files have the same bytes, of one side of the split each.

    Only files of equal size are read. Those that cannot be read are in no family. The same picture in another file
    format is no copy here; ``flawsmith curate check`` finds those, and copies on both sides of the split.

    Args:
        records: Of a data set.

    Returns:
        Families of two or more, in the order of the records.
    """
    sizes: dict[tuple[str | None, int], list[tuple[ImageRecord, int]]] = defaultdict(list)
    for record in records:
        try:
            status = record.path.stat()
        except OSError:
            continue
        if status.st_size == 0:  # no picture, as whoever reads it will say
            continue
        sizes[record.split, status.st_size].append((record, status.st_mtime_ns))
    families: dict[tuple[str | None, str], list[ImageRecord]] = defaultdict(list)
    for (split, size), same in sizes.items():
        if len(same) > 1:
            for record, modified in same:
                content = _content(os.fspath(record.path), size, modified)
                if content is not None:
                    families[split, content].append(record)
    place = {record.path: number for number, record in enumerate(records)}
    return sorted((family for family in families.values() if len(family) > 1), key=lambda family: place[family[0].path])


def join_copies(records: Sequence[ImageRecord]) -> list[ImageRecord]:
    """The records, copies and all that is in their groups in one group: a picture counts once, as promises count.

    Args:
        records: Of a data set. The groups that it gives stay, but for those that hold copies of one picture.
    """
    # Each group's way to the one that it is joined to; the name that sorts first stays.
    joined: dict[str, str] = {}

    def stands_for(group: str) -> str:
        while group in joined:
            group = joined[group]
        return group

    for family in find_copies(records):
        first, *others = sorted({stands_for(record.group) for record in family})
        joined |= dict.fromkeys(others, first)
    return [replace(record, group=stands_for(record.group)) for record in records] if joined else list(records)


@cache
def _content(path: str, size: int, modified: int) -> str | None:
    """Digest of a file, read once for each state of it; None where it cannot be read."""
    try:
        return file_sha256(Path(path))
    except OSError:
        return None
