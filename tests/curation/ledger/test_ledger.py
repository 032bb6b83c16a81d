import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from curation.ledger import AskEntry, ImageEntry, Ledger, LedgerError, ScoreEntry, VerdictEntry
from curation.ledger.tables import metadata
from learning.errors import DataError


def ask(image_id: str, probability: float = 0.5) -> AskEntry:
    return AskEntry(image_id, "borderline", probability, "systematic", "model", 1)


def answer(
    ask_id: str, image_id: str, said: str, who: str = "ann", key: str = "1", revision: str = "1"
) -> VerdictEntry:
    return VerdictEntry(ask_id, image_id, who, said, f"2026-01-01T00:00:0{revision}Z", "ls", key, revision)  # type: ignore[arg-type]


def test_migrations_make_the_tables_that_the_code_uses(ledger: Ledger, url: str) -> None:
    with create_engine(url).connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_its_stamp_changes_when_something_is_written_and_only_then(
    ledger: Ledger, image_ids: list[str], url: str
) -> None:
    with Ledger.open(url) as other:
        before = ledger.stamp()
        assert other.images() == ledger.images()
        assert ledger.stamp() == other.stamp() == before
        other.record_scores([ScoreEntry(image_ids[0], "model", 1, score=0.5, decision_score=0.5)])
        after = ledger.stamp()
        assert after != before
    ledger.add_tag(image_ids[0], "seen", "ann")
    assert ledger.stamp() not in (before, after)


def test_images_are_known_by_content(ledger: Ledger, image_ids: list[str], tmp_path: Path) -> None:
    assert ledger.add_images([ImageEntry(tmp_path / "0.png")]) == image_ids[:1]
    (tmp_path / "0.png").rename(tmp_path / "moved.png")
    assert ledger.add_images([ImageEntry(tmp_path / "moved.png")]) == image_ids[:1]
    assert ledger.image(image_ids[0]).path == tmp_path / "moved.png"
    assert len(ledger.images()) == 4
    with pytest.raises(DataError, match="nowhere"):
        ledger.add_images([ImageEntry(tmp_path / "1.png"), ImageEntry(tmp_path / "nowhere.png")])


def test_every_write_can_be_repeated(ledger: Ledger, image_ids: list[str]) -> None:
    scores = [ScoreEntry(key, "model", 1, 0.1, 0.1) for key in image_ids]
    assert [ledger.record_scores(scores), ledger.record_scores(scores)] == [4, 0]
    ledger.record_scores([ScoreEntry(image_ids[0], "model", 2, 0.9, 0.9)])
    assert [row.score for row in ledger.scores()] == [0.1, 0.1, 0.1, 0.9]
    asks = ledger.create_asks([ask(key) for key in image_ids])
    assert ledger.create_asks([ask(key) for key in image_ids]) == asks
    verdicts = [answer(asks[0], image_ids[0], "good")]
    assert [ledger.record_verdicts(verdicts), ledger.record_verdicts(verdicts)] == [verdicts, []]
    assert ledger.verdicts()[0].model_id == "model"
    assert len(ledger.asks("created")) == 3


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ([("good", "ann", "1", "1")], "good"),
        ([("good", "ann", "1", "1"), ("defect", "ann", "1", "2")], "defect"),
        ([("defect", "ann", "1", "2"), ("good", "ann", "1", "1")], "defect"),
        ([("good", "ann", "1", "1"), ("defect", "bob", "2", "2")], "unresolved"),
        ([("good", "ann", "1", "1"), ("unsure", "bob", "2", "2")], "unresolved"),
        ([("good", "ann", "1", "1"), ("skipped", "bob", "2", "2")], "good"),
        ([("skipped", "ann", "1", "1")], None),
        ([("good", "ann", "1", "1"), ("withdrawn", "ann", "1", "2")], None),
        ([("good", "ann", "1", "3"), ("withdrawn", "ann", "1", "2")], None),
        ([("good", "ann", "1", "1"), ("withdrawn", "ann", "9", "2")], None),
        ([("good", "ann", "1", "1"), ("withdrawn", "ann", "1", "2"), ("defect", "ann", "3", "3")], "defect"),
        ([("good", "ann", "1", "1"), ("defect", "bob", "2", "2"), ("withdrawn", "bob", "2", "3")], "good"),
    ],
)
def test_resolution(ledger: Ledger, image_ids: list[str], said: list[tuple[str, ...]], state: str | None) -> None:
    (ask_id,) = ledger.create_asks([ask(image_ids[0], 0.25)])
    for verdict in said:
        ledger.record_verdicts([answer(ask_id, image_ids[0], *verdict)])
    found = ledger.resolved()
    assert [resolution.state for resolution in found] == ([state] if state else [])
    assert all(resolution.inclusion_probability == 0.25 for resolution in found)
    assert ledger.asks()[0].state == ("answered" if state else "created")


