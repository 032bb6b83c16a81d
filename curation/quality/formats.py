"""Pictures of another size, shape, number of channels or depth than is usual; masks that do not fit."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from curation.quality.findings import Check, Finding
from curation.quality.table import Table, ordered
from learning.errors import DataError
from learning.images.pixels import read_mask
from learning.images.records import ImageRecord
from learning.progress import Progress, silent
from learning.tails import FEWEST, outlying

_RARE = 0.05
"""Share below which a size or kind is taken for a mistake, where another is the rule."""
_RULE = 0.8
"""Share from which a size is the rule; below, sizes are taken to vary by themselves."""
_STEP = 0.1
"""Logarithm of the smallest difference in area or shape that is worth a word."""


def check_formats(table: Table, rate: float) -> Check:
    """Find what is unlike the rest of its camera.

    Kinds (channels and depth) and sizes that fewer than a twentieth have are found where another is the rule. Where no
    size is the rule, areas and shapes far from the others are.
    """
    findings: dict[int, Finding] = {}
    notes = []
    for stratum in np.unique(table.strata):
        own = np.flatnonzero((table.strata == stratum) & table.readable)
        if not len(own):
            continue
        where = f"of camera {stratum} " if stratum else ""
        channels, depth, width, height = (
            table.column(name)[own].astype(int) for name in ("channels", "depth", "width", "height")
        )
        kinds = [_kind(c, d) for c, d in zip(channels, depth, strict=True)]
        sizes = [f"{w} × {h}" for w, h in zip(width, height, strict=True)]
        for values in (kinds, sizes):
            counts = Counter(values)
            rule, most = counts.most_common(1)[0]
            if values is kinds and len(counts) > 1:
                listed = ", ".join(f"{count} {name}" for name, count in counts.most_common())
                notes.append(f"pictures {where}are mixed: {listed}")
            if most < _RULE * len(own) or len(own) < FEWEST:
                continue
            for place, value in zip(own, values, strict=True):
                if counts[value] < _RARE * len(own):
                    text = f"{value}; {most} of {len(own)} {where}are {rule}"
                    findings.setdefault(int(place), Finding("format", [int(place)], text))
        if Counter(sizes).most_common(1)[0][1] < _RULE * len(own):
            for place, text in _odd_sizes(table, own, rate):
                findings.setdefault(place, Finding("format", [place], text))
    return Check(list(findings.values()), {"format": int(table.readable.sum())}, notes)


def check_masks(table: Table, progress: Progress = silent) -> Check:
    """Masks that are damaged, of another size than their image, or show nothing."""
    with_mask = [place for place, record in enumerate(table.records) if record.mask and table.readable[place]]
    findings = []
    sizes = [(int(table.column("height")[p]), int(table.column("width")[p])) for p in with_mask]
    items = [(table.records[place], size) for place, size in zip(with_mask, sizes, strict=True)]
    for done, (place, (_, problem)) in enumerate(zip(with_mask, ordered(_mask_problem, items), strict=True)):
        if problem:
            findings.append(Finding("mask", [place], problem))
        progress(done + 1, len(with_mask), "looking at masks")
    return Check(findings, {"mask": len(with_mask)})


def _mask_problem(item: tuple[ImageRecord, tuple[int, int]]) -> str | None:
    record, size = item
    if record.mask is None:
        return None
    try:
        mask = read_mask(record.mask, size)
    except DataError as error:
        return str(error)
    if not mask.any():
        return f"mask {record.mask.name} shows nothing"
    return f"mask {record.mask.name} covers the whole picture" if mask.all() else None


def _odd_sizes(table: Table, own: NDArray[np.intp], rate: float) -> list[tuple[int, str]]:
    """Areas and shapes far from the others; each of the four sides takes a quarter of the rate."""
    width, height = table.column("width")[own].astype(float), table.column("height")[own].astype(float)
    found: dict[int, str] = {}
    one = np.zeros(len(own), dtype=np.str_)
    for name, values in (("area", np.log(width * height)), ("shape", np.log(width / height))):
        for above in (False, True):
            for at in outlying(values, one, rate / 4, _STEP, above).index:
                text = f"{int(width[at])} × {int(height[at])}: {name} unlike the others'"
                found.setdefault(int(own[at]), text)
    return list(found.items())


def _kind(channels: int, depth: int) -> str:
    return f"{'grey' if channels == 1 else 'colour'} with {depth} bit"
