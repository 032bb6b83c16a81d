"""CSV files that describe images."""

import csv
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import get_args

from learning.errors import DataError
from learning.images.records import UNLABELLED, ImageRecord, Split

COLUMNS = ("image", "label", "part", "group", "lot", "camera", "time", "split", "mask")
"""Columns of a data set's table; only ``image`` has to be there."""

_SHOWN = 3


def read_table(file: Path) -> list[ImageRecord]:
    """Read a data set from a CSV, separated by commas or semicolons.

    Columns are image and mask (paths, relative to the CSV's folder; Windows' separators will do), label (``good``, a
    defect class, or empty for ``unlabelled``), part (images of one part get one decision), group (what is independent;
    by default the part), lot, camera, time (ISO 8601), and split (``train``, ``test`` or empty).

    Raises:
        DataError: If the file is not such a CSV, names an image twice or files that do not exist, or a time is none.
    """
    records = list_table(file)
    named = [path for record in records for path in (record.path, record.mask) if path]
    _refuse_absent(file, [path for path in named if not path.is_file()])
    return records


def list_table(file: Path) -> list[ImageRecord]:
    """List the images that a CSV names, whether or not their files are there; see ``read_table``.

    Raises:
        DataError: If the file is not such a CSV, names an image twice or none that exists, or a time is none.
    """
    root = file.parent
    records: dict[Path, ImageRecord] = {}
    for line, row in read_rows(file, required=("image",), accepted=COLUMNS):
        path = _file(root, row["image"])
        if not row["image"] or path in records:
            msg = f"{file}, line {line}: {'this image is named twice' if row['image'] else 'image is empty'}"
            raise DataError(msg)
        records[path] = _record(path, row, f"{file}, line {line}", root)
    # None at all: the paths are relative to another folder, rather than so many files gone.
    if not any(path.is_file() for path in records):
        _refuse_absent(file, list(records))
    return [records[path] for path in sorted(records)]


def _refuse_absent(file: Path, absent: Sequence[Path]) -> None:
    if absent:
        root = file.parent
        shown = [str(path.relative_to(root) if path.is_relative_to(root) else path) for path in absent[:_SHOWN]]
        more = f" and {len(absent) - _SHOWN} more" if len(absent) > _SHOWN else ""
        msg = f"{file} names files that do not exist: {', '.join(shown)}{more}; paths are relative to {root}"
        raise DataError(msg)


def read_rows(file: Path, required: Sequence[str], accepted: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line number and values, stripped, of each row of a CSV; columns are in any case and order.

    Raises:
        DataError: If the file is not text, a column is unknown, doubled or missing, or a row is too long or short.
    """
    try:
        # utf-8-sig: spreadsheets write a byte order mark.
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        msg = f"{file} is not a CSV in UTF-8; save it as one, with the columns {', '.join(accepted)}"
        raise DataError(msg) from error
    header, _, _ = text.partition("\n")
    rows = _split(file, text, ";" if ";" in header else ",")
    _, names = next(rows, (1, []))
    columns = [name.strip().lower() for name in names]
    unknown = [name for name in columns if name not in accepted]
    missing = [name for name in required if name not in columns]
    if unknown or missing or len(set(columns)) < len(columns):
        if missing:
            what = f"has no column {missing[0]}"
        elif unknown:
            what = f"has columns it should not have: {', '.join(unknown)}"
        else:
            what = f"has the column {next(name for name in columns if columns.count(name) > 1)} twice"
        msg = f"{file} {what}; columns are {', '.join(accepted)}, and {', '.join(required)} must be there"
        raise DataError(msg)
    for line, values in rows:
        if not any(values):
            continue
        if len(values) != len(columns):
            msg = f"{file}, line {line}: {len(values)} values for {len(columns)} columns"
            raise DataError(msg)
        yield line, dict(zip(columns, (value.strip() for value in values), strict=True))


def _split(file: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Values of each row, and the line on which it begins: a quotation mark left open takes in what follows."""
    rows = csv.reader(text.splitlines(), delimiter=delimiter, strict=True)
    line = 1
    try:
        for values in rows:
            yield line, values
            line = rows.line_num + 1
    except csv.Error as error:
        msg = f"{file}, line {line}: {error}; is there a quotation mark that is not closed?"
        raise DataError(msg) from error


def _record(path: Path, row: dict[str, str], where: str, root: Path) -> ImageRecord:
    split: Split | None = None
    if given := row.get("split"):
        matching = [name for name in get_args(Split) if name == given.lower()]
        if not matching:
            msg = f"{where}: split is {given!r}; it can be train, test or empty"
            raise DataError(msg)
        split = matching[0]
    return ImageRecord(
        path=path,
        label=row.get("label") or UNLABELLED,
        split=split,
        mask=_file(root, row["mask"]) if row.get("mask") else None,
        group=row.get("group", ""),
        part=row.get("part") or row["image"].replace("\\", "/"),
        lot=row.get("lot") or None,
        camera=row.get("camera") or None,
        time=_time(row.get("time"), where),
    )


def _file(root: Path, name: str) -> Path:
    """The file of a name, which may be written as on Windows."""
    as_it_is = root / name
    return as_it_is if as_it_is.is_file() else root / name.replace("\\", "/")


def _time(text: str | None, where: str) -> str | None:
    """The time as it is written: the ledger reads it in the same way, but only once the image is scored."""
    if not text:
        return None
    try:
        datetime.fromisoformat(text)
    except ValueError:
        msg = f"{where}: time is {text!r}; write it as 2026-03-01 or 2026-03-01T06:00 (UTC, or with an offset)"
        raise DataError(msg) from None
    return text