def test_verdicts_cannot_be_changed_or_deleted(ledger: Ledger, image_ids: list[str], url: str) -> None:
    (ask_id,) = ledger.create_asks([ask(image_ids[0])])
    ledger.record_verdicts([answer(ask_id, image_ids[0], "good")])
    for sql in (
        "UPDATE verdicts SET verdict = 'defect'",
        "DELETE FROM verdicts",
        "UPDATE asks SET inclusion_probability = 1",
        "DELETE FROM asks",
    ):
        with create_engine(url).connect() as connection, pytest.raises(DBAPIError, match="append-only"):
            connection.execute(text(sql))


VERDICT_COLUMNS = "ask_id, image_id, inspector, verdict, at, source, external_id, revision, recorded_at"
ASK_COLUMNS = "image_id, reason, inclusion_probability, strategy, model_id, threshold_version, seed, state, created_at"


@pytest.mark.parametrize(
    "sql",
    [
        f"INSERT OR REPLACE INTO verdicts (number, {VERDICT_COLUMNS}) SELECT number, {VERDICT_COLUMNS} FROM verdicts",
        f"INSERT OR REPLACE INTO verdicts ({VERDICT_COLUMNS}) SELECT {VERDICT_COLUMNS} FROM verdicts",
        f"INSERT OR REPLACE INTO asks (number, ask_id, {ASK_COLUMNS}) SELECT number, 'x', {ASK_COLUMNS} FROM asks",
        f"INSERT OR REPLACE INTO asks (ask_id, {ASK_COLUMNS}) SELECT ask_id, {ASK_COLUMNS} FROM asks",
        f"INSERT OR REPLACE INTO asks (ask_id, {ASK_COLUMNS}) SELECT 'x', {ASK_COLUMNS} FROM asks WHERE number = 2",
        "UPDATE OR REPLACE asks SET state = 'pushed' WHERE number = 1",
    ],
)
def test_no_other_program_replaces_rows(tmp_path: Path, sql: str) -> None:
    image = tmp_path / "0.png"
    image.write_bytes(b"0")
    with Ledger.open(tmp_path / "l.db") as ledger:
        (image_id,) = ledger.add_images([ImageEntry(image)])
        (ask_id,) = ledger.create_asks([ask(image_id)])
        ledger.record_verdicts([answer(ask_id, image_id, "good")])
        ledger.create_asks([ask(image_id)])
        before = ledger.history(image_id)
        # Without our settings: in such a connection REPLACE fires no trigger for what it deletes.
        with (
            contextlib.closing(sqlite3.connect(tmp_path / "l.db", isolation_level=None)) as other,
            pytest.raises(sqlite3.IntegrityError, match="append-only"),
        ):
            other.execute(sql)
        assert ledger.history(image_id) == before


