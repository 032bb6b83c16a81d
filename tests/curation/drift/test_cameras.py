from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from curation.drift.cameras import Rules, watch_camera
from curation.drift.reading import Answer
from curation.drift.reference import no_reference
from curation.drift.units import lots_of, one_of_each, ties_of, units_of
from tests.curation.drift.streams import START, reference_of, shots_of, stream_of

LARGE = 2.5


def moved(shots: list, since: int, place: int = 0, by: float = LARGE) -> list:  # type: ignore[type-arg]
    """Shots of which a look has moved since a part."""
    found = []
    for shot in shots:
        look = list(shot.look)
        look[place] += by * (int(shot.group[1:]) >= since)
        found.append(replace(shot, look=tuple(look)))
    return found


def test_nothing_is_said_of_a_stream_that_looks_like_its_reference() -> None:
    state = watch_camera(stream_of(shots_of(200)), reference_of(), Rules(), 0.05)
    assert not state.drifting
    assert state.advice == ""
    assert "no drift in 200 parts" in state.text
    assert {one.statistic for one in state.states} == {
        *("brightness", "contrast", "sharpness", "grain", "red", "blue", "score", "rejected", "embedding", "unsure")
    }


def test_an_alarm_says_what_since_when_and_which_pictures_show_it() -> None:
    state = watch_camera(stream_of(moved(shots_of(160), 100, by=-LARGE)), reference_of(), Rules(), 0.05)
    (found,) = state.findings
    assert (found.statistic, found.direction) == ("brightness", "lower")
    assert abs((found.since_at - START) / timedelta(minutes=1) - 100) <= 3
    assert 100 < (found.raised_at - START) / timedelta(minutes=1) < 115
    assert found.now < found.before - 2
    assert all(int(path.stem[1:5]) >= 99 for path in found.paths)
    assert all(int(path.stem[1:5]) < 100 for path in found.usual)
    assert "brightness is lower since 2026-03-01 07:4" in state.text
    assert state.advice.startswith("check the lamp and the exposure time")
    assert "59 good parts" in state.advice


def test_what_was_said_at_a_time_is_said_again_whenever_it_is_replayed() -> None:
    shots = moved(shots_of(160), 100)
    whole = watch_camera(stream_of(shots), reference_of(), Rules(), 0.05)
    for count in (50, 103, 130):
        then = watch_camera(stream_of(shots[:count]), reference_of(), Rules(), 0.05)
        for early, late in zip(then.states, whole.states, strict=True):
            np.testing.assert_array_equal(early.curve, late.curve[: len(early.curve)])
        raised = [(f.statistic, f.raised_at, f.since_at) for f in whole.findings if f.raised_at <= shots[count - 1].at]
        assert [(f.statistic, f.raised_at, f.since_at) for f in then.findings] == raised


def test_changed_embeddings_are_seen_with_the_pictures_that_bear_witness() -> None:
    shots = shots_of(200)
    shots = [replace(s, embedding=s.embedding + 1.5 * (i >= 120)) for i, s in enumerate(shots)]
    (found,) = watch_camera(stream_of(shots), reference_of(), Rules(), 0.05).findings
    assert (found.statistic, found.direction) == ("embedding", "different")
    assert all(int(path.stem[1:5]) >= 112 for path in found.paths)


def test_defects_above_the_threshold_are_no_drift_of_scores_but_more_of_them_are() -> None:
    shots = [replace(s, score=10.0) if i % 10 == 0 else s for i, s in enumerate(shots_of(200))]
    assert not watch_camera(stream_of(shots), reference_of(), Rules(), 0.05).drifting
    more = [replace(s, score=10.0) if i >= 120 and i % 2 else s for i, s in enumerate(shots)]
    assert [f.statistic for f in watch_camera(stream_of(more), reference_of(), Rules(), 0.05).findings] == ["rejected"]


def test_a_rise_of_unsure_answers_is_seen() -> None:
    shots = shots_of(200)
    answers = [Answer(s.image_id, s.path, s.at, i % 25 == 0 or (i > 100 and i % 3 > 0)) for i, s in enumerate(shots)]
    state = watch_camera(stream_of(shots, answers), reference_of(), Rules(), 0.05)
    (found,) = state.findings
    assert found.statistic == "unsure"
    assert found.before < 0.1 < 0.5 < found.now
    assert state.advice.startswith("look at what inspectors could not decide")


