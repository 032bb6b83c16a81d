"""The journal of a set on disk: what was asked for, and a line for each image that is complete.

It makes a set ours, lets a run that was killed go on, and is read line by line, so that a set may be of any length.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Self

from filelock import FileLock, Timeout
from pydantic import TypeAdapter

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


_ENTRY = TypeAdapter(Entry)


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

        A folder that this makes goes again if what was asked for is refused before the first image.

        Raises:
            SynthError: If the folder holds something else, was begun with other settings, or is being written.
        """
        file = out / JOURNAL
        with answered(out):
            if out.is_file():
                msg = f"{out} is a file; name a folder"
                raise SynthError(msg)
            is_new = not out.exists()
            is_ours = file.is_file() or is_new
            if not is_ours and any(there.name not in _OURS for there in out.iterdir()):
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
        except SynthError:
            if is_new:
                _withdraw(out)
            raise
        finally:
            lock.release()

    def check_names(self, names: Sequence[str]) -> None:
        """Compare what is complete with the names of a set's images, in order, of which it has to be the first.

        Raises:
            SynthError: If a name is another one, as the journal is damaged.
        """
        for line, (name, done) in enumerate(zip(names, self.done, strict=False), start=2):
            if name != done:
                raise self._damaged(line)

    def append(self, entry: Entry) -> None:
        """Add an image whose files are written."""
        with answered(self.path), self.path.open("ab") as stream:
            stream.write((json.dumps(asdict(entry)) + "\n").encode())
        self.done[entry.image] = None

    def entries(self) -> Iterator[Entry]:
        """Read the images one after the other."""
        with self.path.open("rb") as stream:
            next(stream)
            for line in stream:
                yield _ENTRY.validate_json(line)

    def _go_on(self, asked: dict[str, Any]) -> None:
        """Check the first line, and read on if it says the same."""
        with self.path.open("rb") as stream:
            try:
                began = json.loads(next(stream, b""))
                differing = [key for key in asked if began.get(key) != asked[key]]
            except (ValueError, AttributeError) as error:
                msg = f"{self.path} is no journal of a synthetic data set, or damaged; name another folder"
                raise SynthError(msg) from error
            if not differing:
                whole = self._note_done(stream)
        if differing and not any(there.name not in (*_OURS, JOURNAL) for there in self.path.parent.iterdir()):
            # A mistake that was answered before the first image was made binds nobody to what was asked with it.
            write_file(self.path, (json.dumps(asked) + "\n").encode())
        elif differing:
            msg = (
                f"{self.path.parent} was begun with other {', '.join(differing)}; name another folder, or give the same"
            )
            raise SynthError(msg)
        elif whole < self.path.stat().st_size:
            with answered(self.path), self.path.open("r+b") as stream:
                stream.truncate(whole)

    def _note_done(self, stream: BinaryIO) -> int:
        """Read the lines after the first; return where a last one begins that a kill left torn, or the file's end."""
        whole = stream.tell()
        for number, line in enumerate(stream, start=2):
            if not line.endswith(b"\n"):
                break
            whole += len(line)
            try:
                name = _ENTRY.validate_json(line).image
            except ValueError as error:
                raise self._damaged(number) from error
            if name in self.done:
                raise self._damaged(number)
            self.done[name] = None
        return whole

    def _damaged(self, line: int) -> SynthError:
        return SynthError(
            f"{self.path} is damaged in line {line}, and the set cannot be gone on with; the same command makes it "
            "anew in another folder"
        )


def _withdraw(out: Path) -> None:
    """Remove a folder that holds nothing but what began it."""
    begun = list(out.iterdir())
    if all(there.name in (*_OURS, JOURNAL) for there in begun):
        for there in begun:
            there.unlink()
        out.rmdir()
