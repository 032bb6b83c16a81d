"""An alarm in words and pictures. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from curation.drift.reading import Answer, Shot
from curation.drift.reference import Reference
from curation.drift.series import Known
from curation.drift.states import Finding
from curation.drift.units import EMBEDDING, UNSURE, Units
from curation.drift.words import direction_of, plain
from learning.drift.watching import Track
from learning.drift.windows import Features, witness

Floats = NDArray[np.float64]
SHOWN = 8
USUAL = 4


def finding_of(
    camera: str, units: Units, known: Known, track: Track, features: Features | None, reference: Reference
) -> Finding | None:
    """The alarm of a statistic; None where there is none.

    The pictures that show it best are those since it began that have moved farthest, of embeddings those that the
    witness function of the distance is highest for.
    """
    alarm = track.alarm
    if alarm is None:
        return None
    name = known.series.name
    how = direction_of(name, alarm.shift)
    if name == EMBEDDING and features is not None:
        before, now = float("nan"), float("nan")
        places, moved = _unlike(units, features, alarm.since, reference)
    else:
        since = known.series.units >= alarm.since
        earlier = np.concatenate([known.reference, known.values[~since]])
        before = float(np.median(earlier)) if len(earlier) else float("nan")
        now = _middle(known.values[since], how)
        places = known.series.units[since]
        moved = known.values[since] - before
        moved = -moved if how == "lower" else np.abs(moved) if how == "more spread" else moved
        if len(earlier) and how != "more spread":
            before = _middle(earlier, how)
    shown = [_shot(units, int(place), name, how) for place in places[np.argsort(-moved, kind="stable")[:SHOWN]]]
    lots = dict.fromkeys(shot.lot for own in units.shots[alarm.since :] for shot in own if shot.lot is not None)
    return Finding(
        camera=camera,
        statistic=name,
        direction=how,
        raised_at=units.at[alarm.unit],
        raised_by=units.names[alarm.unit],
        since_at=units.at[alarm.since],
        since=units.names[alarm.since],
        before=before,
        now=now,
        lots=list(lots),
        pictures=[shot.image_id for shot in shown],
        paths=[shot.path for shot in shown],
        usual=[shot.path for shot in _usual(units, known, alarm.since)],
        text=_said(plain(name), how, before, now, f"{units.at[alarm.since]:%Y-%m-%d %H:%M}", units.names[alarm.since]),
    )


def unsure_finding(camera: str, answers: Sequence[Answer], known: Known, track: Track) -> Finding | None:
    """The alarm of the unsure share; None where there is none."""
    alarm = track.alarm
    if alarm is None:
        return None
    first = answers[alarm.since]
    unsure = [answer for answer in answers[alarm.since :] if answer.unsure]
    sure = [answer for answer in answers[: alarm.since] if not answer.unsure]
    earlier = [float(answer.unsure) for answer in answers[: alarm.since]]
    before = float(np.mean(earlier)) if earlier else float("nan")
    now = float(np.mean([answer.unsure for answer in answers[alarm.since :]]))
    return Finding(
        camera=camera,
        statistic=UNSURE,
        direction="higher",
        raised_at=answers[alarm.unit].at,
        raised_by=answers[alarm.unit].path.name,
        since_at=first.at,
        since=first.path.name,
        before=before,
        now=now,
        lots=[],
        pictures=[answer.image_id for answer in unsure[-SHOWN:]],
        paths=[answer.path for answer in unsure[-SHOWN:]],
        usual=[answer.path for answer in sure[-USUAL:]],
        text=_said(plain(UNSURE), "higher", before, now, f"{first.at:%Y-%m-%d %H:%M}", first.path.name),
    )


def _said(what: str, how: str, before: float, now: float, since: str, unit: str) -> str:
    change = f" ({before:.3g} before, {now:.3g} since)" if np.isfinite(before) and np.isfinite(now) else ""
    return f"{what} is {how} since {since} UTC, {unit}{change}"


def _middle(values: Floats, how: str) -> float:
    """The median; of zeros and ones, as rejections are, the mean; half of what 90 % span where the spread grew."""
    if how == "more spread":
        low, high = np.quantile(values, [0.05, 0.95])
        return float(high - low) / 2
    return float(values.mean() if np.isin(values, (0.0, 1.0)).all() else np.median(values))


def _unlike(units: Units, features: Features, since: int, reference: Reference) -> tuple[NDArray[np.int64], Floats]:
    """Units since then that have embeddings, and how unlike the earlier ones they are."""
    there = np.flatnonzero(np.isfinite(units.embeddings).all(axis=1))
    places = there[there >= since]
    same = reference.embeddings.shape[1:] == units.embeddings.shape[1:]
    earlier = [features(units.embeddings[there[there < since]])]
    earlier += [features(reference.embeddings)] if same and len(reference.embeddings) else []
    recent = features(units.embeddings[places])
    before = np.concatenate(earlier)
    if not len(before):
        return places, np.zeros(len(places))
    return places, witness(recent, recent, before)


def _shot(units: Units, place: int, name: str, how: str) -> Shot:
    """The picture of a unit that shows it best: of a lot, one of several."""
    own = units.shots[place]
    return max(own, key=lambda shot: shot.score) if name in ("score", "rejected") else own[0]


def _usual(units: Units, known: Known, since: int) -> list[Shot]:
    """Pictures of before that are the nearest to the median; the last ones where that says nothing."""
    if known.series.name == EMBEDDING:
        places = np.arange(since)[-USUAL:]
    else:
        earlier = known.series.units < since
        values, places = known.values[earlier], known.series.units[earlier]
        if not len(places):
            # All of the stream is unlike the reference, or drifts since its first units.
            places = np.arange(min(since, USUAL))
        else:
            places = places[np.argsort(np.abs(values - np.median(values)), kind="stable")[:USUAL]]
    return [units.shots[int(place)][0] for place in places]
