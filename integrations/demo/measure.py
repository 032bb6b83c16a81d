"""Before and after, on parts about which nobody was asked."""

from collections.abc import Sequence

import numpy as np

from integrations.demo.truth import Truth, kind_of
from integrations.recording import ScoredImage
from integrations.report import Comparison, Decided, Figures, Measurement, Outcome, Share
from learning.intervals import Rate, group_bootstrap, rate_by_group
from learning.metrics import image_auroc
from learning.thresholds import Threshold


def measure(
    scored: Sequence[ScoredImage], truth: Truth, before: Threshold, after: Threshold, answers: int, seed: int
) -> Measurement:
    """Compare two thresholds of one model.

    Args:
        scored: A stream, scored under the later threshold.
        truth: Of that stream.
        before: The first threshold; it has no fallback, so that the detector's own score decided.
        after: The later one.
        answers: How many there were in between.
        seed: Of the bootstrap.
    """
    parts = _outcomes(scored, truth, before, after)
    kinds = sorted({part.kind for part in parts})
    compared = {
        name: _compare(name, chosen, seed)
        for name, chosen in [("all kinds", parts), *((kind, [p for p in parts if p.kind == kind]) for kind in kinds)]
    }
    return Measurement(
        stream="the second stream",
        overall=compared["all kinds"],
        by_kind=[compared[kind] for kind in kinds],
        before=_decided(before),
        after=_decided(after),
        parts=parts,
        answers=answers,
    )


def _outcomes(scored: Sequence[ScoredImage], truth: Truth, before: Threshold, after: Threshold) -> list[Outcome]:
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
                rejected_before=first > before.value,
                rejected_after=now > after.value,
            )
        )
    return outcomes


def _compare(name: str, parts: Sequence[Outcome], seed: int) -> Comparison:
    return Comparison(
        name=name,
        before=_figures(parts, [p.before for p in parts], [p.rejected_before for p in parts], seed),
        after=_figures(parts, [p.after for p in parts], [p.rejected_after for p in parts], seed),
    )


def _figures(parts: Sequence[Outcome], scores: Sequence[float], rejected: Sequence[bool], seed: int) -> Figures:
    values, out = np.array(scores), np.array(rejected, dtype=bool)
    defective = np.array([part.defective for part in parts], dtype=bool)
    names = [part.part for part in parts]
    good = [name for name, bad in zip(names, defective, strict=True) if not bad]
    bad = [name for name, bad in zip(names, defective, strict=True) if bad]
    low, high = group_bootstrap(lambda i: image_auroc(values[i], defective[i]), names, seed=seed)
    return Figures(
        false_reject=_share(rate_by_group(out[~defective], good)),
        escape=_share(rate_by_group(~out[defective], bad)),
        auroc=Share(value=_finite(image_auroc(values, defective)), low=_finite(low), high=_finite(high)),
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
