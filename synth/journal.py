"""The journal of a set on disk: what was asked for, and a line for each image that is complete.

It makes a set ours, lets a run that was killed go on, and is read line by line, so that a set may be of any length.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

from synth.errors import SynthError
from synth.files import answered, write_file
from synth.manifest import ManifestRow

JOURNAL = "synthesis.jsonl"
LOCK = ".lock"
_OURS = (LOCK, f".{JOURNAL}.writing")
"""What a kill may leave before the journal is there."""


@dataclass(frozen=True)
class Entry:
    """An image that is complete.

    Attributes:
        image: Its name.
        trust: Of its foreground; 0 is the whole image.
        rows: Of the manifest.
        digests: SHA-256 of its files, by their path in the set.
        exported: What the layout keeps of it.
    """

    image: str
    trust: float
    rows: list[ManifestRow]
    digests: dict[str, str]
    exported: Any = None

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read what ``Journal.append`` wrote."""
        content = json.loads(line)
        return cls(**{**content, "rows": [ManifestRow(**row) for row in content["rows"]]})


@dataclass
class Journal:
    """A file of lines, the first of which says what was asked for.

    Attributes:
        path: The file.
        done: Names of the images that are complete, in order.
    """

    path: Path
    done: dict[str, None] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def opened(cls, out: Path, asked: dict[str, Any]) -> Iterator[Self]:
        """Begin a set in a new or empty folder, or go on with one that was begun with the same words.

        Raises:
            SynthError: If the folder holds something else, was begun with other settings, or is being written.
        """
        file = out / JOURNAL
        with answered(out):
            is_ours = file.is_file() or not out.exists()
            if not is_ours and (not out.is_dir() or any(there.name not in _OURS for there in out.iterdir())):
                msg = f"{out} holds something that is no synthetic data set; name a new or empty folder"
                raise SynthError(msg)
            out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(out / LOCK)
        try:
            with answered(out / LOCK):
                lock.acquire(timeout=0)
        except Timeout as error:
            msg = f"another process is writing {out}; wait for it, or name another folder"
            raise SynthError(msg) from error
        try:
            journal = cls(file)
            if file.is_file():
                journal._go_on(asked)
            else:
                write_file(file, (json.dumps(asked) + "\n").encode())
            yield journal
        finally:
            lock.release()

    def append(self, entry: Entry) -> None:
        """Add an image whose files are written."""
        with answered(self.path), self.path.open("ab") as stream:
            stream.write((json.dumps(asdict(entry)) + "\n").encode())
        self.done[entry.image] = None

    def entries(self) -> Iterator[Entry]:
        """Read the images one after the other."""
        with self.path.open(encoding="utf-8") as stream:
            next(stream)
            for line in stream:
                yield Entry.parse(line)

    def _go_on(self, asked: dict[str, Any]) -> None:
        """Check the first line, drop a last one that a kill left torn, and note what is done."""
        with self.path.open("rb") as stream:
            try:
                began = json.loads(next(stream, b""))
                differing = [key for key in asked if began.get(key) != asked[key]]
                whole = stream.tell()
                for line in stream:
                    if line.endswith(b"\n"):
                        whole += len(line)
                        self.done[json.loads(line)["image"]] = None
            except (ValueError, AttributeError, LookupError, TypeError) as error:
                msg = f"{self.path} is no journal of a synthetic data set, or damaged; name another folder"
                raise SynthError(msg) from error
        if differing and not any(there.name not in (*_OURS, JOURNAL) for there in self.path.parent.iterdir()):
            # A mistake that was answered before the first image was made binds nobody to what was asked with it.
            write_file(self.path, (json.dumps(asked) + "\n").encode())
            return
        if differing:
            msg = (
                f"{self.path.parent} was begun with other {', '.join(differing)}; name another folder, or give the same"
            )
            raise SynthError(msg)
        if whole < self.path.stat().st_size:
            with answered(self.path), self.path.open("r+b") as stream:
                stream.truncate(whole)
