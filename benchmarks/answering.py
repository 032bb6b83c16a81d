"""A simulated inspector answers questions about a stream, and the product learns from the answers as it would."""

import hashlib
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learning.bundle import Bundle
from learning.detectors import Detector
from learning.detectors.base import Prediction
from learning.fusion import fuse
from learning.images.image_set import ImageSet
from learning.images.records import GOOD, ImageRecord
from learning.progress import Progress, silent
from learning.relearn import Confirmed, Costs, relearn
from learning.sampling import STRATEGIES, Known, draw_asks
from learning.scoring import load_fallback
from learning.supervised.head import predict_score
from learning.thresholds import Threshold

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

UNCERTAINTY, CORE_SET = "scikit-activeml uncertainty", "scikit-activeml core-set"
PEERS = (UNCERTAINTY, CORE_SET)

_FIRST = 1
"""Version of a bundle's first threshold, from before anybody was asked."""
_BATCH = 16


class Remembering:
    """A detector that sees every image once: answers come from memory, which is what makes many replays cheap.

    Args:
        detector: With ``predict``, ``embed`` and ``dense``.
    """

    def __init__(self, detector: Detector) -> None:
        self._detector: Any = detector
        self._seen: dict[bytes, tuple[Tensor, Tensor, Tensor]] = {}

    def predict(self, images: Tensor) -> Prediction:
        """As the detector's; maps are left out."""
        return Prediction(self._recall(images, 0), torch.zeros(len(images), 1, 1))

    def embed(self, images: Tensor) -> Tensor:
        """As the detector's."""
        return self._recall(images, 1)

    def dense(self, images: Tensor) -> Tensor:
        """As the detector's, rounded to half precision."""
        return self._recall(images, 2).float()

    def _recall(self, images: Tensor, what: int) -> Tensor:
        keys = [hashlib.blake2b(image.numpy().tobytes(), digest_size=16).digest() for image in images]
        new = [i for i, key in enumerate(keys) if key not in self._seen]
        if new:
            fresh = images[new]
            found = (self._detector.predict(fresh).scores, self._detector.embed(fresh), self._detector.dense(fresh))
            scores, embeddings, dense = (one.cpu() for one in found)
            for place, i in enumerate(new):
                # Rows of a batch would keep all of it in memory.
                self._seen[keys[i]] = (scores[place], embeddings[place].clone(), dense[place].half())
        return torch.stack([self._seen[key][what] for key in keys])


@dataclass(frozen=True)
class Stage:
    """Images whose truth is known, as a bundle sees them.

    Attributes:
        bundle: Its detector remembers.
        images: ``[N]``, kept in memory.
        scores: ``[N]`` of the detector.
        embeddings: ``[N, D]``.
        trained: ``[T, D]`` of the parts that trained it.
    """

    bundle: Bundle
    images: ImageSet
    scores: Floats
    embeddings: Floats
    trained: Floats

    @property
    def records(self) -> Sequence[ImageRecord]:
        """``[N]``."""
        return self.images.records

    @property
    def defective(self) -> NDArray[np.bool_]:
        """``[N]``."""
        return np.array([record.label != GOOD for record in self.records])

    @property
    def labels(self) -> NDArray[np.str_]:
        """``[N]``."""
        return np.array([record.label for record in self.records], dtype=str)

    @property
    def groups(self) -> NDArray[np.str_]:
        """``[N]``."""
        return np.array([record.group for record in self.records], dtype=str)


@dataclass(frozen=True)
class Decided:
    """Scores that decide after some answers.

    Attributes:
        scores: ``[N]`` decision scores.
        parts: Scores ``[N]`` of the detector and of the fallback by themselves, where a fallback is on.
        threshold: In force.
        asked: Rows that were asked about so far, in order.
        weights: One over the probability with which each of them was.
    """

    scores: Floats
    parts: tuple[Floats, ...]
    threshold: Threshold
    asked: Rows
    weights: Floats


@contextmanager
def stage(folder: Path, records: Sequence[ImageRecord], progress: Progress = silent) -> Iterator[Stage]:
    """Look at all images once, with a copy of a bundle that may be taught.

    Args:
        folder: Of the bundle; it stays as it is.
        records: Good and defective images.
        progress: Told how many were looked at.
    """
    with tempfile.TemporaryDirectory(prefix="flawsmith-answering-") as temporary:
        copy = Path(temporary) / "bundle"
        copy.mkdir()
        for file in sorted(Path(folder).rglob("*")):
            # Fallbacks and thresholds that were learnt since would be a head start.
            name = file.relative_to(folder)
            if file.is_file() and name.parts[0] != "fallbacks":
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                (copy / name).write_bytes(file.read_bytes())
        loaded = Bundle.load(copy)
        bundle = Bundle(copy, loaded.manifest, Remembering(loaded.detector))  # type: ignore[arg-type]
        bundle.thresholds.use(_FIRST)
        images = ImageSet(list(records), bundle.preprocessing)
        scores, embeddings = [], []
        for first in range(0, len(images), _BATCH):
            rows = range(first, min(first + _BATCH, len(images)))
            batch = images.batch(rows)
            scores.append(bundle.detector.predict(batch).scores.double().numpy())
            embeddings.append(bundle.detector.embed(batch).double().numpy())
            progress(rows.stop, len(images), "looking at all images")
        trained = np.asarray(bundle.embeddings("train")[1], dtype=np.float64)
        yield Stage(bundle, images, np.concatenate(scores), np.concatenate(embeddings), trained)


