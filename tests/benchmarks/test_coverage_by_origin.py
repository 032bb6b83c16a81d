"""The table of coverage by camera: same seeds, same figures; own values keep what one for all does not."""

import json

import pytest

from benchmarks.coverage_by_origin import CAMERAS, main


def test_a_small_table(capsys: pytest.CaptureFixture[str]) -> None:
    results = []
    for _ in range(2):
        main(["--lines", "20", "--json"])
        results.append(json.loads(capsys.readouterr().out.splitlines()[-1]))
    first, again = results
    assert first["rows"] == again["rows"]
    assert [row["camera"] for row in first["rows"]] == list(CAMERAS)
    kept = {row["camera"]: (row["own"]["kept"], row["one_for_all"]["kept"]) for row in first["rows"]}
    assert min(own for own, _ in kept.values()) >= 0.8
    assert kept["new"][1] == 0
    assert all(row["own"]["median_rejected"] <= row["limit"] for row in first["rows"])
    main(["--lines", "4"])
    assert "one for all" in capsys.readouterr().out
