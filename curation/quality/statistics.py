"""Exploratory statistics: what there is, and how it looks, by class, lot, camera and split."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curation.quality.table import Table
from learning.images.records import ImageRecord


@dataclass(frozen=True)
class Row:
    """Some of the images in figures.

    Attributes:
        what: ``all``, ``class``, ``lot``, ``camera`` or ``split``.
        name: Which of them.
        images: How many.
        groups: Independent groups among them.
        unreadable: How many of the images cannot be read.
        width: Median in pixels, and height; 0 where none can be read.
        height: See ``width``.
        sizes: Different sizes among them.
        brightness: 5 %, 50 % and 95 % quantile of the pictures' means, 0..1.
        contrast: Median standard deviation of a picture, 0..1.
        sharpness: Median logarithm of the energy of the second octave over that of the next coarser one.
    """

    what: str
    name: str
    images: int
    groups: int
    unreadable: int
    width: int
    height: int
    sizes: int
    brightness: tuple[float, float, float]
    contrast: float
    sharpness: float


_BY: dict[str, Callable[[ImageRecord], str | None]] = {
    "split": lambda record: record.split,
    "class": lambda record: record.label,
    "camera": lambda record: record.camera,
    "lot": lambda record: record.lot,
}


def statistics(table: Table) -> list[Row]:
    """A row for all images, and one for each split, class, camera and lot that is named."""
    rows = [_row(table, "all", "all", np.arange(len(table.records)))]
    for what, value_of in _BY.items():
        values = np.array([value_of(record) or "" for record in table.records], dtype=np.str_)
        names, first = np.unique(np.sort(values), return_index=True)
        own = np.split(np.argsort(values, kind="stable"), first[1:])
        rows += [_row(table, what, str(name), places) for name, places in zip(names, own, strict=True) if name]
    return rows


def _row(table: Table, what: str, name: str, places: NDArray[np.intp]) -> Row:
    read = places[table.readable[places]]
    groups = len({table.records[place].group for place in places})
    if not len(read):
        return Row(what, name, len(places), groups, len(places), 0, 0, 0, (0.0, 0.0, 0.0), 0.0, 0.0)
    size = np.column_stack([table.column("width")[read], table.column("height")[read]])
    dark, middle, bright = (float(value) for value in np.quantile(table.column("mean")[read], [0.05, 0.5, 0.95]))
    return Row(
        what=what,
        name=name,
        images=len(places),
        groups=groups,
        unreadable=len(places) - len(read),
        width=int(np.median(size[:, 0])),
        height=int(np.median(size[:, 1])),
        sizes=len(np.unique(size, axis=0)),
        brightness=(dark, middle, bright),
        contrast=float(np.median(table.column("contrast")[read])),
        sharpness=float(np.median(table.column("sharpness")[read])),
    )