def replay(at: Stage, stream: Rows, strategy: str, answers: Sequence[int], seed: int) -> Iterator[Decided]:
    """Ask about images of a stream, wave after wave, and learn after each as ``flawsmith retrain`` does.

    Args:
        at: All images.
        stream: ``[M]`` rows that may be asked about.
        strategy: One of ``learning.sampling.STRATEGIES`` or of ``PEERS``.
        answers: How many are answered after each wave, ascending.
        seed: Of every draw.

    Yields:
        What decides after each wave.
    """
    at.bundle.thresholds.use(_FIRST)
    threshold = at.bundle.thresholds.current()
    now = Decided(at.scores, (), threshold, np.empty(0, dtype=np.int64), np.empty(0))
    for wave, wanted in enumerate(answers):
        left = np.setdiff1d(stream, now.asked)
        rows, probabilities = _choose(at, now, left, strategy, wanted - len(now.asked), seed * 1000 + wave)
        asked = np.concatenate([now.asked, rows])
        weights = np.concatenate([now.weights, 1 / probabilities])
        # The threshold of before is the parent of each, so that a wave can be learnt again.
        at.bundle.thresholds.use(_FIRST)
        confirmed = [_answer(at.records[row], weight) for row, weight in zip(asked, weights, strict=True)]
        threshold = relearn(at.bundle, confirmed, Costs(), seed).threshold
        scores, parts = decide(at, threshold)
        now = Decided(scores, parts, threshold, asked, weights)
        yield now


def decide(at: Stage, threshold: Threshold) -> tuple[Floats, tuple[Floats, ...]]:
    """Decision scores of all images by a threshold, and those of detector and fallback where both decide."""
    fallback = load_fallback(at.bundle, threshold)
    if fallback is None or fallback.scale is None:
        return at.scores, ()
    heads = None
    if fallback.needs_dense and fallback.head is not None:
        detector: Any = at.bundle.detector
        found = []
        for first in range(0, len(at.images), _BATCH):
            batch = at.images.batch(range(first, min(first + _BATCH, len(at.images))))
            found.append(predict_score(fallback.head, detector.dense(batch).numpy()))
        heads = np.concatenate(found)
    second = fallback.combine(at.embeddings, heads)
    return fuse(at.scores, second, fallback.scale), (at.scores, second)


def _choose(at: Stage, now: Decided, left: Rows, strategy: str, count: int, seed: int) -> tuple[Rows, Floats]:
    """Rows to ask about, and the probabilities with which they were drawn: 1 where nobody knows."""
    if strategy in PEERS:
        return _choose_by_peer(at, now, left, strategy, count, seed), np.ones(count)
    assert strategy in STRATEGIES
    draws = draw_asks(
        now.scores[left],
        now.threshold.value,
        [str(row) for row in left],
        count,
        seed=seed,
        strategy=strategy,
        embeddings=at.embeddings[left],
        opinions=[part[left] for part in now.parts],
        known=Known(at.embeddings[now.asked], at.labels[now.asked].tolist()),
        trained=at.trained,
    )
    return left[[draw.index for draw in draws]], np.array([draw.inclusion_probability for draw in draws])


def _choose_by_peer(at: Stage, now: Decided, left: Rows, strategy: str, count: int, seed: int) -> Rows:
    """By scikit-activeml, on the same embeddings, standardised; its classifier is a logistic regression."""
    from skactiveml.classifier import SklearnClassifier
    from skactiveml.pool import CoreSet, UncertaintySampling
    from sklearn.linear_model import LogisticRegression

    rows = np.concatenate([now.asked, left])
    spread = np.maximum(at.trained.std(axis=0), 1e-6)
    embeddings = (at.embeddings[rows] - at.trained.mean(axis=0)) / spread / np.sqrt(at.embeddings.shape[1])
    said = np.full(len(rows), np.nan)
    said[: len(now.asked)] = at.defective[now.asked]
    if strategy == CORE_SET:
        chosen = CoreSet(random_state=seed).query(embeddings, said, batch_size=count)
    else:
        regression = LogisticRegression(C=10.0, class_weight="balanced", max_iter=1000)
        classifier = SklearnClassifier(regression, classes=[0, 1], random_state=seed)
        with warnings.catch_warnings():
            # That nothing can be fitted before both kinds were answered; it then takes any.
            warnings.simplefilter("ignore", UserWarning)
            chosen = UncertaintySampling(random_state=seed).query(embeddings, said, classifier, batch_size=count)
    return rows[np.asarray(chosen)]


def _answer(record: ImageRecord, weight: float) -> Confirmed:
    """The truth, with the mask that the inspector draws."""
    mask = record.mask if record.defective else None
    return Confirmed(record.path, record.part, record.group, record.defective, weight, mask)
