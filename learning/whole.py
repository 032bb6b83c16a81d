"""Files that appear whole or not at all, whatever ends their writing."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def whole(file: Path) -> Iterator[Path]:
    """A path to write to, which takes the place of ``file`` if nothing goes wrong, and is removed else.

    Its folder is made. Of several processes each writes to a path of its own; readers see the old file or the new one.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f".{file.name}.{uuid4().hex[:8]}.part")
    try:
        yield fresh
        fresh.replace(file)
    finally:
        fresh.unlink(missing_ok=True)
