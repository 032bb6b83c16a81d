"""What the ledger tells of an image, its tags, and asks that are closed and opened again."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from curation.ledger import (
    AskEntry,
    ImageEntry,
    Ledger,
    LedgerError,
    ModelEntry,
    ScoreEntry,
    TagEntry,
    VerdictEntry,
)
from tests.curation.ledger.before import made_at


def ask(image_id: str, version: int = 1) -> AskEntry:
    return AskEntry(image_id, "borderline", 0.25, "systematic", "model", version)


def answer(ask_id: str, image_id: str, said: str, revision: int = 1, who: str = "ann") -> VerdictEntry:
    at = f"2099-01-01T00:00:0{revision}Z"
    return VerdictEntry(ask_id, image_id, who, said, at, "ls", f"{ask_id}-{who}", str(revision), note="left edge")  # type: ignore[arg-type]


def test_history_tells_everything_in_order(ledger: Ledger, image_ids: list[str], tmp_path: Path) -> None:
    image_id, other = image_ids[:2]
    ledger.record_model(ModelEntry("model", tmp_path, "segment"))
    ledger.record_model(ModelEntry("unused"))
    ledger.record_threshold("model", 1, 0.4, "at most 5 % of good parts rejected")
    ledger.record_threshold("model", 2, 0.6, "at most 1 % of good parts rejected", parent=1, reason="verdicts")
    ledger.record_threshold("model", 3, 0.7, "nobody decided by it", parent=2)
    ledger.record_scores([ScoreEntry(image_id, "model", 1, 0.5, 0.5, decision="reject")])
    (ask_id,) = ledger.create_asks([ask(image_id)])
    ledger.mark_pushed([(ask_id, 7, 70)])
    ledger.record_scores([ScoreEntry(image_id, "model", 2, 0.5, 0.5), ScoreEntry(other, "model", 2, 0.9, 0.9)])
    ledger.add_tag(image_id, "blurred", "data team")
    # Revisions come in any order; history is told in the order they were given.
    ledger.record_verdicts([answer(ask_id, image_id, "defect", 2), answer(ask_id, image_id, "good", 1)])

    history = ledger.history(image_id)
    assert history.image == ledger.image(image_id)
    assert [(row.threshold_version, row.decision) for row in history.scores] == [(1, "reject"), (2, "accept")]
    assert [row.model_id for row in history.models] == ["model"]
    assert [row.version for row in history.thresholds] == [1, 2]
    assert [(row.ask_id, row.state, row.task_id) for row in history.asks] == [(ask_id, "answered", 70)]
    assert [row.verdict for row in history.verdicts] == ["good", "defect"]
    assert {(row.model_id, row.threshold_version) for row in history.verdicts} == {("model", 1)}
    assert history.resolution is not None
    assert (history.resolution.state, history.resolution.inclusion_probability) == ("defect", 0.25)
    assert [event.text for event in history.events] == [
        f"added from {history.image.path}, part {history.image.part}",
        "model model scored it 0.5: reject (threshold 1 at 0.4: at most 5 % of good parts rejected)",
        "chosen for an inspector: borderline, with probability 0.25",
        "sent to Label Studio, project 7, task 70",
        "model model scored it 0.5: accept (threshold 2 at 0.6: at most 1 % of good parts rejected)",
        "data team tagged it blurred",
        "ann said good, left edge",
        "ann said defect, left edge",
    ]
    assert [event.at for event in history.events] == sorted(event.at for event in history.events)
    assert len(ledger.history(other).events) == 2


def test_an_unknown_image_has_no_history(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="no image 0000"):
        ledger.history("0" * 32)


def test_tags_are_given_once_and_taken(ledger: Ledger, image_ids: list[str]) -> None:
    ledger.add_tag(image_ids[0], "blurred", "ann")
    ledger.add_tag(image_ids[0], "blurred", "bob")
    ledger.add_tag(image_ids[0], "wet", "bob")
    ledger.add_tag(image_ids[1], "wet", "bob")
    assert [(row.tag, row.who) for row in ledger.tags(image_ids[0])] == [("blurred", "ann"), ("wet", "bob")]
    ledger.remove_tag(image_ids[0], "wet", "cat")
    ledger.remove_tag(image_ids[0], "never given", "cat")
    assert [(row.image_id, row.tag) for row in ledger.tags()] == [(image_ids[0], "blurred"), (image_ids[1], "wet")]
    with pytest.raises(LedgerError, match="does not know"):
        ledger.add_tag("0" * 32, "wet", "ann")
    assert [(row.image_id, row.tag, row.event, row.who) for row in ledger.tag_events()] == [
        (image_ids[0], "blurred", "set", "ann"),
        (image_ids[0], "wet", "set", "bob"),
        (image_ids[1], "wet", "set", "bob"),
        (image_ids[0], "wet", "removed", "cat"),
    ]
    history = ledger.history(image_ids[0])
    assert [event.text for event in history.events][-1] == "cat took away the tag wet"
    assert ([tag.tag for tag in history.tags], len(history.tag_events)) == (["blurred"], 3)


def test_many_tags_change_at_once_and_say_what_changed(ledger: Ledger, image_ids: list[str]) -> None:
    at = "2026-01-01T10:00:00Z"
    many = [TagEntry(key, f"t{number}", "set", "ann", at) for key in image_ids for number in range(400)]
    assert len(ledger.change_tags(many)) == len(many)
    assert ledger.change_tags(many) == []
    again = [*(TagEntry(row.image_id, row.tag, "removed", "bob") for row in many[:1000]), many[0]]
    assert len(ledger.change_tags(again)) == 999
    assert ledger.change_tags([]) == []
    assert len(ledger.tags()) == len(many) - 999
    first = ledger.tag_events(image_ids[0])[0]
    assert (first.at.isoformat(), first.recorded_at > first.at) == ("2026-01-01T10:00:00+00:00", True)


def test_tags_of_before_the_history_begin_it(tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(b"0")
    with made_at("0003"), Ledger.open(tmp_path / "old.db") as old:
        (key,) = old.add_images([ImageEntry(tmp_path / "0.png")])
    with sqlite3.connect(tmp_path / "old.db") as raw:
        raw.execute("INSERT INTO tags VALUES (?, 'wet', 'ann', '2026-01-01 00:00:00.000000+00:00')", (key,))
    with Ledger.open(tmp_path / "old.db") as ledger:
        (event,) = ledger.tag_events(key)
        assert (event.event, event.who, event.at.year) == ("set", "ann", 2026)
        ledger.remove_tag(key, "wet", "bob")
        assert [one.event for one in ledger.tag_events()] == ["set", "removed"]


def test_the_history_of_tags_is_final(ledger: Ledger, image_ids: list[str], url: str) -> None:
    ledger.add_tag(image_ids[0], "wet", "ann")
    engine = create_engine(url)
    for statement in ("UPDATE tag_events SET who = 'bob'", "DELETE FROM tag_events"):
        with engine.connect() as connection, pytest.raises(DBAPIError, match="append-only"):
            connection.execute(text(statement))
    engine.dispose()


def test_a_tag_that_two_programs_give_and_take_has_one_history(ledger: Ledger, image_ids: list[str], url: str) -> None:
    def work(who: str) -> None:
        with Ledger.open(url) as own:
            for number in range(20):
                own.change_tags([TagEntry(image_ids[0], "wet", "removed" if number % 2 else "set", who)])

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(work, who) for who in ("ann", "bob")]:
            done.result()
    said = [row.event for row in ledger.tag_events()]
    assert said == ["set", "removed"] * (len(said) // 2)
    assert ledger.tags() == []


def test_an_ask_whose_answer_is_withdrawn_is_open_again(ledger: Ledger, image_ids: list[str]) -> None:
    (ask_id,) = ledger.create_asks([ask(image_ids[0])])
    ledger.mark_pushed([(ask_id, 7, 70)])
    ledger.record_verdicts([answer(ask_id, image_ids[0], "good", 1)])
    assert ledger.asks()[0].state == "answered"
    ledger.record_verdicts([answer(ask_id, image_ids[0], "withdrawn", 2)])
    row = ledger.asks()[0]
    assert (row.state, row.answered_at, row.task_id) == ("pushed", None, 70)
    assert ledger.create_asks([ask(image_ids[0])]) == [ask_id]


def test_it_stays_closed_where_another_is_open(ledger: Ledger, image_ids: list[str]) -> None:
    (first,) = ledger.create_asks([ask(image_ids[0])])
    ledger.record_verdicts([answer(first, image_ids[0], "good", 1)])
    (second,) = ledger.create_asks([ask(image_ids[0])])
    assert second != first
    ledger.record_verdicts([answer(first, image_ids[0], "withdrawn", 2)])
    assert {row.ask_id: row.state for row in ledger.asks()} == {first: "withdrawn", second: "created"}
    # Answered after all, the closed ask counts, and the open one stays open.
    ledger.record_verdicts([answer(first, image_ids[0], "defect", 3)])
    assert {row.ask_id: row.state for row in ledger.asks()} == {first: "answered", second: "created"}
    assert [row.state for row in ledger.resolved()] == ["defect"]


def test_two_answers_withdrawn_at_once_open_one_ask(ledger: Ledger, image_ids: list[str]) -> None:
    asks = []
    for _ in range(2):
        (ask_id,) = ledger.create_asks([ask(image_ids[0])])
        ledger.record_verdicts([answer(ask_id, image_ids[0], "good", 1)])
        asks.append(ask_id)
    ledger.record_verdicts([answer(ask_id, image_ids[0], "withdrawn", 2) for ask_id in asks])
    assert sorted(row.state for row in ledger.asks()) == ["created", "withdrawn"]


def test_asks_that_nobody_has_to_answer(ledger: Ledger, image_ids: list[str]) -> None:
    first, second = ledger.create_asks([ask(image_ids[0]), ask(image_ids[1])])
    ledger.record_verdicts([answer(second, image_ids[1], "good")])
    ledger.withdraw_asks([first, second])
    assert {row.ask_id: row.state for row in ledger.asks()} == {first: "withdrawn", second: "answered"}
    (third,) = ledger.create_asks([ask(image_ids[0])])
    assert third != first
    ledger.record_verdicts([answer(first, image_ids[0], "unsure")])
    assert {row.ask_id: row.state for row in ledger.asks("answered")} == {first: "answered", second: "answered"}
    assert [row.state for row in ledger.resolved() if row.image_id == image_ids[0]] == ["unresolved"]
