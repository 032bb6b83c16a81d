"""What is written into the ledger; times are aware datetimes or ISO strings, naive ones are taken as UTC."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

Decision = Literal["accept", "reject"]
Verdict = Literal["good", "defect", "unsure", "skipped", "withdrawn"]
AskState = Literal["created", "pushed", "answered", "withdrawn"]
SetKind = Literal["training", "frozen"]
Truth = Literal["good", "defect"]
GoldSaid = Literal["good", "defect", "withdrawn"]
Severity = Literal["critical", "not critical"]
MemberState = Literal["good", "defect"]
TagEvent = Literal["set", "removed"]
ChampionEvent = Literal["appointed", "promoted", "rolled back"]


@dataclass(frozen=True)
class ImageEntry:
    """An image file.

    Attributes:
        path: The file; it has to be readable, its content gives the image id.
        part: What gets one decision; by default the path.
        group: What is independent of the rest; by default the part.
        lot: Production lot.
        camera: Camera.
        time: When the picture was taken.
    """

    path: Path | str
    part: str | None = None
    group: str | None = None
    lot: str | None = None
    camera: str | None = None
    time: datetime | str | None = None


@dataclass(frozen=True)
class ModelEntry:
    """A trained bundle.

    Attributes:
        model_id: The bundle's fingerprint.
        path: The bundle's folder.
        detector: Name of the detector.
        weights: Where its weights came from.
        trained_at: When it was trained.
    """

    model_id: str
    path: Path | str | None = None
    detector: str | None = None
    weights: str | None = None
    trained_at: datetime | str | None = None


@dataclass(frozen=True)
class ScoreEntry:
    """What a model said of an image under a version of its threshold.

    Attributes:
        image_id: From ``Ledger.add_images``.
        model_id: The bundle's fingerprint.
        threshold_version: Version of the threshold that decided.
        score: The detector's score; higher is more anomalous.
        decision_score: What was compared with the threshold.
        decision: ``accept`` or ``reject``.
        fallback_score: The supervised fallback's score, where it is on.
        percentile: 0 to 100, of the score among good parts.
        map_path: The anomaly map, 8-bit grey.
        batch: Name of the run that scored it.
    """

    image_id: str
    model_id: str
    threshold_version: int
    score: float
    decision_score: float
    fallback_score: float | None = None
    percentile: float | None = None
    decision: Decision = "accept"
    map_path: Path | str | None = None
    batch: str = ""


@dataclass(frozen=True)
class AskEntry:
    """An image to be sent to an inspector.

    Attributes:
        image_id: From ``Ledger.add_images``.
        reason: Why it was chosen, such as ``borderline`` or ``audit``.
        inclusion_probability: With which it could have been chosen; above 0, at most 1.
        strategy: Name of the design that drew it.
        model_id: The model whose score is shown.
        threshold_version: The threshold that is shown.
        seed: Of the draw.
    """

    image_id: str
    reason: str
    inclusion_probability: float
    strategy: str
    model_id: str
    threshold_version: int
    seed: int = 0


@dataclass(frozen=True)
class VerdictEntry:
    """What an inspector said, or one later revision of it.

    Attributes:
        ask_id: The ask that was answered; None for a verdict that nobody asked for, such as an imported label.
        image_id: The image.
        inspector: Who.
        verdict: ``skipped`` is no answer; ``withdrawn`` cancels an earlier one.
        at: When it was said.
        source: Where it comes from, such as a Label Studio project; with ``external_id`` it names an annotation.
        external_id: The annotation's id there.
        revision: What changes with every edit of the annotation.
        regions_mask: Mask of the confirmed regions, 8-bit grey.
        defect_class: Kind of defect, in the inspector's words.
        note: Free text.
        severity: Of a defect, in the inspector's judgement.
    """

    ask_id: str | None
    image_id: str
    inspector: str
    verdict: Verdict
    at: datetime | str
    source: str
    external_id: str
    revision: str
    regions_mask: Path | str | None = None
    defect_class: str | None = None
    note: str | None = None
    severity: Severity | None = None


@dataclass(frozen=True)
class TagEntry:
    """A tag that is set, or taken away.

    Attributes:
        image_id: The image.
        tag: Any text.
        event: Which of the two.
        who: Name of the person or program.
        at: When, as far as it is known; by default now.
    """

    image_id: str
    tag: str
    event: TagEvent
    who: str
    at: datetime | str | None = None


@dataclass(frozen=True)
class SetMember:
    """One image of a set version.

    Attributes:
        image_id: First 32 hexadecimal digits of the SHA-256 of the file; the image need not be in the ledger.
        path: Where it lay.
        part: What gets one decision.
        group: What is independent.
        state: What it was taken for.
        verdicts: Numbers of the verdicts that say so; empty where the data set does.
        weight: One over the probability with which it was asked about; 1 where nobody was asked.
        mask: Of the defect.
        mask_sha256: Checksum of that file.
    """

    image_id: str
    path: Path
    part: str
    group: str
    state: MemberState
    verdicts: tuple[int, ...] = ()
    weight: float = 1.0
    mask: Path | None = None
    mask_sha256: str | None = None


@dataclass(frozen=True)
class ChallengeEntry:
    """A judgement of a challenger.

    Attributes:
        camera: Whose models they are; empty for all cameras.
        champion_id: The model that decides.
        champion_threshold: Its threshold's version.
        challenger_id: The model that would.
        challenger_threshold: Its threshold's version.
        training_set: Name of the version that the challenger was trained on; None where it was trained elsewhere.
        frozen_set: Name of the version that both were judged on.
        rules_sha256: Checksum of what the challenger had to show.
        wins: Whether it showed it.
        text: The judgement in words.
        report: All figures, as JSON.
    """

    camera: str
    champion_id: str
    champion_threshold: int
    challenger_id: str
    challenger_threshold: int
    training_set: str | None
    frozen_set: str
    rules_sha256: str
    wins: bool
    text: str
    report: str


@dataclass(frozen=True)
class ShadowEntry:
    """What champion and challenger say of one image; only the champion decides.

    Attributes:
        image_id: From ``Ledger.add_images``.
        champion_id: The model that decides.
        champion_threshold: Its threshold's version.
        champion_score: Its decision score.
        champion_decision: About the part.
        challenger_id: The model in the shadow.
        challenger_threshold: Its threshold's version.
        challenger_score: Its decision score.
        challenger_decision: What it would have decided about the part.
        batch: Name of the run.
    """

    image_id: str
    champion_id: str
    champion_threshold: int
    champion_score: float
    champion_decision: Decision
    challenger_id: str
    challenger_threshold: int
    challenger_score: float
    challenger_decision: Decision
    batch: str = ""
