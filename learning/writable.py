"""Whether a place can be written to, said before hours of work and not after; and who may read what is there."""

import tempfile
from pathlib import Path

from learning.errors import DataError


def check_writable(path: Path) -> None:
    """Refuse a file or folder to be that cannot be made where it is wanted; nothing is left behind.

    A trial says more than permissions do, which say nothing of read-only mounts, and all is permitted to root.

    Raises:
        DataError: Saying why, and what to do.
    """
    there = next(parent for parent in path.absolute().parents if parent.exists())
    try:
        with tempfile.TemporaryDirectory(prefix=".flawsmith-", dir=there):
            pass
    except OSError as error:
        why = "it is a file" if not there.is_dir() else (error.strerror or str(error)).lower()
        msg = f"{path} cannot be written, as {there} cannot be written to ({why}); choose another place"
        raise DataError(msg) from error


def share(file: Path) -> None:
    """Let those read a file who may read its folder: safetensors writes it for its owner alone."""
    file.chmod((file.parent.stat().st_mode & 0o666) | 0o600)
