"""Costs of thresholds on simulated lines: same seeds, same figures, and none beats the best there is."""

import json

import numpy as np
import pytest

from benchmarks.least_cost import LINES, RULES, SCALES, Line, counted_value, main


def test_a_small_table(capsys: pytest.CaptureFixture[str]) -> None:
    results = []
    for _ in range(2):
        main(["--lines", "2", "--json"])
        results.append(json.loads(capsys.readouterr().out.splitlines()[-1]))
    first, again = results
    assert first["rows"] == again["rows"]
    assert len(first["rows"]) == len(LINES) * len(SCALES)
    for row in first["rows"]:
        assert set(row["rules"]) == set(RULES)
        assert all(rule["cost"] >= row["least"] - 1e-4 for rule in row["rules"].values())
        assert row["rules"]["promise alone"]["raised"] == 0
    main(["--lines", "2"])
    assert "smoothed" in capsys.readouterr().out


def test_the_true_cost_is_of_escapes_and_false_rejects() -> None:
    line = Line(3.0, defective=0.1, escape=20, false_reject=1)
    assert line.costs([-50, 50]) == pytest.approx([0.9, 2.0])
    assert line.costs(3.0) == pytest.approx(1.0 + 0.9 * 0.00135, abs=1e-5)


def test_counted_is_the_rule_of_before() -> None:
    scores, labels = np.array([1.0, 3.0]), np.array([False, True])
    assert counted_value(scores, labels, np.ones(2), 20, 1) == pytest.approx(1 + 2 / 21)
    assert counted_value(scores, ~labels, np.ones(2), 20, 1) < 1
