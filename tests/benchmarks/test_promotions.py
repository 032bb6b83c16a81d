"""The table of promotions: same seeds, same figures; small sets are refused, and naive promotes half the time."""

import json

import pytest

from benchmarks.promotions import main, too_many


def test_a_small_table(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = "--replays=6 --effects=1.5 --primary=escape_rate --resamples=200 --json"
    arguments = [*arguments.split(), "--n", "40", "200"]
    results = []
    for _ in range(2):
        main(arguments)
        results.append(json.loads(capsys.readouterr().out.splitlines()[-1]))
    assert results[0]["rows"] == results[1]["rows"]
    rows = results[0]["rows"]
    assert len(rows) == 2 * 2 * 2 * 3
    assert all(row["no_decision"] == 1 and row["promoted"] == 0 for row in rows if row["n"] == 40)
    even = [row for row in rows if row["n"] == 200 and row["labels"] == "random"]
    assert all(row["no_decision"] == 0 for row in even)
    assert any(row["promoted"] > 0 for row in even if row["change"] == 1.5)
    with pytest.raises(SystemExit):
        main(["--primary", "recall"])


def test_chance_alone_breaks_nothing() -> None:
    assert not too_many(0.05, 200)
    assert not too_many(0.09, 200)
    assert too_many(0.10, 200)
