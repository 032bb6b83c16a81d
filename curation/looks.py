"""How a picture looks in six numbers, measured when it is scored, so that it may be deleted later."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from curation.quality.measure import detail, to_grey
from learning.errors import DataError
from learning.images.pixels import Pixels, read_pixels
from learning.progress import Progress, silent

if TYPE_CHECKING:
    from curation.ledger import Ledger
    from curation.ledger.looks import Look
    from learning.bundle import Bundle

MOST = 600
"""Reference pictures that are measured; more would tell nothing new."""
_KEPT = 200
_DARKEST = 1e-4
"""Keeps logarithms finite; far below what 8 bits resolve."""


def look_of(pixels: Pixels) -> Look:
    """Brightness, contrast, sharpness, grain, red and blue, as ``curation.ledger.tables.LOOKS`` names them.

    Args:
        pixels: ``[H, W]`` or ``[H, W, 3]`` unsigned integers.

    Returns:
        Mean and standard deviation, 0..1 of the depth's range; natural logarithms of the energy of the second octave
        over the third, and of the finest over the second (blur lowers both, noise raises grain); natural logarithms of
        the mean of red over that of green and of blue over green, 0 where the picture is grey.
    """
    grey = to_grey(pixels)
    grain, sharpness = detail(grey)
    red = blue = 0.0
    if pixels.ndim == 3:
        means = pixels.mean(axis=(0, 1), dtype=np.float64) / np.iinfo(pixels.dtype).max + _DARKEST
        red, blue = float(np.log(means[0] / means[1])), float(np.log(means[2] / means[1]))
    return (float(grey.mean()), float(grey.std()), sharpness, grain, red, blue)


def look(path: Path) -> Look | None:
    """How the picture in a file looks; None where it cannot be read."""
    try:
        return look_of(read_pixels(path))
    except DataError:
        return None


class LooksAhead:
    """Measures pictures in a thread of its own, while a detector works: they may be gone when drift is asked about."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._begun: list[Future[Look | None]] = []

    def begin(self, path: Path) -> None:
        """Measure a picture soon."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1)
        self._begun.append(self._pool.submit(look, path))

    def take(self, image_ids: Sequence[str]) -> dict[str, Look]:
        """Wait for all that was begun, in that order, by image id; pictures that cannot be read are left out."""
        looks = [future.result() for future in self._begun]
        if self._pool is not None:
            self._pool.shutdown()
        self._pool, self._begun = None, []
        return {key: one for key, one in zip(image_ids, looks, strict=True) if one is not None}


def complete_looks(ledger: Ledger, image_ids: Iterable[str], progress: Progress = silent) -> int:
    """Measure images that never were, as far as their files are there. Repeatable.

    Returns:
        How many cannot be measured any more.
    """
    known = ledger.looks()
    paths = {image.image_id: image.path for image in ledger.images()}
    missing = [key for key in dict.fromkeys(image_ids) if key not in known]
    found: dict[str, Look] = {}
    lost = 0
    for done, key in enumerate(missing):
        progress(done, len(missing), "measuring pictures")
        seen = look(paths[key])
        if seen is None:
            lost += 1
        else:
            found[key] = seen
        if len(found) >= _KEPT:
            ledger.record_looks(found)
            found = {}
    ledger.record_looks(found)
    return lost


def reference_looks(ledger: Ledger, bundle: Bundle) -> Mapping[str, Look]:
    """How the good pictures look that chose nothing or only set scales; measured once, as far as they are there.

    Of a group one picture is measured, at most ``MOST`` of all.

    Returns:
        By the name of the picture in the bundle; empty where none can be read.
    """
    known = ledger.reference_looks(bundle.fingerprint)
    names = [*drawn_of(bundle.calibration).values(), *drawn_of(bundle.selection).values()][:MOST]
    seen = {name: look(Path(name)) for name in names if name not in known}
    found = {name: one for name, one in seen.items() if one is not None}
    if found:
        ledger.record_reference_looks(bundle.fingerprint, found)
    return {**known, **found}


def drawn_of(table: pd.DataFrame) -> dict[str, str]:
    """One picture of each group, drawn by the names of the pictures.

    Args:
        table: With the columns image and group.
    """
    drawn: dict[str, tuple[str, str]] = {}
    for image, group in zip(table["image"].astype(str), table["group"].astype(str), strict=True):
        order = hashlib.sha256(image.encode()).hexdigest()
        if group not in drawn or order < drawn[group][0]:
            drawn[group] = (order, image)
    return {group: image for group, (_, image) in drawn.items()}
