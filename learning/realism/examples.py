"""Reading synthetic and confirmed defects from disk, each with what can be measured of it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from learning.errors import DataError
from learning.images.groups import apply_groups
from learning.images.pixels import read_image, read_mask
from learning.images.readers import read_mvtec
from learning.images.records import ImageRecord
from learning.progress import Progress, silent
from learning.realism.defects import Box, Measured, measure_defects
from synth.manifest import ManifestRow, read_manifest

MANIFEST = "manifest.parquet"
MOST_IMAGES = 300
"""Synthetic images that are looked at, drawn at random; more make no figure in the report more certain."""


@dataclass(frozen=True)
class Example:
    """One defect.

    Attributes:
        image: The image that it is in.
        mask: The mask of that image.
        kind: Flaw family, or class of defect.
        group: What is independent of other groups; a synthetic defect is of its good image's.
        measured: Size, contrast and place.
        source: The good image that it was painted on; None for a real one.
        change: Mean change of its pixels, strongest channel, 0..1; None for a real one.
    """

    image: Path
    mask: Path
    kind: str
    group: str
    measured: Measured
    source: Path | None = None
    change: float | None = None


@dataclass(frozen=True)
class Examples:
    """Defects, and what could not be used.

    Attributes:
        defects: In the order of their images, the largest in each first.
        images: Number of images that were looked at.
        available: Number of images that there are.
        left_out: How many images could not be used, by reason.
    """

    defects: list[Example] = field(default_factory=list)
    images: int = 0
    available: int = 0
    left_out: dict[str, int] = field(default_factory=dict)


def read_synthetic(folder: Path, most: int = MOST_IMAGES, seed: int = 0, progress: Progress = silent) -> Examples:
    """Measure the flaws of a set that ``flawsmith synth`` wrote.

    Args:
        folder: With ``images``, ``masks`` and ``manifest.parquet``.
        most: Images that are looked at, drawn by the seed where there are more.
        seed: Of that draw.
        progress: Told the number of images.

    Raises:
        DataError: If it is no such folder, or a file is missing, damaged or of the wrong size.
        SynthError: If the manifest is not one of flawsmith.
    """
    if not (folder / MANIFEST).is_file():
        msg = f"{folder} holds no {MANIFEST}; make a set with: flawsmith synth IMAGES --out {folder}"
        raise DataError(msg)
    by_image: dict[str, list[ManifestRow]] = {}
    for row in read_manifest(folder / MANIFEST):
        by_image.setdefault(row.image, []).append(row)
    names = sorted(by_image)
    if len(names) > most:
        chosen = np.random.default_rng(seed).choice(len(names), most, replace=False)
        names = [names[i] for i in sorted(chosen)]
    defects: list[Example] = []
    left_out: Counter[str] = Counter()
    for done, name in enumerate(names):
        image, mask = folder / "images" / f"{name}.png", folder / "masks" / f"{name}.png"
        rows = by_image[name]
        source = Path(rows[0].source)
        found = _measure(image, mask)
        if not found:
            left_out["an empty mask"] += 1
        for measured in found:
            row = max(rows, key=lambda row: _overlap((row.left, row.top, row.right, row.bottom), measured.box))
            defects.append(Example(image, mask, row.family, str(source), measured, source, row.change))
        progress(done + 1, len(names), "measuring synthetic flaws")
    return Examples(defects, len(names), len(by_image), dict(left_out))


def find_confirmed(folder: Path) -> list[ImageRecord]:
    """List the confirmed defects in a folder: ``test/<class>`` with masks in ``ground_truth/<class>``, as in MVTec AD.

    ``groups.csv`` says which images belong together, where there is one.

    Raises:
        DataError: If there are none, or masks do not fit their images by name.
    """
    defective = [record for record in read_mvtec(folder) if record.defective]
    if not defective:
        msg = f"{folder} holds no confirmed defects; put images into test/<class> and masks into ground_truth/<class>"
        raise DataError(msg)
    return apply_groups(defective, folder, None)


def read_confirmed(records: Sequence[ImageRecord], progress: Progress = silent) -> Examples:
    """Measure real defects that inspectors confirmed.

    Args:
        records: Images with their masks; the label is the class of the defect. What is not labelled as defective is
            passed over; what has no mask or an empty one is counted.
        progress: Told the number of images.

    Raises:
        DataError: If a file is missing or damaged, or a mask is not of its image's size.
    """
    defective = [record for record in records if record.defective]
    defects: list[Example] = []
    left_out: Counter[str] = Counter()
    for done, record in enumerate(defective):
        found = _measure(record.path, record.mask) if record.mask else []
        if not found:
            left_out["an empty mask" if record.mask else "no mask"] += 1
        defects += [
            Example(record.path, record.mask, record.label, record.group, measured) for measured in found if record.mask
        ]
        progress(done + 1, len(defective), "measuring confirmed defects")
    return Examples(defects, len(defective), len(defective), dict(left_out))


def _measure(image: Path, mask: Path) -> list[Measured]:
    pixels = read_image(image)
    return measure_defects(pixels, read_mask(mask, (pixels.shape[-2], pixels.shape[-1])))


def _overlap(first: Box, second: Box) -> float:
    """Intersection over union of two boxes; where flaws run into each other it says which one a region mostly is."""
    across = min(first[2], second[2]) - max(first[0], second[0])
    down = min(first[3], second[3]) - max(first[1], second[1])
    if across <= 0 or down <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return across * down / (sum(areas) - across * down)
