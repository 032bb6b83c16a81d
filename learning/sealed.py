"""JSON files that carry their own checksum, written whole or not at all."""

import hashlib
import json
import os
import uuid
from pathlib import Path
from typing import Any

from learning.errors import BundleError

_SEAL = "sha256"


def write_sealed(file: Path, content: dict[str, Any], exclusive: bool = False) -> None:
    """Write a JSON object, with the checksum of the rest of it under ``sha256``.

    Args:
        file: Replaced at once; a reader sees the old file or the new one.
        content: What to write.
        exclusive: Refuse to replace a file.

    Raises:
        FileExistsError: If ``exclusive`` and the file exists.
    """
    text = json.dumps({**content, _SEAL: seal(content)}, indent=2, ensure_ascii=False) + "\n"
    temporary = file.with_name(f".{file.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        if exclusive:
            # Unlike a rename, a link fails where the name is taken, also when two processes try at once.
            os.link(temporary, file)
        else:
            temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def read_sealed(file: Path) -> dict[str, Any]:
    """Read what ``write_sealed`` wrote.

    Raises:
        BundleError: If the file is missing, is not such a file, or was changed since.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        msg = f"{file} is missing; restore it from a copy, or train again"
        raise BundleError(msg) from error
    except (ValueError, OSError) as error:
        msg = f"{file} is damaged ({error}); restore it from a copy, or train again"
        raise BundleError(msg) from error
    if not isinstance(content, dict) or content.pop(_SEAL, None) != seal(content):
        msg = f"{file} is damaged: its checksum does not fit its content; restore it from a copy, or train again"
        raise BundleError(msg)
    return content


def seal(content: dict[str, Any]) -> str:
    """SHA-256 of a JSON object, whatever its layout."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def file_sha256(file: Path) -> str:
    """SHA-256 of a file's content."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
