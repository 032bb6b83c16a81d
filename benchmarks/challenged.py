"""A challenger that answers teach, trained as the product trains one, and what it says of images."""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.answering import Floats, Rows, Stage
from benchmarks.console import say
from integrations.cli.console import bar
from learning.bundle import Bundle
from learning.defects import cut_from_files
from learning.detectors import Budget
from learning.images.image_set import ImageSet
from learning.images.records import ImageRecord
from learning.training import train_on_records
from synth.sources.defects import bank_of

_BATCH = 16


def train_challenger(
    champion: Bundle,
    every: Sequence[ImageRecord],
    answered: Sequence[ImageRecord],
    out: Path,
    steps: int,
    start: Bundle | None = None,
) -> Bundle:
    """Train one on the champion's good parts and on answers.

    Args:
        champion: With the configuration; the seed is another one.
        every: Of the data set; those of its training part are taken.
        answered: Confirmed good parts, which train, and confirmed defects: those with a mask are a source of flaws.
        out: Folder of its bundle.
        steps: Of the training.
        start: Whose weights it goes on from; it then is shown the confirmed defects, too.
    """
    defects = [one for one in answered if one.defective]
    cuts = [cut_from_files(one.path, one.mask, name=one.path.stem, group=one.group) for one in defects if one.mask]
    with bar() as progress:
        return train_on_records(
            [one for one in every if one.split == "train"],
            out,
            config=champion.manifest.config,
            budget=Budget(steps=steps),
            seed=champion.manifest.seed + 1,
            confirmed_good=[one for one in answered if not one.defective],
            defects=bank_of(cuts),
            pictures=defects if start else [],
            start=start,
            progress=progress,
        )


def scores_of(bundle: Bundle, at: Stage, rows: Rows) -> Floats:
    """``[N]``: of these rows, seen as the model sees them (from scratch, it chooses a view of its own); else 0."""
    images = ImageSet([at.records[row] for row in rows], bundle.preprocessing)
    scores = np.zeros(len(at.records))
    for first in range(0, len(rows), _BATCH):
        some = range(first, min(first + _BATCH, len(rows)))
        scores[rows[some]] = bundle.detector.predict(images.batch(some)).scores.double().numpy()
    return scores


@dataclass
class Tuner:
    """Trains a challenger from the champion's weights after some answers.

    Attributes:
        champion: Trained on good parts alone.
        every: Of its data set.
        steps: Of each training.
        seconds: Processor time of each training so far.
    """

    champion: Bundle
    every: Sequence[ImageRecord]
    steps: int
    seconds: list[float] = field(default_factory=list)

    def scores(self, at: Stage, asked: Rows, measured: Rows) -> Floats:
        """``[N]``: what a challenger that was taught by the rows asked says of those measured; of others 0.

        Its own detector alone: no fallback is fitted on top of it. All answers teach it; of those of a ledger,
        ``flawsmith retrain challenger`` sets some aside to judge by and to set the threshold.
        """
        began = time.process_time()
        with tempfile.TemporaryDirectory(prefix="flawsmith-challenger-") as folder:
            answered = [at.records[row] for row in asked]
            out = Path(folder) / "bundle"
            bundle = train_challenger(self.champion, self.every, answered, out, self.steps, self.champion)
            self.seconds.append(time.process_time() - began)
            say(f"challenger after {len(asked)} answers: {self.seconds[-1]:.0f} s")
            return scores_of(bundle, at, measured)
