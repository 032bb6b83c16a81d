"""One camera watched: from its pictures and a reference to what is said of it. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from curation.drift.evidence import finding_of, unsure_finding
from curation.drift.lots import lot_states
from curation.drift.reading import Shot, Stream
from curation.drift.reference import Reference, known_rows
from curation.drift.series import (
    FIRST,
    WINDOW,
    Known,
    embedding_series,
    statistics_of,
    unsure_series,
    value_series,
    within_series,
)
from curation.drift.states import CameraState, Finding, State
from curation.drift.units import EMBEDDING, UNSURE, VALUES, WITHIN, UnitKind, Units, lots_of, one_of_each, units_of
from curation.drift.words import advice, plain
from learning.drift.watching import Track, watch

Floats = NDArray[np.float64]
_RECENT = 20
"""Last units that "now" is the median of."""


@dataclass(frozen=True)
class Rules:
    """How cameras are watched.

    Attributes:
        rate: Of false alarms, over all cameras, statistics and looks, as long as nothing drifts.
        kind: What counts once and is exchangeable as long as nothing drifts: ``group`` (a part, unless the ledger says
            otherwise), as thresholds count them, or ``lot``, where lots ordinarily differ.
        first: Units of the stream that are the reference where there is no other; by default 50 groups or 20 lots.
        since: Watching begins there; None for the first picture.
    """

    rate: float = 0.05
    kind: UnitKind = "group"
    first: int | None = None
    since: datetime | None = None


def watch_camera(stream: Stream, reference: Reference, rules: Rules, rate: float) -> CameraState:
    """Say whether a camera's production looks like its reference.

    Args:
        stream: Its pictures and answers until now.
        reference: What came before; not used for lots, as nobody knows which lots calibration parts came from.
        rules: How.
        rate: This camera's share of the rate of false alarms.
    """
    chosen = [shot for shot in stream.shots if rules.since is None or shot.at >= rules.since]
    shots = one_of_each(chosen)
    parts = units_of(shots, stream.limit)
    first = rules.first or FIRST[rules.kind]
    if rules.kind == "lot":
        units = lots_of(shots, stream.limit)
        reference = replace(reference, values={}, embeddings=np.zeros((0, 0)))
    else:
        units = parts
    known = value_series(units, reference, first)
    embedded, features = embedding_series(
        units, reference, first, WINDOW[rules.kind], f"{stream.camera}/{stream.model_id}"
    )
    known += [embedded] if embedded is not None else []
    within = within_series(parts, [own[0].lot for own in parts.shots]) if rules.kind == "lot" else []
    answers = [answer for answer in stream.answers if rules.since is None or answer.at >= rules.since]
    asked = unsure_series(answers)
    every = [*known, *within, asked]
    tracks = watch([one.series for one in every], rate, len(statistics_of(rules.kind)))
    states: list[State] = []
    for one, track in zip(every, tracks, strict=True):
        if one is asked:
            at, finding = [answer.at for answer in answers], unsure_finding(stream.camera, answers, one, track)
        else:
            of = parts if one in within else units
            at, finding = list(of.at), finding_of(stream.camera, of, one, track, features, reference)
        states.append(_state(one, track, at, finding, WINDOW[rules.kind]))
    findings = sorted((s.finding for s in states if s.finding is not None), key=lambda found: found.raised_at)
    notes = _notes(stream, shots, units, states, rules)
    to_come = 0 if reference.values else max(0, first - len(units))
    return CameraState(
        camera=stream.camera,
        model_id=stream.model_id,
        kind=rules.kind,
        reference=_reference_text(reference, rules.kind, first, units),
        units=len(units),
        rate=rate,
        timed=stream.timed,
        states=states,
        findings=findings,
        lots=lot_states(parts, {s.statistic: k.reference for s, k in zip(states, every, strict=True)}, findings, first),
        advice=advice([(found.statistic, found.direction) for found in findings], reference.wanted),
        notes=notes,
        text=_text(stream.camera, rules, len(units), states, findings, to_come),
    )


def _state(known: Known, track: Track, at: Sequence[datetime], finding: Finding | None, window: int) -> State:
    series = known.series
    curve = track.bets.log_capital / track.needed
    embedded = series.name == EMBEDDING
    # Parts of one lot alone come before: how many there are is not known yet.
    within = series.name.endswith(WITHIN)
    least = None if within else track.fewest()
    return State(
        statistic=series.name,
        count=len(curve),
        reference=len(known.reference),
        evidence=float(curve[-1]) if len(curve) else 0.0,
        highest=float(curve.max(initial=0.0)),
        before=_median(known.reference),
        now=float("nan") if embedded else _median(known.values[-_RECENT:]),
        fewest=least * window if embedded and least is not None else least,
        missing=0 if within else track.missing(),
        at=[at[place] for place in series.units],
        values=known.values,
        curve=curve,
        finding=finding,
    )


def _median(values: Floats) -> float:
    return float(np.median(values)) if len(values) else float("nan")


def _notes(stream: Stream, shots: Sequence[Shot], units: Units, states: Sequence[State], rules: Rules) -> list[str]:
    notes = []
    blind = sum(shot.look is None for shot in shots)
    if blind:
        notes.append(f"{blind} pictures are gone and were never measured: their looks are not watched")
    unknown = len(units) - int(known_rows(units.embeddings).sum())
    if units.embeddings.shape[1] == 0 and len(units):
        notes.append("there are no embeddings: appearance is not watched")
    elif unknown and stream.limit is None:
        notes.append(f"{unknown} units have no embedding")
    if stream.limit is None:
        notes.append("the ledger knows no threshold of the model: scores of defects count too, rejections do not")
    if rules.kind == "lot" and any(shot.lot is None for shot in shots):
        notes.append(f"{sum(shot.lot is None for shot in shots)} parts have no lot and are not watched")
    if rules.kind == "group" and len({shot.lot for shot in shots if shot.lot is not None}) > 1:
        notes.append(
            "parts count as independent, as for the threshold; if lots ordinarily differ, watch lots: --unit lot"
        )
    if not stream.timed and shots:
        notes.append("not all pictures say when they were taken: where they do not, the order of scoring counts")
    return notes


def _reference_text(reference: Reference, kind: UnitKind, first: int, units: Units) -> str:
    if reference.values or len(reference.embeddings):
        return reference.text
    name = "lots" if kind == "lot" else "parts"
    if len(units) < first:
        return f"the first {first} {name}, of which {first - len(units)} are still to come"
    return f"the first {first} {name}, until {units.at[first - 1]:%Y-%m-%d %H:%M} UTC"


def _text(
    camera: str, rules: Rules, units: int, states: Sequence[State], findings: Sequence[Finding], to_come: int
) -> str:
    kind = rules.kind
    place = f"camera {camera}: " if camera else ""
    if findings:
        return f"{place}drift. {'; '.join(found.text for found in findings)}"
    if not units and not to_come:
        since = f" since {rules.since:%Y-%m-%d %H:%M} UTC" if rules.since else ""
        return f"{place}not enough yet: there is no picture{since} to say anything of"
    watched = [state for state in states if state.statistic != UNSURE]
    able = [state.fewest for state in watched if state.fewest is not None]
    if to_come or not able:
        more = to_come or min((state.missing for state in watched if state.statistic in VALUES), default=0) or 1
        return f"{place}not enough yet: {_counted(more, kind, 'more ')} until a change could be seen ({units} so far)"
    closest = max(watched, key=lambda state: state.evidence)
    return (
        f"{place}no drift in {_counted(units, kind)}; closest is {plain(closest.statistic)}, "
        f"{100 * max(closest.evidence, 0):.0f} % of the way to an alarm; if everything changed now, an alarm would "
        f"take {_counted(min(able), kind)} at least"
    )


def _counted(count: int, kind: UnitKind, more: str = "") -> str:
    return f"{count} {more}{'lot' if kind == 'lot' else 'part'}{'' if count == 1 else 's'}"
