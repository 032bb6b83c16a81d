"""What is said of a camera, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from curation.drift.units import UnitKind


@dataclass(frozen=True)
class Finding:
    """An alarm.

    Attributes:
        camera: Empty where pictures have none.
        statistic: Which.
        direction: ``higher``, ``lower``, ``more spread`` or ``different``.
        raised_at: When the picture was taken with which it was raised.
        raised_by: Name of the part or lot.
        since_at: When it most likely began.
        since: Name of the part or lot.
        before: Median of the reference and all until then; NaN of embeddings.
        now: Median since.
        lots: Those since then, as far as they are known.
        pictures: Image ids of the pictures that show it best.
        paths: Their files; some may be gone.
        usual: Files of pictures before it began, as ordinary as there are.
        text: In words.
    """

    camera: str
    statistic: str
    direction: str
    raised_at: datetime
    raised_by: str
    since_at: datetime
    since: str
    before: float
    now: float
    lots: Sequence[str]
    pictures: Sequence[str]
    paths: Sequence[Path]
    usual: Sequence[Path]
    text: str


@dataclass(frozen=True)
class State:
    """How a statistic stands.

    Attributes:
        statistic: Which.
        count: Units of the stream that it was looked at in (windows of embeddings, answers).
        reference: Units that came before.
        evidence: Logarithm of the capital now, as a share of what raises an alarm; 1 and above is one.
        highest: The highest evidence until now.
        before: Median of the reference; NaN where it has none.
        now: Median of the last units.
        fewest: How many more units an alarm takes at least, if everything changed now; None where no change could be
            seen, as too little came before.
        missing: How many more units have to come until a change could be seen at all.
        at: ``[count]`` when each was known.
        values: ``[count]``.
        curve: ``[count]`` the evidence.
        finding: The alarm, or None.
        note: Why it has no values, or "".
    """

    statistic: str
    count: int
    reference: int
    evidence: float
    highest: float
    before: float
    now: float
    fewest: int | None
    missing: int
    at: Sequence[datetime]
    values: NDArray[np.float64]
    curve: NDArray[np.float64]
    finding: Finding | None
    note: str = ""


@dataclass(frozen=True)
class LotState:
    """How a lot looks.

    Attributes:
        lot: Its name.
        units: Its parts.
        first: When its first was taken, and its last.
        last: See ``first``.
        rejected: Share of its parts above the first threshold; NaN where that is unknown.
        moved: By statistic, how far its mean lies from the reference's, in standard deviations of single parts.
        drifting: Statistics whose alarm holds for it.
    """

    lot: str
    units: int
    first: datetime
    last: datetime
    rejected: float
    moved: Mapping[str, float]
    drifting: Sequence[str]


@dataclass(frozen=True)
class CameraState:
    """Whether a camera's production looks like its reference.

    Attributes:
        camera: Empty where pictures have none.
        model_id: Whose scores were watched.
        kind: What a unit is.
        reference: What it is compared with, in words.
        units: Units of the stream.
        rate: Of false alarms, for this camera over all time.
        timed: Whether all pictures say when they were taken; else the order of scoring counts.
        states: Of all statistics.
        findings: Alarms, the earliest first.
        lots: In time order.
        advice: What to do, or "".
        notes: What is missing, and why.
        text: In words.
    """

    camera: str
    model_id: str
    kind: UnitKind
    reference: str
    units: int
    rate: float
    timed: bool
    states: Sequence[State]
    findings: Sequence[Finding]
    lots: Sequence[LotState]
    advice: str
    notes: Sequence[str]
    text: str

    @property
    def drifting(self) -> bool:
        """Whether any alarm was raised."""
        return bool(self.findings)
