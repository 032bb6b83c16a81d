"""What a report on one turn of the loop says, as plain data."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict


class _Content(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Share(_Content):
    """A rate, or another figure between 0 and 1, with its interval.

    Attributes:
        value: None where there is nothing to count.
        low: Lower end of the 95 % interval.
        high: Upper end.
        hits: Parts that count towards it; None where it is no share of parts.
        of: All parts.
    """

    value: float | None
    low: float | None
    high: float | None
    hits: int | None = None
    of: int | None = None


class Figures(_Content):
    """How good the decisions are at one threshold.

    Attributes:
        false_reject: Share of the good parts that were rejected.
        escape: Share of the defective parts that were accepted.
        auroc: Image AUROC of the decision scores.
    """

    false_reject: Share
    escape: Share
    auroc: Share


class Comparison(_Content):
    """The same parts, decided three times.

    Attributes:
        name: Of the parts.
        before: By the first threshold.
        unasked: By a threshold with the later one's promise, from calibration parts alone: what a looser promise gives
            without any answer.
        after: By the later threshold.
    """

    name: str
    before: Figures
    unasked: Figures
    after: Figures


class Outcome(_Content):
    """What was decided about one part.

    Attributes:
        part: Its name.
        kind: What it is.
        label: ``good`` or the defect, as it truly is.
        image: The picture that decided.
        map: Its anomaly map, or None.
        mask: Where the defect truly is, or None.
        before: Decision score of the first threshold.
        after: Decision score now.
        rejected_before: The decision then.
        rejected_unasked: The decision with the later promise, without answers.
        rejected_after: The decision now.
    """

    part: str
    kind: str
    label: str
    image: Path
    map: Path | None
    mask: Path | None
    before: float
    after: float
    rejected_before: bool
    rejected_unasked: bool
    rejected_after: bool

    @property
    def defective(self) -> bool:
        """Whether it truly is."""
        return self.label != "good"


class Decided(_Content):
    """A threshold: its version, its value, what it promises, why it was set, and its fallback."""

    version: int
    value: float
    promise: str
    reason: str
    fallback: str | None


class Camera(_Content):
    """One camera with its model: its parts and its three thresholds."""

    comparison: Comparison
    before: Decided
    unasked: Decided
    after: Decided


class Measurement(_Content):
    """Before and after on a stream that nobody was asked about.

    Attributes:
        stream: Its name.
        overall: All parts; the AUROC is the mean over cameras, as scores of different models are no one scale.
        cameras: Each camera.
        parts: Every part.
        answers: Answers of inspectors that made the difference.
    """

    stream: str
    overall: Comparison
    cameras: list[Camera]
    parts: list[Outcome]
    answers: int


class Answered(_Content):
    """One answer of an inspector."""

    at: str
    inspector: str
    part: str
    image: Path
    reason: str
    probability: float
    score: float
    threshold_version: int
    verdict: str
    defect_class: str | None
    painted: bool


class Report(_Content):
    """All of a report.

    Attributes:
        title: Heading.
        measurement: Before and after.
        answers: The log of the answers.
        steps: What was done, and how many seconds it took.
        facts: Names and values about data, model and machine.
        weighed: What retraining weighed.
    """

    title: str
    measurement: Measurement
    answers: list[Answered]
    steps: list[tuple[str, float]]
    facts: list[tuple[str, str]]
    weighed: dict[str, Any]
