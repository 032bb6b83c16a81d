"""What is done on a day, and at the end of a week; each can be run again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curation.drift.cameras import Rules
from curation.triggers import challenger_due
from integrations.asking import Asking, top_up_each
from integrations.challengers import Options, groups_that_taught
from integrations.daily import DailyBudget
from integrations.demo.month.figures import PartOfADay
from integrations.demo.month.inspectors import NAMES, answer_all
from integrations.demo.month.settings import RULES, MonthSettings
from integrations.demo.truth import Truth
from integrations.recording import confirmed_images, record_model, score_images
from integrations.succession import challenge, champion_of
from learning.bundle import MANIFEST, Bundle, by_group
from learning.config import TrainConfig
from learning.detectors import Budget
from learning.errors import DataError, PromiseError
from learning.images.readers import read_data
from learning.images.records import ImageRecord
from learning.progress import Progress
from learning.relearn import Costs, relearn
from learning.scoring import decide, score_records
from learning.thresholds import Threshold, conformal_threshold
from learning.training import train_bundle
from synth.parts import make_day, make_parts

if TYPE_CHECKING:
    from curation.ledger import Ledger

_SHARES: dict[Any, float] = {"train": 0.4, "selection": 0.1, "calibration": 0.5}
"""As in the demo of one stream: many parts calibrate."""
_WATCHED = Rules(kind="lot")
"""Lots of the line ordinarily differ in light and material."""
_BEGIN = 2
"""Version of the threshold that the month begins with: training set one of another promise."""


@dataclass
class Plant:
    """A line, its ledger, and the model that it began with.

    Attributes:
        folder: For everything.
        settings: What the month is like.
        ledger: The truth about images, asks and verdicts.
        progress: Told how far a step is.
    """

    folder: Path
    settings: MonthSettings
    ledger: "Ledger"
    progress: Progress

    @property
    def good(self) -> Path:
        """Good parts from before the first day."""
        return self.folder / "good"

    @property
    def home(self) -> Path:
        """Folder for maps, embeddings and challengers."""
        return self.folder / "home"

    @cached_property
    def first(self) -> Bundle:
        """The model that decides all month without the loop."""
        return Bundle.load(self.folder / "bundle")

    def day_folder(self, day: int) -> Path:
        """What came off the line on a day."""
        return self.folder / f"day_{day:02d}"


def begin(plant: Plant) -> dict[str, Any]:
    """Make good parts, learn from them, and appoint the champion."""
    settings = plant.settings
    made = {"good": settings.good, "test_good": 0, "defective": 0, "seed": settings.seed, "size": settings.size}
    make_parts(plant.good, settings.kind, progress=plant.progress, **made)
    if not (plant.folder / "bundle" / MANIFEST).is_file():
        train_bundle(
            plant.good,
            plant.folder / "bundle",
            config=TrainConfig(shares=_SHARES, size=settings.size),
            budget=Budget(steps=settings.steps),
            seed=settings.seed,
            progress=plant.progress,
        )
    store = plant.first.thresholds
    if store.current().version < _BEGIN:
        parent = store.current()
        groups = by_group(plant.first.calibration)
        value, promise = conformal_threshold(groups, settings.max_false_reject, parent.promise.confidence)
        store.add(Threshold(value=value, promise=promise, reason="what the plant can bear", parent=parent.version))
    champion_of(plant.ledger, folder=plant.first.folder)
    return {"promise": store.get(_BEGIN).promise.text}


def work(plant: Plant, day: int) -> dict[str, Any]:
    """Decide about the parts of a day, ask about some, and hear what the inspectors say."""
    settings, ledger = plant.settings, plant.ledger
    folder = make_day(plant.day_folder(day), settings.line(), day, plant.progress)
    records = read_data(folder / "images.csv")
    champion = champion_of(ledger)
    batch = f"day {day}"
    scored = score_images(champion, records, ledger=ledger, home=plant.home, batch=batch, progress=plant.progress)
    rejected = {image.part for image in scored.scored if image.decision == "reject"}
    # What both have answered already is not asked anew where this day is done again.
    budget = DailyBudget(settings.questions, len(NAMES))
    asking = Asking(settings.questions, settings.seed + day, batch, daily=budget)
    asked = top_up_each(ledger, [champion], asking, now=_time_of(records))
    truth = {record.part: record for record in Truth.read(folder).records}
    answered = answer_all(ledger, truth, settings.reading_error, settings.seed)
    without = _rejected_without(plant, records)
    parts = [
        PartOfADay(part=part, label=record.label, without=part in without, with_loop=part in rejected)
        for part, record in truth.items()
    ]
    return {"asked": asked, "answered": answered, "parts": [part.model_dump() for part in parts]}


def learn(plant: Plant) -> dict[str, Any]:
    """What a plant does at the end of a week: a challenger if one is due, then the threshold of what decides."""
    settings, ledger = plant.settings, plant.ledger
    champion = champion_of(ledger)
    new = settings.new_verdicts
    due = challenger_due(ledger, if_new=new, if_drift=True, rules=_WATCHED, progress=plant.progress)
    said = due.text
    if due.due:
        options = Options(Budget(steps=settings.steps), seed=settings.seed)
        try:
            outcome = challenge(ledger, plant.good, plant.home, options, RULES, progress=plant.progress)
        except (PromiseError, DataError) as error:
            said = str(error)
        else:
            champion, said = (outcome.challenger if outcome.promoted else champion), outcome.row.text
    confirmed, _ = confirmed_images(ledger, champion.fingerprint, groups_that_taught(ledger, champion))
    costs = Costs(escape=settings.cost_escape)
    learned = relearn(champion, confirmed, costs, settings.seed, plant.progress, settings.max_false_reject)
    record_model(ledger, champion)
    return {
        "drift": list(due.drift),
        "due": due.due,
        "challenger": said,
        "champion": champion.fingerprint,
        "threshold": learned.report["text"],
        "fallback": learned.threshold.fallback is not None,
    }


def _rejected_without(plant: Plant, records: Sequence[ImageRecord]) -> set[str]:
    threshold = plant.first.thresholds.get(_BEGIN)
    scores = score_records(plant.first, records, progress=plant.progress, threshold=threshold)
    return {decision.part for decision in decide(scores, threshold) if decision.rejected}


def _time_of(records: Sequence[ImageRecord]) -> datetime:
    """When a day's first part was made."""
    return datetime.fromisoformat(min(str(record.time) for record in records))
