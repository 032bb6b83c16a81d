"""Both models before the same parts: confirmed ones, and made-up defects on confirmed good ones."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from torch import Tensor

from learning.challenge.gains import Pairs
from learning.errors import DataError
from learning.images.pixels import read_image
from learning.images.records import ImageRecord
from learning.progress import Progress, silent
from learning.scoring import ImageScore, score_pictures, score_records
from learning.thresholds import Threshold
from synth.parts.transfer import KINDS_TRANSFERRED, transfer_anywhere

if TYPE_CHECKING:
    from learning.bundle import Bundle

_SHOWN = 3


@dataclass(frozen=True)
class Confirmed:
    """An image that both are judged by.

    Attributes:
        path: The file.
        part: What gets one decision, by the highest score of its images here.
        group: What is independent.
        defective: The truth.
        weight: One over the probability with which it was asked about.
        camera: Where known; thresholds may differ by it.
        lot: Where known, likewise.
    """

    path: Path
    part: str
    group: str
    defective: bool
    weight: float = 1.0
    camera: str | None = None
    lot: str | None = None

    def record(self, part: str) -> ImageRecord:
        """To be scored, as an image of this part."""
        return ImageRecord(path=self.path, part=part, group=self.group, camera=self.camera, lot=self.lot)


@dataclass(frozen=True)
class Decider:
    """A model and the threshold by which it decides, whatever is made current while it is judged."""

    bundle: "Bundle"
    threshold: Threshold

    @classmethod
    def now(cls, bundle: "Bundle") -> Self:
        """A model as it decides now."""
        return cls(bundle, bundle.thresholds.current())


def sit(champion: Decider, challenger: Decider, images: Sequence[Confirmed], progress: Progress = silent) -> Pairs:
    """Have both models decide on confirmed parts.

    Raises:
        DataError: If an image cannot be read: the set is judged whole, or not at all.
    """
    records = [one.record(one.part) for one in images]
    margins = [_margins(model, records, progress) for model in (champion, challenger)]
    _, first, part = np.unique([one.part for one in images], return_index=True, return_inverse=True)
    highest = np.full((2, len(first)), -np.inf)
    for model in range(2):
        np.maximum.at(highest[model], part, margins[model])
    defective, weights = np.zeros(len(first), dtype=bool), np.full(len(first), np.inf)
    np.logical_or.at(defective, part, [one.defective for one in images])
    # A part that was asked about twice had the larger of the two probabilities at least.
    np.minimum.at(weights, part, [one.weight for one in images])
    groups = np.array([images[i].group for i in first], dtype=str)
    return Pairs(highest[0], highest[1], defective, groups, weights)


def sit_synthetic(
    champion: Decider,
    challenger: Decider,
    images: Sequence[Confirmed],
    each: int,
    seed: int,
    progress: Progress = silent,
) -> Pairs:
    """Have both models decide on made-up defects, put on confirmed good parts that neither learnt from.

    The defects are drawn by none of the flaw families, so that no model was trained on their like; their severity is
    uniform. Both see the same pixels.

    Args:
        champion: The model that decides.
        challenger: The model that would.
        images: Those that are good get defects.
        each: Defects for each.
        seed: Of the defects; those of an image are the same whatever other images there are.
        progress: Told how far it is.

    Returns:
        A part for each made-up defect; those on one group are of that group.

    Raises:
        DataError: If an image cannot be read.
    """
    good = [one for one in images if not one.defective]

    def pictures() -> Iterable[tuple[ImageRecord, Tensor]]:
        for one in good:
            picture = read_image(one.path)
            rng = np.random.default_rng([seed, *picture.numpy().tobytes()[:: max(1, picture.nbytes // 64)]])
            kinds = rng.permutation(KINDS_TRANSFERRED)
            for number in range(each):
                flawed = transfer_anywhere(
                    picture.numpy(), str(kinds[number % len(kinds)]), rng, severity=rng.uniform()
                )
                yield one.record(f"{one.part}#{number}"), torch.from_numpy(flawed)

    margins = []
    for model in (champion, challenger):
        scores = []
        for score in score_pictures(model.bundle, pictures(), threshold=model.threshold):
            scores.append(score.decision_score - model.threshold.value)
            progress(len(scores), each * len(good), "scoring made-up defects")
        margins.append(np.array(scores, dtype=np.float64))
    groups = np.array([one.group for one in good for _ in range(each)], dtype=str)
    return Pairs(margins[0], margins[1], np.ones(len(groups), dtype=bool), groups, np.ones(len(groups)))


def _margins(model: Decider, records: Sequence[ImageRecord], progress: Progress) -> np.ndarray:
    """Decision scores less the threshold, ``[N]``."""
    scores, wrong = [], []
    for outcome in score_records(model.bundle, records, progress=progress, threshold=model.threshold):
        if isinstance(outcome, ImageScore):
            scores.append(outcome.decision_score)
        else:
            wrong.append(outcome.reason)
    if wrong:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        msg = f"no judgement without every image of the frozen set: {'; '.join(wrong[:_SHOWN])}{more}"
        raise DataError(msg)
    return np.array(scores, dtype=np.float64) - model.threshold.value
