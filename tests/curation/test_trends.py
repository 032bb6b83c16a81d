from datetime import UTC, datetime

import pytest

from curation.trends import by_day, effect_of, pareto, score_histogram, spread_wide

SCORES = [0.1, 0.5, 0.9, 0.5, None, 0.3]
VERDICTS = ["good", "good", "defect", "defect", "good", None]


def test_a_threshold_rejects_what_is_above_it() -> None:
    found = effect_of(0.4, SCORES, VERDICTS)
    assert (found.false_rejects, found.good, found.escapes, found.defects) == (1, 2, 0, 2)
    assert (found.rejected, found.images) == (3, 5)
    at = effect_of(0.5, SCORES, VERDICTS)
    assert (at.false_rejects, at.escapes) == (0, 1)
    assert "0 of 2 (0.0 %) good images rejected, 1 of 2 (50.0 %) defects escape" in at.text


def test_without_verdicts_nothing_is_divided_by_nought() -> None:
    assert effect_of(0.5, [], []).text.startswith("0 of 0 good")


def test_a_histogram_counts_every_scored_image_once() -> None:
    borders, counts = score_histogram(SCORES, VERDICTS, bins=4)
    assert borders == pytest.approx([0.1, 0.3, 0.5, 0.7, 0.9])
    assert {name: sum(line) for name, line in counts.items()} == {"good": 2, "defect": 2, "no verdict": 1}
    assert score_histogram([None], ["good"]) == ([], {})


def test_scores_that_lie_far_apart_are_counted_by_their_logarithms() -> None:
    scores = [0.01, 0.01, 0.02, 1.0]
    assert spread_wide(scores)
    assert not any(spread_wide(some) for some in ([], [0.0, *scores], [0.1, 0.2, 0.9]))
    borders, counts = score_histogram(scores, ["good", "good", "good", "defect"], bins=2, logarithmic=True)
    assert borders == pytest.approx([0.01, 0.1, 1.0])
    assert (counts["good"], counts["defect"]) == ([3, 0], [0, 1])


def test_pareto_adds_up() -> None:
    severities = ["critical", "not critical", None, None]
    rows = pareto(["scratch", "dent", "scratch", None], severities)
    assert [(row.critical, row.not_critical) for row in rows] == [(1, 0), (0, 1), (0, 0)]
    assert [(row.name, row.count) for row in rows] == [("scratch", 2), ("dent", 1), ("no kind given", 1)]
    assert [row.cumulative for row in rows] == [0.5, 0.75, 1.0]
    assert pareto([], []) == []


def test_days_are_in_order_and_leave_out_what_is_not_known() -> None:
    early, late = datetime(2026, 3, 1, 23, tzinfo=UTC), datetime(2026, 3, 2, 1, tzinfo=UTC)
    days = by_day([late, early, early, None], [1.0, 0.0, 0.5, 9.0], ["reject", "accept", "accept", "reject"])
    assert [(day.day.day, day.images, day.median, day.rejected) for day in days] == [
        (1, 2, 0.25, 0.0),
        (2, 1, 1.0, 1.0),
    ]
