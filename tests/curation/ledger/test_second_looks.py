"""Several inspectors: what settles an image, second looks, gold items, and how inspectors agree and err."""

import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from curation.by_hand import GOLD, SECOND_LOOK
from curation.errors import LedgerError
from curation.gold import gold_truths, open_gold
from curation.inspectors import inspector_report
from curation.ledger import AskEntry, ImageEntry, Ledger, ScoreEntry, Truth, VerdictEntry
from curation.second_looks import MOST_LOOKS, chosen_first, open_second_looks, unsettled
from tests.curation.ledger.before import made_at

_clock = count()


def asked(ledger: Ledger, image_ids: Sequence[str], probability: float = 0.25) -> list[str]:
    return ledger.create_asks([AskEntry(key, "borderline", probability, "drawn", "model", 1) for key in image_ids])


def say(ledger: Ledger, ask_id: str, who: str, verdict: str) -> None:
    image_id = next(ask.image_id for ask in ledger.asks() if ask.ask_id == ask_id)
    second = next(_clock)
    at = f"2026-01-01T{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}Z"
    ledger.record_verdicts([VerdictEntry(ask_id, image_id, who, verdict, at, "ls", f"{ask_id}-{who}", str(second))])  # type: ignore[arg-type]


def look(ledger: Ledger) -> str:
    assert open_second_looks(ledger) == 1
    return ledger.asks("created")[-1].ask_id


def state(ledger: Ledger) -> str:
    (one,) = ledger.resolved()
    assert ledger.history(one.image_id).resolution == one
    return one.state


@pytest.mark.parametrize(
    ("first", "looks", "expected"),
    [
        ([("ann", "unsure")], [("bob", "defect")], "defect"),
        ([("ann", "unsure")], [("ann", "good")], "good"),
        ([("ann", "unsure")], [("bob", "unsure")], "unresolved"),
        ([("ann", "unsure")], [("bob", "unsure"), ("cid", "good")], "good"),
        ([("ann", "good"), ("bob", "defect")], [("cid", "defect")], "defect"),
        ([("ann", "good"), ("bob", "defect")], [("ann", "defect")], "defect"),
        ([("ann", "good"), ("bob", "defect")], [("ann", "good")], "unresolved"),
        ([("ann", "good"), ("bob", "defect")], [("ann", "good"), ("cid", "good")], "good"),
        ([("ann", "good"), ("bob", "defect")], [("cid", "unsure")], "unresolved"),
        ([("ann", "good"), ("bob", "good"), ("cid", "defect")], [], "unresolved"),
        ([("ann", "good"), ("bob", "good"), ("cid", "unsure")], [], "unresolved"),
    ],
)
def test_what_settles_an_image(
    ledger: Ledger, image_ids: list[str], first: list[tuple[str, str]], looks: list[tuple[str, str]], expected: str
) -> None:
    (ask_id,) = asked(ledger, image_ids[:1])
    for who, verdict in first:
        say(ledger, ask_id, who, verdict)
    assert state(ledger) == "unresolved"
    for who, verdict in looks:
        say(ledger, look(ledger), who, verdict)
    assert state(ledger) == expected
    assert open_second_looks(ledger) == (expected == "unresolved")
    assert ledger.resolved()[0].inclusion_probability == 0.25


def test_second_looks_are_asked_once_and_not_for_ever(ledger: Ledger, image_ids: list[str]) -> None:
    (ask_id,) = asked(ledger, image_ids[:1])
    assert open_second_looks(ledger) == 0
    say(ledger, ask_id, "ann", "unsure")
    for number in range(MOST_LOOKS):
        again = look(ledger)
        assert open_second_looks(ledger) == 0
        assert unsettled(ledger).waiting == (image_ids[0],)
        say(ledger, again, f"bob{number}", "unsure")
    assert open_second_looks(ledger) == 0
    assert unsettled(ledger).left == (image_ids[0],)
    entry = VerdictEntry(None, image_ids[0], "team", "good", "2026-02-01", "marked by hand", "1", "1")
    ledger.record_verdicts([entry])
    assert (state(ledger), unsettled(ledger).left) == ("good", ())
    row = ledger.asks()[-1]
    assert (row.strategy, row.reason, row.inclusion_probability) == (SECOND_LOOK, SECOND_LOOK, 0.25)
    assert {ask.ask_id for ask in chosen_first(ledger.asks()).values()} == {ask_id}


