"""What the ledger knows of images, put together."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Row, select

from curation.by_hand import GOLD, SECOND_LOOK
from curation.ledger import tagging, vouching
from curation.ledger.bulk import select_in
from curation.ledger.reading import ask_row, model_row, score_row, tag_row, threshold_row, verdict_row
from curation.ledger.resolution import resolve
from curation.ledger.rows import (
    AskRow,
    Event,
    GoldEventRow,
    History,
    ImageRow,
    Resolution,
    ScoreRow,
    TagEventRow,
    ThresholdRow,
    VerdictRow,
)
from curation.ledger.tables import asks, models, scores, tags, thresholds, verdicts


def resolutions(connection: Connection, image_ids: Sequence[str] | None = None) -> list[Resolution]:
    """Resolve every image that has a verdict, or some, in the order of image ids.

    All verdicts are read as a stream.
    """
    answered = select(asks.c.ask_id, asks.c.inclusion_probability, asks.c.strategy).where(
        asks.c.ask_id.in_(select(verdicts.c.ask_id).where(verdicts.c.ask_id.is_not(None)))
    )
    by_ask = list(connection.execute(answered))
    probabilities = {row.ask_id: row.inclusion_probability for row in by_ask}
    looks = {row.ask_id for row in by_ask if row.strategy == SECOND_LOOK}
    gold = {row.ask_id for row in by_ask if row.strategy == GOLD}
    statement = select(verdicts).order_by(verdicts.c.image_id, verdicts.c.number)
    if image_ids is None:
        found_rows: Iterable[Row[Any]] = connection.execution_options(yield_per=1000).execute(statement)
    else:
        found_rows = select_in(connection, statement, verdicts.c.image_id, sorted(set(image_ids)))
    rows = map(verdict_row, found_rows)
    counting = (row for row in rows if row.ask_id not in gold)
    found = (
        resolve(key, list(group), probabilities, looks) for key, group in groupby(counting, lambda row: row.image_id)
    )
    return [resolution for resolution in found if resolution is not None]


def of(connection: Connection, image: ImageRow) -> History:
    """Everything about an image."""
    key = image.image_id
    shown = [
        score_row(row)
        for row in connection.execute(select(scores).where(scores.c.image_id == key).order_by(scores.c.number))
    ]
    asked = [
        ask_row(row) for row in connection.execute(select(asks).where(asks.c.image_id == key).order_by(asks.c.number))
    ]
    said = [
        verdict_row(row)
        for row in connection.execute(
            select(verdicts).where(verdicts.c.image_id == key).order_by(verdicts.c.at, verdicts.c.number)
        )
    ]
    tagged = [tag_row(r) for r in connection.execute(select(tags).where(tags.c.image_id == key).order_by(tags.c.at))]
    retagged = tagging.history(connection, key)
    vouched = vouching.history(connection, key)
    used = {(s.model_id, s.threshold_version) for s in shown} | {(a.model_id, a.threshold_version) for a in asked}
    names = sorted({model_id for model_id, _ in used})
    known = [model_row(row) for row in select_in(connection, select(models), models.c.model_id, names)]
    versions = [threshold_row(row) for row in select_in(connection, select(thresholds), thresholds.c.model_id, names)]
    decided = sorted((t for t in versions if (t.model_id, t.version) in used), key=lambda t: t.recorded_at)
    looks = {ask.ask_id for ask in asked if ask.strategy == SECOND_LOOK}
    gold = {ask.ask_id for ask in asked if ask.strategy == GOLD}
    counting = [verdict for verdict in said if verdict.ask_id not in gold]
    events = [
        Event(image.added_at, f"added from {image.path}, part {image.part}"),
        *(_scored(score, decided, image) for score in shown),
        *(event for ask in asked for event in _asked(ask)),
        *(_said(verdict, verdict.ask_id in gold) for verdict in said),
        *(_tagged(change) for change in retagged),
        *(_vouched(word) for word in vouched),
    ]
    probabilities = {ask.ask_id: ask.inclusion_probability for ask in asked}
    return History(
        image=image,
        scores=tuple(shown),
        models=tuple(sorted(known, key=lambda model: model.recorded_at)),
        thresholds=tuple(decided),
        asks=tuple(asked),
        verdicts=tuple(said),
        resolution=resolve(key, counting, probabilities, looks),
        tags=tuple(tagged),
        tag_events=tuple(retagged),
        gold_events=tuple(vouched),
        events=tuple(sorted(events, key=lambda event: event.at)),
    )


def _scored(score: ScoreRow, decided: list[ThresholdRow], image: ImageRow) -> Event:
    by = f"model {score.model_id[:12]} scored it {score.decision_score:.4g}: {score.decision}"
    for threshold in decided:
        if (threshold.model_id, threshold.version) == (score.model_id, score.threshold_version):
            by += f" (threshold {threshold.version} at {threshold.value:.4g}: {threshold.about(image)})"
    return Event(score.recorded_at, by)


def _asked(ask: AskRow) -> list[Event]:
    chosen = f"chosen for an inspector: {ask.reason}, with probability {ask.inclusion_probability:.3g}"
    events = [Event(ask.created_at, chosen)]
    if ask.pushed_at:
        events.append(Event(ask.pushed_at, f"sent to Label Studio, project {ask.project_id}, task {ask.task_id}"))
    return events


def _said(verdict: VerdictRow, gold: bool) -> Event:
    texts = (verdict.defect_class, verdict.severity, verdict.note, "on a gold item" if gold else None)
    details = "".join(f", {text}" for text in texts if text)
    return Event(verdict.at, f"{verdict.inspector} said {verdict.verdict}{details}")


def _tagged(change: TagEventRow) -> Event:
    said = f"tagged it {change.tag}" if change.event == "set" else f"took away the tag {change.tag}"
    return Event(change.at, f"{change.who} {said}")


def _vouched(word: GoldEventRow) -> Event:
    said = "vouches for it no longer" if word.said == "withdrawn" else f"vouched that it is {word.said}"
    return Event(word.at, f"{word.who} {said}{f', {word.note}' if word.note else ''}")
