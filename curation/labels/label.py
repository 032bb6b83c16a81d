"""What a label says of one image, whatever format it came in."""

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PureWindowsPath
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from learning.errors import DataError
from learning.images.pixels import is_image

Mask = NDArray[np.bool_]
GOOD_NAMES = ("good", "ok", "normal")
DEFECT_NAMES = ("defect", "defective", "bad", "ng", "anomaly", "anomalous", "abnormal")
"""Names of classes that say that there is a defect, and not which."""
_SIGNS = re.compile(r"[^-\w.]")
UNREADABLE = "the picture cannot be read: it is damaged, or no image"
NOT_ANNOTATED = "nothing is annotated; say --unannotated good where that means that there is nothing to find"


@dataclass(frozen=True)
class Reading:
    """How what can be read in two ways is read.

    Attributes:
        good_names: Classes that say that a part is good, in any case; all others are kinds of defects.
        unannotated_good: Whether an image without any annotation is good; else it is refused: who knows if it was seen.
        boxes: Whether the area of a box is taken as mask; else a defect that only a box marks has none.
    """

    good_names: tuple[str, ...] = GOOD_NAMES
    unannotated_good: bool = False
    boxes: bool = False

    def is_good(self, name: str) -> bool:
        """Whether a class says that a part is good."""
        return name.casefold() in {good.casefold() for good in self.good_names}


@dataclass(frozen=True)
class Label:
    """What is said of an image.

    Attributes:
        image: Its file.
        verdict: ``good``, ``defect`` or ``unsure``.
        defect_class: Kinds of defects, joined by a comma.
        mask: Makes the mask, ``[H, W]``; may raise ``DataError``. None where there is none.
        shapes: What marks the defects: of ``pixels``, ``RLE``, ``polygons``, ``ellipses``, ``boxes``.
        annotator: Who said it, where the format tells.
        at: When, where the format tells.
        part: What gets one decision; by default the path below the root.
        group: What is independent.
        lot: Where known.
        camera: Where known.
        time: When the picture was taken, where known.
    """

    image: Path
    verdict: Literal["good", "defect", "unsure"]
    defect_class: str | None = None
    mask: Callable[[], Mask] | None = None
    shapes: tuple[str, ...] = ()
    annotator: str | None = None
    at: datetime | None = None
    part: str | None = None
    group: str | None = None
    lot: str | None = None
    camera: str | None = None
    time: str | None = None


@dataclass(frozen=True)
class Refusal:
    """A label that is not taken.

    Attributes:
        what: The image, as the source names it.
        reason: Why.
    """

    what: str
    reason: str


@dataclass(frozen=True)
class Found:
    """What a source holds.

    Attributes:
        labels: That can be taken.
        refused: That cannot.
        root: Folder that parts and groups are relative to.
    """

    labels: list[Label] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    root: Path = Path()


@dataclass(frozen=True)
class Region:
    """One annotation within an image.

    Attributes:
        name: Of its class.
        shape: As in ``Label``.
        mask: Makes its mask, ``[H, W]``.
    """

    name: str
    shape: str
    mask: Callable[[], Mask]


def label_of(image: Path, regions: Sequence[Region], reading: Reading, **about: object) -> Label | Refusal:
    """Put the annotations of an image together.

    Args:
        image: Its file.
        regions: Its annotations; none where nothing is annotated.
        reading: How what is ambiguous is read.
        about: Further fields of the label.

    Returns:
        A refusal where they contradict each other, or say nothing.
    """
    defects = [region for region in regions if not reading.is_good(region.name)]
    if not regions and not reading.unannotated_good:
        return Refusal(str(image), NOT_ANNOTATED)
    if not defects:
        return Label(image, "good", **about)  # type: ignore[arg-type]
    if len(defects) < len(regions):
        return Refusal(str(image), "one annotation says good, another names a defect")
    shapes = tuple(sorted({region.shape for region in defects}))
    # A mask that lacks what only a box marks would call it good.
    whole = reading.boxes or "boxes" not in shapes
    mask = (lambda: union([region.mask() for region in defects])) if whole else None
    return Label(image, "defect", kinds(region.name for region in defects), mask, shapes, **about)  # type: ignore[arg-type]


def kinds(names: Iterable[str]) -> str | None:
    """Names of kinds of defects as one text; None where none says more than that it is one."""
    told = sorted({name for name in names if name.casefold() not in DEFECT_NAMES})
    return ", ".join(told) or None


def union(masks: Sequence[Mask]) -> Mask:
    """All masks of an image in one, ``[H, W]``.

    Raises:
        DataError: They are of different sizes.
    """
    if len({mask.shape for mask in masks}) != 1:
        msg = "masks of one image are of different sizes"
        raise DataError(msg)
    return np.logical_or.reduce(masks)


def refuse_other_size(mask: tuple[int, ...], image: tuple[int, ...]) -> None:
    """Refuse a mask of another height and width than its image.

    Raises:
        DataError: Naming both, and no file, so that many are counted in one line.
    """
    if mask != image:
        msg = f"its mask has {mask[1]} × {mask[0]} pixels, the image {image[1]} × {image[0]}"
        raise DataError(msg)


def read_json(file: Path) -> Any:
    """What a JSON file holds.

    Raises:
        DataError: It is damaged, which says where.
    """
    try:
        return json.loads(file.read_bytes())
    except ValueError as error:
        msg = f"{file} is damaged: {error}"
        raise DataError(msg) from error


class Finder:
    """Finds image files that a source names.

    Below each root a name is looked for as it is, then in the folders that formats use, then by the file's own name
    where that is unique, then whatever its case, last of all as Label Studio and other systems of file names spell it.
    Names may be written as on Windows.
    """

    def __init__(self, *roots: Path | None) -> None:
        self._roots = [root for root in roots if root is not None]
        self._by_name: dict[str, list[Path]] | None = None

    def find(self, name: str) -> Path | None:
        """The file; None where there is none, or several could be meant."""
        for spelled in dict.fromkeys((name, name.replace("\\", "/"))):
            for root in self._roots:
                for folder in ("", "images", "data", "../images"):
                    file = root / folder / spelled
                    if file.is_file():
                        return file.resolve()
        if self._by_name is None:
            self._by_name = {}
            for root in self._roots:
                for file in sorted(root.rglob("*")):
                    if is_image(file):
                        self._by_name.setdefault(_plain(file.name), []).append(file.resolve())
        # Windows' rules take both separators for one.
        own = PureWindowsPath(name).name
        alike = sorted(set(self._by_name.get(_plain(own), [])))
        found = (
            [file for file in alike if file.name == own]
            or [file for file in alike if file.name.casefold() == own.casefold()]
            or alike
        )
        return found[0] if len(found) == 1 else None


def _plain(name: str) -> str:
    """What is left of a name that was uploaded, or came from another system of files.

    Label Studio stores uploads with underscores for blanks and without other signs (``get_valid_filename`` of Django);
    macOS takes letters with accents apart.
    """
    composed = unicodedata.normalize("NFC", name).strip().replace(" ", "_")
    return _SIGNS.sub("", composed).casefold()
