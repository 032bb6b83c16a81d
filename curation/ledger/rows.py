"""What is read from the ledger; times are aware, in UTC."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from curation.ledger.entries import (
    AskState,
    ChallengeEntry,
    ChampionEvent,
    Decision,
    GoldSaid,
    SetKind,
    SetMember,
    Severity,
    ShadowEntry,
    TagEvent,
    Truth,
    Verdict,
)
from learning.thresholds import Origins

State = Literal["good", "defect", "unresolved"]


@dataclass(frozen=True)
class ImageRow:
    """An image; fields as in ``ImageEntry``. ``image_id``: first 32 hexadecimal digits of the content's SHA-256."""

    image_id: str
    path: Path
    part: str
    group: str
    lot: str | None
    camera: str | None
    time: datetime | None
    added_at: datetime


@dataclass(frozen=True)
class ModelRow:
    """A model; fields as in ``ModelEntry``, None where it was used without being recorded."""

    model_id: str
    path: Path | None
    detector: str | None
    weights: str | None
    trained_at: datetime | None
    recorded_at: datetime


@dataclass(frozen=True)
class ThresholdRow:
    """A version of a model's threshold.

    Attributes:
        model_id: Whose.
        version: From 1.
        value: A part is rejected above it.
        promise_text: What it promises, in words.
        parent: The version it follows.
        reason: Why it was made.
        recorded_at: When the ledger heard of it.
        origins: Values of their own for cameras or lots, by which decision scores are shifted; None where one value is
            for all.
    """

    model_id: str
    version: int
    value: float
    promise_text: str
    parent: int | None
    reason: str
    recorded_at: datetime
    origins: Origins | None = None

    def about(self, image: ImageRow) -> str:
        """What it promises of an image, in words."""
        return self.promise_text if self.origins is None else self.origins.about(image, self.promise_text)


@dataclass(frozen=True)
class ScoreRow:
    """A score; fields as in ``ScoreEntry``."""

    image_id: str
    model_id: str
    threshold_version: int
    score: float
    decision_score: float
    fallback_score: float | None
    percentile: float | None
    decision: Decision
    map_path: Path | None
    batch: str
    recorded_at: datetime


@dataclass(frozen=True)
class AskRow:
    """An ask; fields as in ``AskEntry``, and what became of it.

    Attributes:
        ask_id: 32 hexadecimal digits.
        state: ``created``, ``pushed``, ``answered``, or ``withdrawn`` (nobody has to answer it any more).
        project_id: Label Studio's project, once pushed.
        task_id: Label Studio's task, once pushed.
    """

    ask_id: str
    image_id: str
    reason: str
    inclusion_probability: float
    strategy: str
    model_id: str
    threshold_version: int
    seed: int
    state: AskState
    created_at: datetime
    pushed_at: datetime | None
    answered_at: datetime | None
    project_id: int | None
    task_id: int | None


@dataclass(frozen=True)
class VerdictRow:
    """A verdict; fields as in ``VerdictEntry``, and the model and threshold that the inspector was shown.

    ``regions_sha256`` is the checksum of the mask's file when the verdict was recorded; None where there was no file.
    """

    number: int
    ask_id: str | None
    image_id: str
    inspector: str
    verdict: Verdict
    at: datetime
    source: str
    external_id: str
    revision: str
    regions_mask: Path | None
    regions_sha256: str | None
    defect_class: str | None
    note: str | None
    model_id: str | None
    threshold_version: int | None
    recorded_at: datetime
    severity: Severity | None = None


@dataclass(frozen=True)
class TagRow:
    """A tag that somebody gave an image."""

    image_id: str
    tag: str
    who: str
    at: datetime


@dataclass(frozen=True)
class TagEventRow:
    """A change of a tag, as ``TagEntry``, and when the ledger heard of it."""

    image_id: str
    tag: str
    event: TagEvent
    who: str
    at: datetime
    recorded_at: datetime


