"""The cache of measurements in trouble: one line that says what to do, and nothing is lost."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from curation.errors import LedgerError
from curation.quality import Cache, cache
from curation.quality.measure import measure_pixels
from tests.curation.quality.made import part

MEASURED = measure_pixels((255 * part(0)).astype("uint8"))


@contextmanager
def one_line(file: Path, words: str) -> Iterator[None]:
    with pytest.raises(LedgerError) as caught:
        yield
    said = str(caught.value)
    assert "\n" not in said
    assert str(file) in said
    assert words in said


def test_a_full_disk_is_named_and_what_was_measured_stays(tmp_path: Path) -> None:
    file = tmp_path / "quality.db"
    with Cache(file) as full:
        full.keep_measured([(b"first", MEASURED)])
        # Of SQLite, whose words are those of a full disk.
        pages = full._connection.execute("PRAGMA page_count").fetchone()[0]
        full._connection.execute(f"PRAGMA max_page_count = {pages}")
        with one_line(file, "the disk is full"):
            full.keep_measured([(f"{number}".encode(), MEASURED) for number in range(100)])
    with Cache(file) as again:
        assert again.measured(b"0") is None
        kept = again.measured(b"first")
        assert kept is not None
        assert kept.pixels == MEASURED.pixels


def test_another_writer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "quality.db"
    Cache(file).__exit__(None, None, None)
    monkeypatch.setattr(cache, "_BUSY_SECONDS", 0.1)
    with Cache(file) as waiting, closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN IMMEDIATE")
        with one_line(file, "another program"):
            waiting.keep_measured([(b"first", MEASURED)])


@pytest.mark.parametrize("content", [b"no database at all, but a text of some length" * 50, None])
def test_what_is_no_cache_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "quality.db"
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)
    with one_line(file, "cannot be written" if content is None else "delete it"):
        Cache(file)
