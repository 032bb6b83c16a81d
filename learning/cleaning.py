"""Defects hidden among parts that are called good: found before training, by models that have not seen them.

Good parts are cut into folds by group. Each fold is scored by a detector that was trained on the others, and what lies
beyond the usual scores of its fold is suspected and does not train. A detector that has itself learnt from a defective
part takes it for sound; one that has not knows it only by other defects of its kind, of which there are few.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from learning.detectors import Budget, Detector
from learning.errors import BundleError
from learning.images.image_set import ImageSet
from learning.images.records import ImageRecord
from learning.progress import Progress, named, silent
from learning.sealed import read_sealed, write_sealed
from learning.splits import split_groups
from learning.tails import FEWEST, limit_among_flawed

if TYPE_CHECKING:
    from learning.config import Clean
    from learning.flaw_sources import FlawSources

_BATCH = 16
_SECONDS_PER_MEGAPIXEL = 0.6
"""What scoring takes at most, to leave time for it."""

_SCORES = "scores.json"


class Suspect(BaseModel):
    """A picture that is called good and does not look it.

    Attributes:
        image: Its file.
        score: Of a detector that has not seen its group.
        limit: Above which scores of its fold are suspected.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    image: str
    score: float
    limit: float


class Cleaned(BaseModel):
    """What was left out of training, and by which rule.

    Attributes:
        judged: Pictures that were judged.
        rate: Probability that an ordinary one is suspected.
        suspects: Those left out, the farthest beyond its limit first.
        reason: Why nothing was judged; empty where it was.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    judged: int = 0
    rate: float = 0.0
    suspects: tuple[Suspect, ...] = ()
    reason: str = ""

    def text(self) -> str:
        """What was found, in one sentence."""
        if self.reason:
            return f"not looked for hidden defects: {self.reason}"
        return (
            f"{len(self.suspects)} of {self.judged} training pictures do not look good and train nothing; of ordinary "
            f"ones about {self.rate:.1%} would be suspected"
        )


def find_suspects(
    options: "Clean",
    train: Sequence[ImageRecord],
    selection: ImageSet,
    make: Callable[[], Detector],
    images: Callable[[Sequence[ImageRecord]], ImageSet],
    sources: "FlawSources",
    *,
    seed: int,
    budget: Budget,
    progress: Progress = silent,
    checkpoint: Path,
) -> Cleaned:
    """Train a detector for each fold on the other folds, and judge the fold by it.

    Args:
        options: Folds, share of the budget, and rate.
        train: Good parts that train; those that select and calibrate take no part, or promises would be about parts
            that were picked.
        selection: Good parts that detectors set scales and the like by.
        make: Makes an untrained detector.
        images: Pictures of records, as the detector sees them.
        sources: What made-up flaws may be taken from.
        seed: Of folds and trainings.
        budget: Of the whole training, of which a share is used.
        progress: Told how far it is.
        checkpoint: Folder in which an interrupted search leaves what it has, and goes on from.
    """
    groups = len({record.group for record in train})
    if groups < 2 * options.folds:
        return Cleaned(reason=f"it takes {2 * options.folds} independent groups that train, and there are {groups}")
    names = [f"fold {number}" for number in range(1, options.folds + 1)]
    folds = split_groups(train, dict.fromkeys(names, 1 / options.folds), seed)
    fewest = min(len(fold) for fold in folds.values())
    if fewest < FEWEST:
        return Cleaned(reason=f"it takes {FEWEST} pictures in each of {options.folds} folds, and one has {fewest}")
    found: list[Suspect] = []
    for name, fold in folds.items():
        folder = checkpoint / "clean" / f"{name.replace(' ', '-')}-{seed}"
        scores = _restore(folder, fold)
        if scores is None:
            rest = [record for other, records in folds.items() if other != name for record in records]
            scores = _score_unseen(
                make(),
                images(rest),
                images(fold),
                selection,
                sources,
                seed,
                _slot(budget, options),
                named(progress, f"looking for hidden defects, {name} of {options.folds}"),
                folder,
            )
        limit = limit_among_flawed(scores, options.rate)
        assert limit is not None
        found += [
            Suspect(image=str(record.path), score=float(score), limit=limit)
            for record, score in zip(fold, scores, strict=True)
            if score > limit
        ]
    found.sort(key=lambda one: (one.limit - one.score, one.image))
    return Cleaned(judged=len(train), rate=options.rate, suspects=tuple(found))


def without_suspects(train: Sequence[ImageRecord], cleaned: Cleaned) -> list[ImageRecord]:
    """Those of the training parts that are not suspected."""
    suspected = {one.image for one in cleaned.suspects}
    return [record for record in train if str(record.path) not in suspected]


def rest_after(budget: Budget, cleaned: Cleaned, options: "Clean", started: float) -> Budget:
    """What is left of a budget once folds were judged.

    Args:
        budget: Of the whole.
        cleaned: What came of it.
        options: As they were given.
        started: When it began, by ``time.monotonic``.
    """
    if budget.minutes is not None:
        return budget.after(time.monotonic() - started)
    if cleaned.reason:
        return budget
    return Budget(steps=max(1, (budget.steps or 0) - options.folds * (_slot(budget, options).steps or 0)))


def _slot(budget: Budget, options: "Clean") -> Budget:
    if budget.minutes is not None:
        return Budget(minutes=budget.minutes * options.share / options.folds)
    return Budget(steps=max(1, round((budget.steps or 0) * options.share / options.folds)))


def _score_unseen(
    detector: Detector,
    rest: ImageSet,
    fold: ImageSet,
    selection: ImageSet,
    sources: "FlawSources",
    seed: int,
    slot: Budget,
    progress: Progress,
    folder: Path,
) -> NDArray[np.float64]:
    """``[N]`` scores of a fold by a detector that was trained on the rest."""
    megapixels = len(fold) * detector.preprocessing.height * detector.preprocessing.width / 1e6
    if slot.minutes is not None:
        slot = Budget(minutes=slot.minutes - min(megapixels * _SECONDS_PER_MEGAPIXEL / 60, slot.minutes / 2))
    detector.fit(rest, selection, seed, slot, progress, folder, sources)
    scores = []
    for first in range(0, len(fold), _BATCH):
        places = range(first, min(first + _BATCH, len(fold)))
        scores.append(detector.predict(fold.batch(places)).scores)
        progress(places.stop, len(fold), "judging")
    values: NDArray[np.float64] = torch.cat(scores).double().cpu().numpy()
    folder.mkdir(parents=True, exist_ok=True)
    write_sealed(folder / _SCORES, {"scores": values.tolist()})
    return values


def _restore(folder: Path, fold: Sequence[ImageRecord]) -> NDArray[np.float64] | None:
    """What an interrupted run has found out of a fold; None where it had not come so far."""
    if not (folder / _SCORES).is_file():
        return None
    try:
        scores = np.array(read_sealed(folder / _SCORES)["scores"], dtype=np.float64)
    except BundleError:
        return None
    return scores if len(scores) == len(fold) else None
