"""Before and after, on parts about which nobody was asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from integrations.demo.truth import Truth, kind_of
from integrations.recording import ScoredImage
from integrations.report import Camera, Comparison, Decided, Figures, Measurement, Outcome, Share
from learning.bundle import by_group
from learning.intervals import Rate, group_bootstrap, rate_by_group
from learning.metrics import image_auroc
from learning.thresholds import Threshold, conformal_threshold


@dataclass(frozen=True)
class Station:
    """The three thresholds of a camera's model.

    Attributes:
        before: The first; it has no fallback, so that the detector's own score decided.
        unasked: The detector's alone, with the promise of ``after``: what calibration parts give without any verdict.
        after: The later one.
    """

    before: Threshold
    unasked: Threshold
    after: Threshold

    @classmethod
    def of(cls, before: Threshold, after: Threshold, calibration: pd.DataFrame) -> Self:
        """Work out the one in the middle from the bundle's table of calibration parts."""
        wanted = after.promise
        value, promise = conformal_threshold(by_group(calibration), wanted.limit, wanted.confidence)
        return cls(before, Threshold(value=value, promise=promise, reason="the later promise, without answers"), after)


def measure(
    stations: Mapping[str, Station], scored: Mapping[str, Sequence[ScoredImage]], truth: Truth, answers: int, seed: int
) -> Measurement:
    """Compare the thresholds of each camera's model.

    Args:
        stations: By the kind of part.
        scored: A stream, scored under the later thresholds, by the kind of part.
        truth: Of that stream.
        answers: How many there were in between.
        seed: Of the bootstrap.
    """
    parts = {kind: _outcomes(scored[kind], truth, station) for kind, station in stations.items()}
    every = [part for kind in parts for part in parts[kind]]
    return Measurement(
        stream="the second stream",
        overall=_compare("all together", every, seed),
        cameras=[
            Camera(
                comparison=_compare(kind, parts[kind], seed),
                before=_decided(station.before),
                unasked=_decided(station.unasked),
                after=_decided(station.after),
            )
            for kind, station in stations.items()
        ],
        parts=every,
        answers=answers,
    )


def _outcomes(scored: Sequence[ScoredImage], truth: Truth, station: Station) -> list[Outcome]:
    images: dict[str, list[ScoredImage]] = {}
    for image in scored:
        images.setdefault(image.part, []).append(image)
    outcomes = []
    for part, found in images.items():
        record = truth.of(part)
        shown = max(found, key=lambda image: image.decision_score)
        masks = {r.path.resolve(): r.mask for r in truth.records if r.part == part}
        first, now = max(image.score for image in found), shown.decision_score
        outcomes.append(
            Outcome(
                part=part,
                kind=kind_of(record),
                label=record.label,
                image=shown.image,
                map=shown.map,
                mask=masks.get(shown.image.resolve()),
                before=first,
                after=now,
                rejected_before=first > station.before.value,
                rejected_unasked=first > station.unasked.value,
                rejected_after=now > station.after.value,
            )
        )
    return outcomes


def _compare(name: str, parts: Sequence[Outcome], seed: int) -> Comparison:
    before = [part.before for part in parts]
    return Comparison(
        name=name,
        before=_figures(parts, before, [p.rejected_before for p in parts], seed),
        unasked=_figures(parts, before, [p.rejected_unasked for p in parts], seed),
        after=_figures(parts, [p.after for p in parts], [p.rejected_after for p in parts], seed),
    )


def _figures(parts: Sequence[Outcome], scores: Sequence[float], rejected: Sequence[bool], seed: int) -> Figures:
    values, out = np.array(scores), np.array(rejected, dtype=bool)
    defective = np.array([part.defective for part in parts], dtype=bool)
    kinds = np.array([part.kind for part in parts])
    names = [part.part for part in parts]
    good = [name for name, bad in zip(names, defective, strict=True) if not bad]
    bad = [name for name, bad in zip(names, defective, strict=True) if bad]

    def auroc(rows: NDArray[np.int64]) -> float:
        each = [image_auroc(values[own], defective[own]) for own in (rows[kinds[rows] == k] for k in np.unique(kinds))]
        known = [value for value in each if np.isfinite(value)]
        return float(np.mean(known)) if known else float("nan")

    low, high = group_bootstrap(auroc, names, seed=seed)
    return Figures(
        false_reject=_share(rate_by_group(out[~defective], good)),
        escape=_share(rate_by_group(~out[defective], bad)),
        auroc=Share(value=_finite(auroc(np.arange(len(parts)))), low=_finite(low), high=_finite(high)),
    )


def _share(rate: Rate) -> Share:
    return Share(value=_finite(rate.value), low=rate.low, high=rate.high, hits=rate.hits, of=rate.n_parts)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _decided(threshold: Threshold) -> Decided:
    return Decided(
        version=threshold.version,
        value=threshold.value,
        promise=threshold.promise.text,
        reason=threshold.reason,
        fallback=threshold.fallback,
    )