@dataclass(frozen=True)
class Resolution:
    """What the inspectors together say of an image.

    Attributes:
        image_id: The image.
        state: ``unresolved`` where they disagree or one of them is unsure.
        verdicts: Those that count: one of each inspector, in time order.
        inclusion_probability: Of the first ask that they answer; None where nobody asked.
        mask_path: The latest confirmed mask, where the state is ``defect`` and there is one.
    """

    image_id: str
    state: State
    verdicts: tuple[VerdictRow, ...]
    inclusion_probability: float | None
    mask_path: Path | None


@dataclass(frozen=True)
class Event:
    """One line of an image's history."""

    at: datetime
    text: str


@dataclass(frozen=True)
class GoldEventRow:
    """A word on what an image shows, or that nobody vouches for it any longer."""

    image_id: str
    said: GoldSaid
    who: str
    note: str
    at: datetime


@dataclass(frozen=True)
class History:
    """All that the ledger knows of an image, each list in time order.

    Attributes:
        image: The image.
        scores: By every model and threshold version.
        models: Those that scored it or were shown with it.
        thresholds: The versions that decided, with their promises.
        asks: When somebody was asked, why, and with which probability.
        verdicts: All of them, also revised and withdrawn ones.
        resolution: What the verdicts come to; None without one that counts.
        tags: That are set.
        tag_events: Every change of them.
        gold_events: Who vouched for what it shows, replaced and withdrawn words included.
        events: The same as lines of text.
    """

    image: ImageRow
    scores: tuple[ScoreRow, ...]
    models: tuple[ModelRow, ...]
    thresholds: tuple[ThresholdRow, ...]
    asks: tuple[AskRow, ...]
    verdicts: tuple[VerdictRow, ...]
    resolution: Resolution | None
    tags: tuple[TagRow, ...]
    tag_events: tuple[TagEventRow, ...]
    gold_events: tuple[GoldEventRow, ...]
    events: tuple[Event, ...]


@dataclass(frozen=True)
class SetRow:
    """A set version: a named list of images and verdicts that never changes.

    Attributes:
        name: Unique in the ledger.
        kind: ``training``, or ``frozen``: judged on, never trained on.
        fingerprint: SHA-256 over what the members are, wherever their files lie.
        parent: Name of the version before, or None.
        rule: How it was chosen, as JSON.
        note: Free text.
        created_at: When it was made.
    """

    name: str
    kind: SetKind
    fingerprint: str
    parent: str | None
    rule: str
    note: str
    created_at: datetime


@dataclass(frozen=True)
class SetVersion:
    """A set version with its members, in the order of image ids."""

    row: SetRow
    members: tuple[SetMember, ...]


@dataclass(frozen=True, kw_only=True)
class ChallengeRow(ChallengeEntry):
    """A judgement, as ``ChallengeEntry``, with its number and when it was made."""

    number: int
    at: datetime


@dataclass(frozen=True)
class ChampionRow:
    """Which model decides from a time on.

    Attributes:
        number: The highest number of a camera is in force.
        camera: Whose model it is; empty for all cameras.
        model_id: The champion.
        previous: The model that it took over from.
        event: How it came about.
        reason: In words.
        challenge: The judgement that promoted it.
        at: Since when.
    """

    number: int
    camera: str
    model_id: str
    previous: str | None
    event: ChampionEvent
    reason: str
    challenge: int | None
    at: datetime


@dataclass(frozen=True)
class RegressionRow:
    """An image that every challenger has to reject."""

    image_id: str
    who: str
    note: str
    at: datetime


@dataclass(frozen=True)
class GoldItem:
    """An image whose truth somebody vouches for, to be put among the tasks of inspectors."""

    image_id: str
    truth: Truth
    who: str
    note: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class ShadowRow(ShadowEntry):
    """A comparison on live traffic, as ``ShadowEntry``, with when it was made."""

    at: datetime
