"""Scores, anomaly maps and decisions for images, in constant memory."""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from learning.acceleration import exact
from learning.errors import BundleError, DataError
from learning.fusion import fuse
from learning.images.pixels import read_image
from learning.images.preprocessing import Preprocessing, View
from learning.images.records import ImageRecord
from learning.machine import available_cores
from learning.progress import Progress, silent
from learning.supervised.fallback import Fallback
from learning.thresholds import Threshold
from learning.whole import whole

if TYPE_CHECKING:
    from learning.bundle import Bundle

_LEAST_READERS, _MOST_READERS = 4, 16


@dataclass(frozen=True)
class ImageScore:
    """What a bundle says of one image.

    Attributes:
        record: The image.
        score: Of the detector; higher is more anomalous.
        map: ``[H, W]`` float32 anomaly map, at the size of the image.
        embedding: ``[D]`` float32.
        fallback_score: Of the supervised fallback, where the threshold names one.
        decision_score: What the threshold is compared with: of detector and fallback together, or the score; shifted
            where the threshold has a value of the image's camera or lot.
        seconds: Time to read the image, to predict and to embed.
        part_found: False where the model cuts the part out and found none: the whole picture was scored.
    """

    record: ImageRecord
    score: float
    map: NDArray[np.float32]
    embedding: NDArray[np.float32]
    fallback_score: float | None
    decision_score: float
    seconds: float
    part_found: bool = True


@dataclass(frozen=True)
class ScoreFailure:
    """An image that could not be read, and why."""

    record: ImageRecord
    reason: str


@dataclass(frozen=True)
class PartDecision:
    """What happens to a part.

    Attributes:
        part: Its name.
        group: What it is independent of other groups by.
        score: The highest decision score of its images.
        rejected: Whether that is above the threshold.
        image: The image with that score.
    """

    part: str
    group: str
    score: float
    rejected: bool
    image: Path


@dataclass(frozen=True)
class _Loaded:
    record: ImageRecord
    view: View
    size: tuple[int, int]
    seconds: float


def score_records(
    bundle: "Bundle",
    records: Sequence[ImageRecord],
    batch: int = 16,
    progress: Progress = silent,
    threshold: Threshold | None = None,
) -> Iterator[ImageScore | ScoreFailure]:
    """Score images, reading ahead while the detector works.

    Args:
        bundle: A loaded bundle.
        records: The images; their order is kept.
        batch: Images that are predicted at once.
        progress: Told how many are done.
        threshold: Says whether a fallback takes part, and what is shifted; by default the bundle's current one.

    Yields:
        A score for each image, or a failure for one that cannot be read. Only one batch is held at a time.

    Raises:
        BundleError: If the threshold names a fallback that is missing, damaged, or was never judged.
    """
    threshold = threshold or bundle.thresholds.current()
    fallback = load_fallback(bundle, threshold)
    done = 0
    waiting: list[_Loaded | ScoreFailure] = []
    for loaded in _load_ahead(records, bundle.preprocessing, 2 * batch):
        waiting.append(loaded)
        if len(waiting) == batch or done + len(waiting) == len(records):
            yield from _score_batch(bundle, threshold, fallback, waiting)
            done += len(waiting)
            waiting = []
            progress(done, len(records), "scoring images")


def score_pictures(
    bundle: "Bundle",
    pictures: Iterable[tuple[ImageRecord, Tensor]],
    batch: int = 16,
    threshold: Threshold | None = None,
) -> Iterator[ImageScore]:
    """Score pictures that lie in no file, such as good parts with made-up defects.

    Args:
        bundle: A loaded bundle.
        pictures: What each is to be called, and ``[C, H, W]``, 0..1, as a camera would give it.
        batch: Pictures that are predicted at once, and held.
        threshold: Says whether a fallback takes part, and what is shifted; by default the bundle's current one.

    Raises:
        BundleError: If the threshold names a fallback that is missing, damaged, or was never judged.
    """
    threshold = threshold or bundle.thresholds.current()
    fallback = load_fallback(bundle, threshold)
    remaining = iter(pictures)
    while chunk := list(islice(remaining, batch)):
        loaded = [
            _Loaded(record, bundle.preprocessing.look(image), (image.shape[-2], image.shape[-1]), 0.0)
            for record, image in chunk
        ]
        for outcome in _score_batch(bundle, threshold, fallback, loaded):
            if isinstance(outcome, ImageScore):
                yield outcome


def decide(scores: Iterable[ImageScore | ScoreFailure], threshold: Threshold) -> list[PartDecision]:
    """Decide on every part by the highest decision score of its images.

    Args:
        scores: From ``score_records``; an iterator is consumed without keeping its maps. Failures are passed over, so
            a part with a failure only is not decided on.
        threshold: The one that the scores were made for.

    Returns:
        One decision for each part, in the order in which parts first appear.
    """
    highest: dict[str, tuple[float, ImageRecord]] = {}
    for item in scores:
        if isinstance(item, ScoreFailure):
            continue
        part = item.record.part
        if part not in highest or item.decision_score > highest[part][0]:
            highest[part] = (item.decision_score, item.record)
    return [
        PartDecision(part, record.group, score, score > threshold.value, record.path)
        for part, (score, record) in highest.items()
    ]


