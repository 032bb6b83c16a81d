"""Writing made-up parts to disk: all of a folder or nothing of it."""

import csv
import io
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from synth.errors import SynthError
from synth.parts.defects import MOSTLY_CLEAR
from synth.parts.kinds import make_part
from synth.parts.lots import Lot

MARKER = "parts.json"
"""Says that a folder was made here, and how."""

_FORMAT = 1


class Progress(Protocol):
    """Told how far a long function is."""

    def __call__(self, done: float, total: float, text: str) -> None:
        """Report that ``done`` of ``total`` units are finished; ``text`` says what is being done."""


def silent(done: float, total: float, text: str) -> None:
    """Report to nobody."""


@dataclass(frozen=True)
class Item:
    """One part to be made.

    Attributes:
        names: Where its pictures go, one for each exposure, relative to the folder.
        kind: What it is.
        lot: What it shares with its lot.
        lot_name: The lot's name.
        rng_key: Seeds everything about it.
        defect: What is wrong with it, or None.
        masks: Where its masks go, where it is defective.
        time: When it came off the line.
        clarity: What its severity is drawn by.
    """

    names: Sequence[str]
    kind: str
    lot: Lot
    lot_name: str
    rng_key: tuple[int, ...]
    defect: str | None = None
    masks: Sequence[str] = ()
    time: str = ""
    clarity: float = MOSTLY_CLEAR

    @property
    def part(self) -> str:
        """Name of the part, the same for all of its exposures."""
        stem = Path(self.names[0]).stem
        return stem if len(self.names) == 1 else stem.removesuffix("_1")


@dataclass(frozen=True)
class Table:
    """A CSV of the folder; an ``Item`` in a row stands for its severity, known once it is made."""

    name: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | Item]]


def write_folder(
    folder: Path,
    items: Sequence[Item],
    tables: Sequence[Table],
    arguments: dict[str, Any],
    size: int,
    progress: Progress,
) -> Path:
    """Make the parts beside the folder, then put them in its place.

    Raises:
        SynthError: If the folder holds something that was not made here.
    """
    description = {"made_by": "flawsmith parts", "format": _FORMAT, **arguments}
    if _made_here(folder) == description:
        return folder
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    severities: dict[str, float] = {}
    exposures = len(items[0].names)
    for done, item in enumerate(items):
        progress(done, len(items), "making parts")
        rng = np.random.default_rng(item.rng_key)
        picture = make_part(
            item.kind, item.lot, rng, defect=item.defect, clarity=item.clarity, size=size, exposures=exposures
        )
        severities[item.part] = picture.severity
        for name, image in zip(item.names, picture.images, strict=True):
            _save(partial / name, image)
        if item.masks:
            for name, mask in zip(item.masks, picture.masks, strict=True):
                _save(partial / name, mask.astype(np.uint8) * 255)
    for table in tables:
        _write_table(partial, table, severities)
    (partial / MARKER).write_text(json.dumps(description, indent=2) + "\n")
    if folder.exists():
        shutil.rmtree(folder)
    partial.rename(folder)
    progress(len(items), len(items), "making parts")
    return folder


def _made_here(folder: Path) -> dict[str, Any] | None:
    """How an earlier call made the folder; None where there is nothing in it.

    Raises:
        SynthError: If something else is in it.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return None
    try:
        description = json.loads((folder / MARKER).read_text())
    except (OSError, ValueError):
        description = None
    if not isinstance(description, dict) or description.get("made_by") != "flawsmith parts":
        msg = f"{folder} holds something that was not made here; give another folder, or empty it first"
        raise SynthError(msg)
    return description


def _save(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, compress_level=1)


def _write_table(root: Path, table: Table, severities: dict[str, float]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    for row in table.rows:
        writer.writerow([f"{severities[cell.part]:.3f}" if isinstance(cell, Item) else cell for cell in row])
    path = root / table.name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.getvalue(), encoding="utf-8")
