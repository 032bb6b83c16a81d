"""How far a demo has come, in a file that survives being killed at any moment."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from learning.errors import DataError

Settings = TypeVar("Settings", bound=BaseModel)

FILE = "demo.json"
_FORMAT = 1


class Step(BaseModel):
    """A step that is done.

    Attributes:
        seconds: What it took.
        result: What it found, for the report.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    seconds: float
    result: dict[str, Any] = {}


class _Content(BaseModel):
    model_config = ConfigDict(extra="forbid")

    format: int = _FORMAT
    settings: dict[str, Any]
    steps: dict[str, Step] = {}


class DemoState(Generic[Settings]):
    """The steps that are done, written down as each of them ends.

    Args:
        folder: The demo's.
        settings: What the demo was told.
        content: What the file holds.
    """

    def __init__(self, folder: Path, settings: Settings, content: _Content) -> None:
        self.folder = folder
        self.settings = settings
        self._content = content

    @classmethod
    def open(cls, folder: Path, settings: Settings) -> Self:
        """Go on with the demo in a folder, or begin one there.

        Raises:
            DataError: If the folder holds something else, or a demo with other settings.
        """
        file = folder / FILE
        if file.is_file():
            content = _read(file)
            given, there = settings.model_dump(mode="json"), content.settings
            if there != given:
                other = ", ".join(f"{key} {there[key]}" for key in there if there[key] != given.get(key))
                msg = f"{folder} holds a demo with other settings ({other}); choose another folder, or delete it"
                raise DataError(msg)
            return cls(folder, settings, content)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            msg = f"{folder} holds something that is not a demo; choose another folder"
            raise DataError(msg)
        folder.mkdir(parents=True, exist_ok=True)
        state = cls(folder, settings, _Content(settings=settings.model_dump(mode="json")))
        state._write()
        return state

    @property
    def steps(self) -> dict[str, Step]:
        """Steps that are done, in order."""
        return dict(self._content.steps)

    def done(self, *names: str) -> bool:
        """Whether all of these steps are."""
        return all(name in self._content.steps for name in names)

    def result(self, name: str) -> dict[str, Any]:
        """What a step found that is done."""
        return self._content.steps[name].result

    @contextmanager
    def step(self, name: str) -> Iterator[dict[str, Any]]:
        """Run a step; it is written down as done with what was put into the dictionary, unless it fails."""
        result: dict[str, Any] = {}
        began = time.monotonic()
        yield result
        self._content.steps[name] = Step(seconds=round(time.monotonic() - began, 2), result=result)
        self._write()

    def _write(self) -> None:
        temporary = self.folder / f".{FILE}.{os.getpid()}"
        temporary.write_text(self._content.model_dump_json(indent=2) + "\n", encoding="utf-8")
        temporary.replace(self.folder / FILE)


def _read(file: Path) -> _Content:
    try:
        content = _Content.model_validate_json(file.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        msg = f"{file} is damaged or of another version of flawsmith; delete {file.parent} and run the demo again"
        raise DataError(msg) from error
    return content