def load_fallback(bundle: "Bundle", threshold: Threshold) -> Fallback | None:
    """Load the supervised fallback that a threshold names.

    Raises:
        BundleError: If it is missing, damaged, or was never judged.
    """
    if threshold.fallback is None:
        return None
    fallback = Fallback.load(bundle.fallback_folder(threshold.fallback))
    if fallback.scale is None:
        msg = f"fallback {threshold.fallback} of {bundle.folder} has no scale; run `flawsmith retrain` again"
        raise BundleError(msg)
    return fallback


def grey_map(anomaly_map: NDArray[np.float32], map_range: tuple[float, float]) -> NDArray[np.uint8]:
    """An anomaly map ``[H, W]`` in 256 steps, 0 and 255 being the ends of the range."""
    low, high = map_range
    grey = (np.clip(anomaly_map, low, high) - low) / max(high - low, 1e-12) * 255
    return np.asarray(grey.round(), dtype=np.uint8)


def save_map(anomaly_map: NDArray[np.float32], path: Path, map_range: tuple[float, float]) -> None:
    """Write an anomaly map ``[H, W]`` as a grey PNG of 8 bits, black and white being the ends of the range.

    The file appears whole or not at all; its folder is made.
    """
    grey = grey_map(anomaly_map, map_range)
    with whole(path) as fresh:
        Image.fromarray(grey).save(fresh, format="PNG")


def _score_batch(
    bundle: "Bundle", threshold: Threshold, fallback: Fallback | None, batch: Sequence[_Loaded | ScoreFailure]
) -> Iterator[ImageScore | ScoreFailure]:
    readable = [item for item in batch if isinstance(item, _Loaded)]
    if not readable:
        yield from (item for item in batch if isinstance(item, ScoreFailure))
        return
    images = torch.stack([item.view.image for item in readable])
    started = time.perf_counter()
    found, maps, embedded = bundle.describe(images)
    seconds = (time.perf_counter() - started) / len(readable)
    scores, embeddings = found.double().numpy(), embedded.numpy()
    second = _fallback_scores(bundle, fallback, images, embeddings)
    decision = scores if fallback is None or fallback.scale is None else fuse(scores, second, fallback.scale)
    row = 0
    for item in batch:
        if isinstance(item, ScoreFailure):
            yield item
            continue
        yield ImageScore(
            record=item.record,
            score=float(scores[row]),
            map=item.view.to_picture(maps[row], item.size),
            embedding=embeddings[row],
            fallback_score=None if fallback is None else float(second[row]),
            decision_score=threshold.shifted(float(decision[row]), item.record),
            seconds=item.seconds + seconds,
            part_found=item.view.part_found,
        )
        row += 1


def _fallback_scores(
    bundle: "Bundle", fallback: Fallback | None, images: Tensor, embeddings: NDArray[np.float32]
) -> NDArray[np.float64]:
    if fallback is None:
        return np.full(len(images), np.nan)
    if not fallback.needs_dense:
        return fallback.predict(embeddings)
    dense = getattr(bundle.detector, "dense", None)
    if dense is None:
        msg = f"the fallback of {bundle.folder} needs dense features, which {bundle.manifest.detector} has not"
        raise BundleError(msg)
    with exact():
        features = dense(images).cpu().numpy()
    return fallback.predict(embeddings, features)


def _load_ahead(
    records: Sequence[ImageRecord], preprocessing: Preprocessing, ahead: int
) -> Iterator[_Loaded | ScoreFailure]:
    """Images in their order, read and preprocessed by several threads, at most ``ahead`` of them waiting."""
    remaining = iter(records)
    with ThreadPoolExecutor(min(max(available_cores(), _LEAST_READERS), _MOST_READERS)) as pool:
        waiting: deque[Future[_Loaded | ScoreFailure]] = deque(
            pool.submit(_load, record, preprocessing) for record in islice(remaining, ahead)
        )
        try:
            while waiting:
                loaded = waiting.popleft().result()
                waiting.extend(pool.submit(_load, record, preprocessing) for record in islice(remaining, 1))
                yield loaded
        finally:
            # Stopped early, by Ctrl-C or because the caller has seen enough: what was not begun is not read.
            pool.shutdown(wait=True, cancel_futures=True)


def _load(record: ImageRecord, preprocessing: Preprocessing) -> _Loaded | ScoreFailure:
    started = time.perf_counter()
    try:
        image = read_image(record.path)
    except DataError as error:
        return ScoreFailure(record, str(error))
    size = (image.shape[-2], image.shape[-1])
    return _Loaded(record, preprocessing.look(image), size, time.perf_counter() - started)