def test_lots_that_ordinarily_differ_are_no_drift_when_watched_by_lots() -> None:
    shots = shots_of(400, lots=8)
    rng = np.random.default_rng(5)
    offset = rng.normal(scale=3, size=50)
    differing = [replace(s, look=(s.look[0] + offset[i // 8], *s.look[1:])) for i, s in enumerate(shots) if s.look]
    assert not watch_camera(stream_of(differing), no_reference(), Rules(kind="lot"), 0.05).drifting
    assert watch_camera(stream_of(differing), reference_of(), Rules(), 0.05).drifting
    drifted = [replace(s, look=(s.look[0] + 12 * (i >= 296), *s.look[1:])) for i, s in enumerate(differing) if s.look]
    (found,) = watch_camera(stream_of(drifted), no_reference(), Rules(kind="lot"), 0.05).findings
    assert found.statistic == "brightness"
    assert found.since == "lot037"
    assert found.lots[:2] == ["lot037", "lot038"]


def test_a_change_in_the_middle_of_a_long_lot_is_seen_although_no_other_lot_is_known() -> None:
    state = watch_camera(stream_of(moved(shots_of(200, lots=400), 120)), no_reference(), Rules(kind="lot"), 0.05)
    assert [f.statistic for f in state.findings] == ["brightness within lots"]


def test_exposures_of_a_part_count_once() -> None:
    shots = shots_of(30, exposures=3)
    drawn = one_of_each(shots)
    assert len(drawn) == 29  # of the last part more may be to come
    assert len({shot.group for shot in drawn}) == 29
    assert len(one_of_each(shots_of(30))) == 30


def test_a_lot_speaks_by_its_first_parts_as_soon_as_it_has_them() -> None:
    shots = shots_of(17, lots=6)
    lots = lots_of(shots, None, parts=5)
    assert list(lots.names) == ["lot000", "lot001", "lot002"]
    assert lots.at[0] == shots[4].at
    assert lots.values["brightness"][1] == pytest.approx(np.mean([s.look[0] for s in shots[6:11] if s.look]))
    assert list(lots_of(shots[:16], None, parts=5).names) == ["lot000", "lot001"]


def test_pictures_that_are_gone_are_said_and_the_rest_is_watched() -> None:
    shots = [replace(s, look=None) if i % 2 else s for i, s in enumerate(shots_of(100, embedded=False))]
    state = watch_camera(stream_of(shots), reference_of(), Rules(), 0.05)
    assert not state.drifting
    assert "50 pictures are gone and were never measured: their looks are not watched" in state.notes
    assert any("no embeddings" in note for note in state.notes)


@pytest.mark.parametrize(("count", "more"), [(0, 50), (1, 49), (49, 1)])
def test_too_few_parts_are_said_with_the_number_that_is_missing(count: int, more: int) -> None:
    state = watch_camera(stream_of(shots_of(count)), no_reference(), Rules(), 0.05)
    assert f"not enough yet: {more} more part" in state.text
    assert not state.drifting


def test_watching_begins_where_it_is_told_to() -> None:
    shots = moved(shots_of(300), 100)
    rules = Rules(since=shots[100].at, first=40)
    assert not watch_camera(stream_of(shots), no_reference(), rules, 0.05).drifting


def test_ties_follow_from_names() -> None:
    ties = ties_of([f"p{i}" for i in range(500)], "score")
    assert 0 < ties.min() < 0.02
    assert 0.98 < ties.max() < 1
    np.testing.assert_array_equal(ties[:3], ties_of(["p0", "p1", "p2"], "score"))
    assert ties_of(["p0"], "red")[0] != ties[0]


def test_units_know_which_parts_are_accepted() -> None:
    shots = [replace(s, score=float(i)) for i, s in enumerate(shots_of(4))]
    units = units_of(shots, 1.5)
    np.testing.assert_array_equal(units.values["rejected"], [0, 0, 1, 1])
    np.testing.assert_array_equal(np.isnan(units.values["score"]), [False, False, True, True])
    assert np.isnan(units.embeddings[2]).all()
    assert Path("p0000_0.png") == units.shots[0][0].path
