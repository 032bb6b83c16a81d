"""A database in trouble is one clear line, and what was confirmed stays."""

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from curation.ledger import ImageEntry, Ledger, LedgerError, ScoreEntry, database


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A ledger with one image, closed."""
    image = tmp_path / "0.png"
    image.write_bytes(b"0")
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        ledger.add_images([ImageEntry(image)])
    return tmp_path / "ledger.db"


@contextmanager
def one_line(*words: str) -> Iterator[None]:
    with pytest.raises(LedgerError) as caught:
        yield
    said = str(caught.value)
    assert "\n" not in said
    assert all(word in said for word in words), said


def test_another_writer_is_named_and_readers_go_on(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    with closing(sqlite3.connect(place)) as other:
        other.execute("BEGIN IMMEDIATE")
        with Ledger.open(place) as ledger:
            (image,) = ledger.images()
            with one_line("another program has been writing", str(place)):
                ledger.record_scores([ScoreEntry(image.image_id, "model", 1, 0.5, 0.5)])
            other.rollback()
            assert ledger.record_scores([ScoreEntry(image.image_id, "model", 1, 0.5, 0.5)]) == 1


HOLDER = """
import sqlite3, sys, time
other = sqlite3.connect(sys.argv[1], isolation_level=None)
while True:
    other.execute("BEGIN IMMEDIATE")
    print(flush=True)
    time.sleep(0.15)
    other.execute("COMMIT")
    time.sleep(0.002)
"""


def test_a_writer_gets_its_turn_beside_one_that_hardly_pauses(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 4)
    other = subprocess.Popen([sys.executable, "-c", HOLDER, str(place)], stdout=subprocess.PIPE)
    try:
        assert other.stdout
        other.stdout.readline()
        with Ledger.open(place) as ledger:
            (image,) = ledger.images()
            for number in range(12):
                ledger.record_scores([ScoreEntry(image.image_id, f"model {number}", 1, 0.5, 0.5)])
    finally:
        other.kill()
        other.communicate()


@contextmanager
def as_nobody() -> Iterator[None]:
    """As root every folder can be written."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize(("there", "what"), [(True, "read-only"), (False, "check the path and the permissions")])
def test_a_read_only_folder_is_named(place: Path, there: bool, what: str) -> None:
    # Pytest's own folders can be entered by their owner only.
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "ledger.db"
        if there:
            file.write_bytes(place.read_bytes())
            file.chmod(0o444)
        Path(name).chmod(0o555)
        with as_nobody(), one_line(str(file), what):
            Ledger.open(file)
        Path(name).chmod(0o755)


def test_a_full_disk_loses_only_what_was_not_confirmed(place: Path) -> None:
    pages: dict[str, int] = {}

    def limit(connection: Any, record: Any) -> None:
        if pages:
            connection.execute(f"PRAGMA max_page_count = {pages['most']}")

    event.listen(Engine, "connect", limit)
    try:
        with closing(sqlite3.connect(place)) as other:
            pages["most"] = other.execute("PRAGMA page_count").fetchone()[0] + 4
        with Ledger.open(place) as ledger:
            (image,) = ledger.images()
            scores = [ScoreEntry(image.image_id, "model", version, 0.5, 0.5) for version in range(2000)]
            assert ledger.record_scores(scores[:10]) == 10
            with one_line("the disk is full", str(place)):
                ledger.record_scores(scores)
            assert len(ledger.scores(latest=False)) == 10
            assert ledger.record_scores(scores[:11]) == 1
        pages.clear()
        with Ledger.open(place) as ledger:
            assert ledger.record_scores(scores) == 2000 - 11
    finally:
        event.remove(Engine, "connect", limit)