def test_a_second_look_waits_for_all_of_the_inspectors(ledger: Ledger, image_ids: list[str]) -> None:
    (ask_id,) = asked(ledger, image_ids[:1])
    say(ledger, ask_id, "ann", "unsure")
    assert (unsettled(ledger, 2).waiting, unsettled(ledger, 2).due) == ((image_ids[0],), ())
    say(ledger, ask_id, "bob", "good")
    assert len(unsettled(ledger, 2).due) == 1


def test_a_conflict_nobody_was_asked_about_needs_a_score(ledger: Ledger, image_ids: list[str]) -> None:
    for who, verdict in (("ann", "good"), ("bob", "defect")):
        ledger.record_verdicts([VerdictEntry(None, image_ids[0], who, verdict, "2026-01-01", "csv", who, "1")])  # type: ignore[arg-type]
    assert unsettled(ledger).left == (image_ids[0],)
    ledger.record_scores([ScoreEntry(image_ids[0], "model", 3, 0.5, 0.5)])
    assert [ask.threshold_version for ask in unsettled(ledger).due] == [3]


def test_answers_to_gold_items_are_no_verdicts(ledger: Ledger, image_ids: list[str]) -> None:
    ledger.record_scores([ScoreEntry(key, "model", 1, 0.5, 0.5) for key in image_ids])
    ledger.set_gold_items([image_ids[0]], "good", "data team")
    ledger.set_gold_items([image_ids[1]], "good", "data team")
    (before,) = ledger.set_gold_items([image_ids[1]], "defect", "data team", "crack", replace=True)
    assert before.truth == "good"
    assert gold_truths(ledger) == {image_ids[0]: "good", image_ids[1]: "defect"}
    new, missing = open_gold(ledger, 4)
    assert (len(new), missing) == (2, 2)
    assert open_gold(ledger, 2) == ([], 0)
    for ask in ledger.asks("created"):
        say(ledger, ask.ask_id, "ann", "defect")
        say(ledger, ask.ask_id, "bob", "unsure")
    assert ledger.resolved() == []
    assert ledger.history(image_ids[0]).resolution is None
    assert ledger.history(image_ids[0]).verdicts
    assert any(event.text.endswith("on a gold item") for event in ledger.history(image_ids[0]).events)
    assert unsettled(ledger).due == ()
    assert {(ask.strategy, ask.state) for ask in ledger.asks()} == {(GOLD, "answered")}
    # Used up, they can be used again.
    assert len(open_gold(ledger, 2)[0]) == 2
    ann = next(one for one in inspector_report(ledger).inspectors if one.inspector == "ann")
    assert (ann.gold.false_defect.errors, ann.gold.false_defect.answers) == (1, 1)
    assert (ann.gold.false_good.errors, ann.gold.false_good.answers) == (0, 1)
    assert ann.gold.false_good.high == pytest.approx(0.975)
    assert ledger.remove_gold_items([image_ids[0]], "data team") == [image_ids[0]]
    assert ledger.remove_gold_items([image_ids[0]], "data team") == []


def test_another_truth_is_not_replaced_unasked(ledger: Ledger, image_ids: list[str]) -> None:
    assert ledger.set_gold_items(image_ids[:2], "good", "ann") == []
    with pytest.raises(LedgerError, match=r"ann vouches since .*\.png is good \(2 of 3 images.*--replace"):
        ledger.set_gold_items(image_ids[:3], "defect", "bob")
    assert {(item.image_id, item.truth, item.who) for item in ledger.gold_items()} == {
        (key, "good", "ann") for key in image_ids[:2]
    }
    assert ledger.set_gold_items(image_ids[:1], "good", "bob") == []
    assert next(item for item in ledger.gold_items() if item.image_id == image_ids[0]).who == "bob"


def test_what_two_inspectors_settled_serves_as_gold(ledger: Ledger, image_ids: list[str]) -> None:
    ledger.record_scores([ScoreEntry(key, "model", 1, 0.5, 0.5) for key in image_ids])
    for ask_id, others in zip(asked(ledger, image_ids), ("good", "defect", "good", None), strict=True):
        say(ledger, ask_id, "ann", "good")
        if others:
            say(ledger, ask_id, "bob", others)
    assert gold_truths(ledger) == {image_ids[0]: "good", image_ids[2]: "good"}
    assert len(open_gold(ledger, 1)[0]) == 1
    # The one that is due for a second look is another.
    assert open_second_looks(ledger) == 1


