"""The table of coverage: same seeds, same figures, and cells that cannot be promised read so."""

import json

import pytest

from benchmarks.coverage import METHODS, main


def test_a_small_table(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--lines", "4", "--n", "30,300", "--json"]
    results = []
    for _ in range(2):
        main(arguments)
        results.append(json.loads(capsys.readouterr().out.splitlines()[-1]))
    first, again = results
    assert first["rows"] == again["rows"]
    assert first["methods"] == again["methods"]
    assert len(first["rows"]) == 2 * 2 * 2 * 3 * 4
    assert {row["method"] for row in first["methods"]} == set(METHODS)
    of_thirty = [row for row in first["rows"] if row["n"] == 30 and row["limit"] == 0.1]
    assert all(row["kept"] is None and row["refused"] == 1 for row in of_thirty)
    main(arguments[:-1])
    assert "refused" in capsys.readouterr().out
