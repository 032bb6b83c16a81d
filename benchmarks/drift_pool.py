"""Pictures for the benchmark of drift: as they are, and as they would be after something has changed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from curation.looks import look_of
from learning.bundle import Bundle
from learning.config import TrainConfig
from learning.detectors import Budget
from learning.images.pixels import read_pixels, to_tensor
from learning.images.readers import read_data
from learning.images.records import GOOD, ImageRecord
from learning.scoring import score_pictures
from learning.training import train_on_records
from synth.parts import Lot, draw_lot, make_part, make_parts

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]

SIZES: dict[str, tuple[float, float]] = {
    "light": (0.9, 0.75),
    "focus": (0.6, 1.0),
    "texture": (1.25, 1.6),
    "gain": (1.1, 1.3),
}
"""Small and large: brightness, times; blur, standard deviation in pixels; strength of the texture, times (of made-up
parts also its coarseness, by the root); gain, times, with noise of a tenth of what the gain exceeds 1."""

PER_LOT = 8
_RENDERED, _SEEN = 96, 64
_TRAIN = 90


@dataclass(frozen=True)
class Pool:
    """Pictures in numbers.

    Attributes:
        looks: ``[N, 6]``.
        scores: ``[N]``.
        embeddings: ``[N, D]`` float32.
        lots: ``[N]`` number of each picture's lot, or of its group of exposures.
    """

    looks: Floats
    scores: Floats
    embeddings: NDArray[np.float32]
    lots: NDArray[np.int64]


@dataclass(frozen=True)
class Pools:
    """As production is, after each drift (its name and size), and what sets the scale of embeddings."""

    clean: Pool
    drifted: dict[tuple[str, float], Pool]
    scale: Floats
    described: dict[str, object]


def made_up_pools(lots: int, drifted_lots: int, detector: str, seed: int) -> Pools:
    """Tiles of many lots, scored by a detector that was trained on tiles of other lots.

    Args:
        lots: Lots without drift, of ``PER_LOT`` tiles each.
        drifted_lots: Lots for each drift and size.
        detector: Name of the detector.
        seed: Of everything.
    """
    with TemporaryDirectory(prefix="flawsmith-drift-") as folder:
        parts = make_parts(
            Path(folder) / "parts", "tile", good=_TRAIN, test_good=0, defective=0, size=_RENDERED, seed=seed + 1
        )
        bundle = _train(read_data(parts), Path(folder) / "bundle", detector, seed)
        clean = _measure(bundle, _tiles(lots, seed, None, 1.0))
        drifted = {
            (name, size): _measure(bundle, _tiles(drifted_lots, seed + 1000, name, size))
            for name, sizes in SIZES.items()
            for size in sizes
        }
        scale = bundle.embeddings("train")[1].astype(np.float64)
    return Pools(clean, drifted, scale, {"parts": "tile", "detector": detector, "rendered": _RENDERED, "seen": _SEEN})


def data_pools(data: Path, detector: str, seed: int) -> Pools:
    """Good pictures of a data set: a third of the groups trains, the others are the stream.

    Args:
        data: A data set; only its good training pictures are read.
        detector: Name of the detector.
        seed: Of everything.
    """
    good = [record for record in read_data(data) if record.label == GOOD and record.split != "test"]
    groups = sorted({record.group for record in good})
    order = np.random.default_rng(seed).permutation(len(groups))
    trains = {groups[place] for place in order[: len(groups) // 3]}
    number = {group: place for place, group in enumerate(groups)}
    stream = [record for record in good if record.group not in trains]
    with TemporaryDirectory(prefix="flawsmith-drift-") as folder:
        bundle = _train([r for r in good if r.group in trains], Path(folder) / "bundle", detector, seed)

        def pictures(name: str | None, size: float) -> Iterator[tuple[int, Pixels]]:
            rng = np.random.default_rng(seed)
            for record in stream:
                yield number[record.group], changed(read_pixels(record.path).astype(np.uint8), name, size, rng)

        clean = _measure(bundle, pictures(None, 1.0))
        drifted = {
            (name, size): _measure(bundle, pictures(name, size)) for name, sizes in SIZES.items() for size in sizes
        }
        scale = bundle.embeddings("train")[1].astype(np.float64)
    described = {"pictures": len(stream), "groups": len(groups) - len(trains), "detector": detector}
    return Pools(clean, drifted, scale, described)


def changed(pixels: Pixels, drift: str | None, size: float, rng: np.random.Generator) -> Pixels:
    """A picture as it would be after a drift.

    Args:
        pixels: ``[H, W]`` or ``[H, W, 3]``.
        drift: One of ``SIZES``, or None.
        size: As there.
        rng: Of noise.
    """
    if drift is None:
        return pixels
    values = pixels.astype(np.float32)
    after: NDArray[Any]
    if drift == "light":
        after = values * size
    elif drift == "focus":
        after = cv2.GaussianBlur(values, (0, 0), size)
    elif drift == "texture":
        smooth = cv2.GaussianBlur(values, (0, 0), 3.0)
        after = smooth + size * (values - smooth)
    else:
        after = size * values + rng.normal(0, 255 * 0.1 * (size - 1), values.shape).astype(np.float32)
    return after.round().clip(0, 255).astype(np.uint8)


def _tiles(lots: int, seed: int, drift: str | None, size: float) -> Iterator[tuple[int, Pixels]]:
    for lot in range(lots):
        rng = np.random.default_rng((seed, lot))
        own = draw_lot(rng)
        if drift == "texture":
            own = _other_texture(own, size)
        for _ in range(PER_LOT):
            tile = make_part("tile", own, rng, size=_RENDERED).images[0]
            yield lot, tile if drift == "texture" else changed(tile, drift, size, rng)


def _other_texture(lot: Lot, size: float) -> Lot:
    return replace(lot, contrast=lot.contrast * size, grain=lot.grain * float(np.sqrt(size)))


def _train(records: Sequence[ImageRecord], folder: Path, detector: str, seed: int) -> Bundle:
    config = TrainConfig(detector=detector, size=_SEEN)
    return train_on_records(records, folder, config=config, budget=Budget(steps=60), seed=seed)


def _measure(bundle: Bundle, pictures: Iterator[tuple[int, Pixels]]) -> Pool:
    looks, lots = [], []

    def shown() -> Iterator[tuple[ImageRecord, object]]:
        for place, (lot, pixels) in enumerate(pictures):
            looks.append(look_of(pixels))
            lots.append(lot)
            yield ImageRecord(path=Path(f"{place:05d}.png")), to_tensor(pixels)

    scored = list(score_pictures(bundle, shown()))  # type: ignore[arg-type]
    return Pool(
        looks=np.array(looks, dtype=np.float64),
        scores=np.array([one.score for one in scored], dtype=np.float64),
        embeddings=np.stack([one.embedding for one in scored]),
        lots=np.array(lots, dtype=np.int64),
    )
