"""Writing files whole or not at all, with their checksums, and clear words where a disk does not take them."""

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from synth.errors import SynthError

_PIECE = 2**20
_FREE = "free some space, and the same command goes on from there"
_ANSWERS = {
    errno.ENOSPC: f"the disk is full; {_FREE}",
    errno.EDQUOT: f"the quota is used up; {_FREE}",
    errno.EFBIG: "the file system takes no file so large; use another one",
    errno.EROFS: "it is on a read-only file system; name another folder",
    errno.EACCES: "it may not be written to; change its permissions, or name another folder",
    errno.EPERM: "it may not be written to; change its permissions, or name another folder",
    errno.ENOTDIR: "part of the path is a file; name another folder",
    errno.ENAMETOOLONG: "the name is too long; give the images shorter ones",
}


@contextmanager
def answered(path: Path) -> Iterator[None]:
    """Turn what a disk says into a sentence that names the file and what to do.

    Raises:
        SynthError: If the disk is full, or the file may not be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _ANSWERS:
            raise
        msg = f"{path} cannot be written: {_ANSWERS[error.errno]}"
        raise SynthError(msg) from error


def write_file(path: Path, content: bytes) -> str:
    """Write a file in one step: it is there as a whole or as it was before. Folders are made.

    Returns:
        SHA-256 of the content, in hexadecimal.

    Raises:
        SynthError: As ``answered``.
    """
    working = path.with_name(f".{path.name}.writing")
    with answered(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        working.write_bytes(content)
        working.replace(path)
    return hashlib.sha256(content).hexdigest()


@contextmanager
def whole_file(path: Path) -> Iterator[Callable[[str], int]]:
    """Write a long text file piece by piece; it is there as a whole, once all is written, or as it was before.

    Raises:
        SynthError: As ``answered``.
    """
    working = path.with_name(f".{path.name}.writing")
    with answered(path):
        with working.open("w", encoding="utf-8", newline="\n") as stream:
            yield stream.write
        working.replace(path)


def link_file(existing: Path, path: Path) -> None:
    """Make a file appear a second time without taking space; a copy where the file system knows no links.

    Raises:
        SynthError: As ``answered``.
    """
    with answered(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        try:
            os.link(existing, path)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.EXDEV):
                raise
            write_file(path, existing.read_bytes())


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in hexadecimal, read piece by piece."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()
