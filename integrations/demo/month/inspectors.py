"""Inspectors who know the truth and err: they answer in the ledger, as ``review pull`` would write it."""

from collections.abc import Mapping
from datetime import timedelta

import numpy as np

from curation.by_hand import SECOND_LOOK
from curation.ledger import AskRow, ImageRow, Ledger, VerdictEntry
from curation.second_looks import open_second_looks
from learning.images.records import ImageRecord

NAMES = ("ada", "ben")
"""Both answer every question."""
THIRD = "cleo"
"""Has the second look where they disagree: then the majority decides."""
SOURCE = "scripted"
"""Of their verdicts."""
_LATER = timedelta(minutes=10)
"""Between a part's picture and the answer, on the same day."""


def answer_all(ledger: Ledger, truth: Mapping[str, ImageRecord], reading_error: float, seed: int) -> int:
    """Answer every open ask, and those about which the answers disagree once more; repeatable.

    Args:
        ledger: With asks.
        truth: By part.
        reading_error: Share of the answers that are wrong: a defect is called good, a good part a defect of no kind.
        seed: Who errs where follows from it, the part and the inspector.

    Returns:
        How many answers are new.
    """
    images = {image.image_id: image for image in ledger.images()}

    def answer() -> int:
        entries = []
        for ask in ledger.asks("created"):
            image = images[ask.image_id]
            for who in (THIRD,) if ask.strategy == SECOND_LOOK else NAMES:
                rng = np.random.default_rng([seed, *f"{image.part} {who}".encode()])
                wrong = bool(rng.random() < reading_error)
                entries.append(_answer(ask, image, truth[image.part], who, wrong))
        return len(ledger.record_verdicts(entries))

    new = answer()
    open_second_looks(ledger, len(NAMES))
    return new + answer()


def _answer(ask: AskRow, image: ImageRow, record: ImageRecord, who: str, wrong: bool) -> VerdictEntry:
    assert image.time is not None  # every picture of the line says when it was taken
    seen = record.defective and not wrong
    return VerdictEntry(
        ask_id=ask.ask_id,
        image_id=ask.image_id,
        inspector=who,
        verdict="defect" if record.defective != wrong else "good",
        at=image.time + _LATER,
        source=SOURCE,
        external_id=f"{ask.ask_id} {who}",
        revision="1",
        regions_mask=record.mask if seen else None,
        defect_class=record.label if seen else None,
    )