def test_how_inspectors_agree_and_err(ledger: Ledger, image_ids: list[str]) -> None:
    said = {"ann": "gdgd", "bob": "gdgg", "cid": "gdd-"}
    names = {"g": "good", "d": "defect"}
    asks = asked(ledger, image_ids)
    for who, answers in said.items():
        for ask_id, answer in zip(asks, answers, strict=True):
            if answer != "-":
                say(ledger, ask_id, who, names[answer])
    # A second look settles the third image as good, the fourth as a defect; agreement is of first answers.
    assert open_second_looks(ledger) == 2
    for ask in ledger.asks("created"):
        say(ledger, ask.ask_id, "dan", "good" if ask.image_id == image_ids[2] else "defect")
    report = inspector_report(ledger)
    assert (report.images, len(report.pairs)) == (4, 3)
    kappas = {(pair.first, pair.second): (pair.images, pair.kappa) for pair in report.pairs}
    assert kappas["ann", "bob"] == (4, pytest.approx(0.5))
    assert kappas["bob", "cid"] == (3, pytest.approx(0.4))
    # Images agree by 1, 1, 1/3 and 0; 6 of the 11 answers are good.
    chance = (6 / 11) ** 2 + (5 / 11) ** 2
    assert report.fleiss == pytest.approx(((1 + 1 + 1 / 3 + 0) / 4 - chance) / (1 - chance))
    by_name = {one.inspector: one.settled for one in report.inspectors}
    assert (by_name["bob"].false_good.errors, by_name["bob"].false_good.answers) == (1, 2)
    assert (by_name["cid"].false_defect.errors, by_name["cid"].false_defect.answers) == (1, 2)
    assert by_name["ann"].false_good.errors == by_name["ann"].false_defect.errors == 0
    assert by_name["ann"].false_good.rate == 0
    assert by_name["dan"].false_good.answers == 0


def test_an_empty_ledger_has_no_inspectors(ledger: Ledger) -> None:
    report = inspector_report(ledger)
    assert (report.inspectors, report.pairs, report.images, report.fleiss) == ((), (), 0, None)
    assert open_gold(ledger, 3) == ([], 3)
    assert open_second_looks(ledger) == 0


def test_every_word_on_a_gold_item_is_kept(ledger: Ledger, image_ids: list[str], url: str) -> None:
    key = image_ids[0]
    ledger.set_gold_items([key], "good", "ann", "master part")
    ledger.set_gold_items([key], "good", "ann", "master part")
    with pytest.raises(LedgerError, match="--replace"):
        ledger.set_gold_items([key, image_ids[1]], "defect", "bob")
    ledger.set_gold_items([key], "defect", "bob", "crack under the lens", replace=True)
    ledger.remove_gold_items([key], "cat", "part is lost")
    assert [(word.said, word.who, word.note) for word in ledger.gold_events()] == [
        ("good", "ann", "master part"),
        ("defect", "bob", "crack under the lens"),
        ("withdrawn", "cat", "part is lost"),
    ]
    assert ledger.gold_items() == []
    history = ledger.history(key)
    assert list(history.gold_events) == ledger.gold_events(key)
    assert [event.text for event in history.events][1:] == [
        "ann vouched that it is good, master part",
        "bob vouched that it is defect, crack under the lens",
        "cat vouches for it no longer, part is lost",
    ]
    engine = create_engine(url)
    for statement in ("UPDATE gold_events SET who = 'bob'", "DELETE FROM gold_events"):
        with engine.connect() as connection, pytest.raises(DBAPIError, match="append-only"):
            connection.execute(text(statement))
    engine.dispose()


def test_words_of_before_the_history_begin_it(tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(b"0")
    with made_at("0006"), Ledger.open(tmp_path / "old.db") as old:
        (key,) = old.add_images([ImageEntry(tmp_path / "0.png")])
    with sqlite3.connect(tmp_path / "old.db") as raw:
        raw.execute("INSERT INTO gold_items VALUES (?, 'good', 'ann', '', '2026-01-01 00:00:00.000000+00:00')", (key,))
    with Ledger.open(tmp_path / "old.db") as ledger:
        ledger.set_gold_items([key], "defect", "bob", replace=True)
        assert [(word.said, word.who) for word in ledger.gold_events(key)] == [("good", "ann"), ("defect", "bob")]


def test_of_two_programs_that_differ_one_is_refused(ledger: Ledger, image_ids: list[str], url: str) -> None:
    def work(truth: Truth) -> bool:
        with Ledger.open(url) as own:
            try:
                own.set_gold_items(image_ids, truth, truth)
            except LedgerError:
                return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(work, ("good", "defect"))) == [False, True]
    assert len(ledger.gold_events()) == len(image_ids)
    assert {word.said for word in ledger.gold_events()} == {item.truth for item in ledger.gold_items()}
