"""Image files, as the ledger knows them: by content."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from curation.ledger.entries import ImageEntry
from curation.ledger.times import utc
from learning.errors import DataError

_SHOWN = 5


def sha256_of(path: Path) -> str:
    """Checksum of a file's content, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def image_id_of(path: Path | str) -> str:
    """The id of an image: the first 32 hexadecimal digits of the SHA-256 of its content."""
    return sha256_of(Path(path))[:32]


def text_of(path: Path | str | None) -> str | None:
    """A path as the ledger keeps it: absolute, so that it is the same file for every program."""
    return None if path is None else str(Path(path).resolve())


def describe(entries: Sequence[ImageEntry]) -> list[dict[str, Any]]:
    """Read image files into rows.

    Raises:
        DataError: Naming the files that cannot be read, or whose time is not understood.
    """
    rows, wrong = [], []
    for entry in entries:
        path = Path(entry.path).resolve()
        try:
            image_id = image_id_of(path)
            time = utc(entry.time) if entry.time else None
        except OSError as error:
            wrong.append(f"{path} ({error.strerror})")
            continue
        except ValueError:
            wrong.append(f"{path} (time {entry.time!r} is not as in 2026-01-31T10:15:00)")
            continue
        part = entry.part or str(entry.path)
        facts: dict[str, Any] = {"image_id": image_id, "path": str(path), "part": part, "group": entry.group or part}
        rows.append(facts | {"lot": entry.lot, "camera": entry.camera, "time": time})
    if wrong:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        msg = f"images that cannot go into the ledger: {', '.join(wrong[:_SHOWN])}{more}; mend or leave them out"
        raise DataError(msg)
    return rows
