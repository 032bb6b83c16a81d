"""Where a report may be written."""

from pathlib import Path

from learning.errors import DataError
from learning.writable import check_writable

_BEGINNING = b"<!doctype html>"


def check_page(path: Path) -> None:
    """Refuse a place where no report can be, or where something lies that is none; say it before the work.

    Raises:
        DataError: If it is a folder, a file that is no HTML page, or cannot be written.
    """
    if path.is_dir():
        msg = f"{path} is a folder; name an HTML file for the report, such as {path / 'report.html'}"
        raise DataError(msg)
    if path.exists():
        with path.open("rb") as file:
            if file.read(len(_BEGINNING)).lower() not in (_BEGINNING, b""):
                msg = f"{path} exists and is no HTML page; it is left alone: choose another file for the report"
                raise DataError(msg)
    check_writable(path)