def test_asks_are_created_while_others_are_answered(ledger: Ledger, image_ids: list[str], url: str) -> None:
    """Every call gives an ask that was open when it ended, and no two are open at once."""
    rounds = 40

    def ask_again() -> list[str]:
        with Ledger.open(url) as mine:
            return [key for _ in range(rounds) for key in mine.create_asks([ask(name) for name in image_ids])]

    def answer_all() -> None:
        with Ledger.open(url) as mine:
            for turn in range(rounds):
                opened = mine.asks("created")
                mine.record_verdicts([answer(row.ask_id, row.image_id, "good", key=row.ask_id) for row in opened])
                if turn % 2:
                    gone = [
                        answer(row.ask_id, row.image_id, "withdrawn", key=row.ask_id, revision="2") for row in opened
                    ]
                    mine.record_verdicts(gone)

    with ThreadPoolExecutor() as pool:
        askers, answering = [pool.submit(ask_again) for _ in range(2)], pool.submit(answer_all)
        answering.result()
        given = {key for asker in askers for key in asker.result()}
    rows = ledger.asks()
    assert {row.ask_id for row in rows} == given
    still_open = [row.image_id for row in rows if row.state in ("created", "pushed")]
    assert len(still_open) == len(set(still_open))


def test_a_wrong_verdict_leaves_nothing_behind(ledger: Ledger, image_ids: list[str]) -> None:
    (ask_id,) = ledger.create_asks([ask(image_ids[0])])
    good = answer(ask_id, image_ids[0], "good")
    with pytest.raises(LedgerError, match="not in the ledger"):
        ledger.record_verdicts([good, replace(good, ask_id="0" * 32, external_id="2")])
    assert ledger.verdicts() == []


def test_changed_embeddings_are_refused(ledger: Ledger, image_ids: list[str], tmp_path: Path) -> None:
    file = tmp_path / "e.npy"
    np.save(file, np.eye(4, dtype=np.float32))
    ledger.record_embeddings("model", file, image_ids)
    ids, array = ledger.embeddings("model")
    assert ids == image_ids
    np.testing.assert_array_equal(array, np.eye(4))
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    with pytest.raises(LedgerError, match="changed"):
        ledger.embeddings("model")


@pytest.mark.parametrize("place", ["mysql://x/y", "sqlite://", "no/such/folder/l.db", "http//://"])
def test_wrong_places_are_said_clearly(place: str) -> None:
    with pytest.raises(LedgerError):
        Ledger.open(place)


def test_newer_and_foreign_files_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "l.db"
    Ledger.open(file).close()
    with create_engine(f"sqlite:///{file}").begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(LedgerError, match="newer"):
        Ledger.open(file)
    file.write_bytes(b"this is no database" * 100)
    with pytest.raises(LedgerError, match="no SQLite database"):
        Ledger.open(file)


WRITER = """
import sys
from curation.ledger import Ledger, VerdictEntry
url, who, ask_id, image_id = sys.argv[1:]
with Ledger.open(url) as ledger:
    for number in range(100_000):
        key = f"{who}{number}"
        ledger.record_verdicts([
            VerdictEntry(ask_id, image_id, who, "good", "2026-01-01", "ls", key + half, "1") for half in "ab"
        ])
        print(number, flush=True)
"""


def test_two_writers_killed_lose_and_double_nothing(ledger: Ledger, image_ids: list[str], url: str) -> None:
    (ask_id,) = ledger.create_asks([ask(image_ids[0])])
    command = [sys.executable, "-c", WRITER, url]
    writers = {
        who: subprocess.Popen([*command, who, ask_id, image_ids[0]], stdout=subprocess.PIPE, text=True)
        for who in ("ann", "bob")
    }
    for writer in writers.values():
        assert writer.stdout
        assert [writer.stdout.readline() for _ in range(10)] == [f"{number}\n" for number in range(10)]
    for who, writer in writers.items():
        os.kill(writer.pid, signal.SIGKILL)
        confirmed = 10 + len(writer.communicate()[0].splitlines())
        keys = [row.external_id for row in ledger.verdicts() if row.inspector == who]
        assert len(keys) == len(set(keys))
        assert len(keys) in (2 * confirmed, 2 * confirmed + 2)


def test_processes_can_open_a_new_ledger_at_once(url: str) -> None:
    code = "import sys; from curation.ledger import Ledger; Ledger.open(sys.argv[1]).close()"
    openers = [subprocess.Popen([sys.executable, "-c", code, url]) for _ in range(4)]
    assert [opener.wait() for opener in openers] == [0, 0, 0, 0]
