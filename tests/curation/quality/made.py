"""Data sets with known flaws."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from curation.quality import Cache, QualityReport, check_quality
from learning.images.records import GOOD, ImageRecord

SIDE = 96


def part(seed: int, dark: float = 0.0, colour: bool = False) -> np.ndarray:
    """A textured plate with a bright disc, ``[H, W]`` or ``[H, W, 3]`` in 0..1; no two are alike."""
    rng = np.random.default_rng(seed)
    grain = rng.normal(0, 1, (SIDE, SIDE))
    texture = cv2.GaussianBlur(grain, (0, 0), 1.2) * 0.08 + cv2.GaussianBlur(grain, (0, 0), 4.0) * 0.15
    y, x = np.mgrid[:SIDE, :SIDE]
    disc = np.hypot(y - SIDE / 2, x - SIDE / 2) < 28
    picture = 0.4 + 0.2 * disc + texture + rng.normal(0, 0.012) - dark + rng.normal(0, 0.006, (SIDE, SIDE))
    picture = picture.clip(0.02, 0.98)
    return np.stack([picture, picture * 0.9, picture * 0.8], axis=2) if colour else picture


def save(path: Path, picture: np.ndarray, depth: int = 8) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    levels = (picture * (2**depth - 1)).round().astype(np.uint16 if depth == 16 else np.uint8)
    if depth == 16:
        cv2.imwrite(str(path), levels if levels.ndim == 2 else levels[..., ::-1])
    else:
        Image.fromarray(levels).save(path)
    return path


def parts(folder: Path, count: int = 40, make: Callable[[int], np.ndarray] = part, depth: int = 8) -> list[ImageRecord]:
    """Good parts, each independent of the others."""
    return [ImageRecord(save(folder / f"{seed:03}.png", make(seed), depth), GOOD) for seed in range(count)]


def checked(records: list[ImageRecord], folder: Path) -> QualityReport:
    with Cache(folder / "cache.db") as cache:
        return check_quality(records, cache)


def names(report: QualityReport, kind: str) -> list[set[str]]:
    """Names of the files of each finding of a kind."""
    return [
        {report.table.records[place].path.name for place in finding.images} for finding in report.findings.get(kind, [])
    ]
