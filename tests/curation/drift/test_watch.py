from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curation.drift.cameras import Rules
from curation.drift.reading import models_at, read_embeddings, read_stream
from curation.drift.tags import tag_pictures
from curation.drift.watch import watch_ledger
from curation.errors import LedgerError
from curation.ledger import ImageEntry, Ledger, ScoreEntry, VerdictEntry
from curation.looks import LooksAhead, complete_looks, look, look_of
from curation.triggers import challenger_due

START = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        yield opened


def add(
    ledger: Ledger, folder: Path, count: int, dark_from: int, camera: str | None = None, timed: bool = True
) -> list[str]:
    """Score noise, of which some is dark, and its embeddings."""
    rng = np.random.default_rng(len(camera or ""))
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for place in range(count):
        level = 60 if place >= dark_from else 140
        pixels = rng.normal(level + rng.normal(0, 4), 20, (24, 24, 3)).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{place:03d}.png")
        time = START + timedelta(minutes=place) if timed else None
        entries.append(ImageEntry(folder / f"{place:03d}.png", part=f"{camera}{place}", camera=camera, time=time))
    ids = ledger.add_images(entries)
    ledger.record_threshold("model", 1, 3.0, "promise")
    ledger.record_scores(
        [
            ScoreEntry(key, "model", 1, score=float(s), decision_score=float(s))
            for key, s in zip(ids, rng.random(count), strict=True)
        ]
    )
    np.save(folder / "embeddings.npy", rng.normal(size=(count, 5)).astype(np.float32))
    ledger.record_embeddings("model", folder / "embeddings.npy", ids)
    return ids


def test_a_ledger_says_when_pictures_became_dark_and_says_so_again_without_them(ledger: Ledger, tmp_path: Path) -> None:
    add(ledger, tmp_path / "a", 70, 45)
    rules = Rules(first=25)
    (state,) = watch_ledger(ledger, rules)
    assert {found.statistic for found in state.findings} >= {"brightness"}
    assert state.findings[0].since_at == START + timedelta(minutes=45)
    for path in (tmp_path / "a").glob("*.png"):
        path.unlink()
    (again,) = watch_ledger(ledger, rules)
    assert [f.text for f in again.findings] == [f.text for f in state.findings]
    (then,) = watch_ledger(ledger, rules, until=START + timedelta(minutes=44))
    assert not then.drifting


def test_without_times_the_order_of_scoring_counts(ledger: Ledger, tmp_path: Path) -> None:
    add(ledger, tmp_path / "a", 70, 45, timed=False)
    (state,) = watch_ledger(ledger, Rules(first=25))
    assert state.findings[0].since == "None45"
    assert not state.timed
    assert any("order of scoring" in note for note in state.notes)


def test_cameras_share_the_rate_of_false_alarms_in_the_order_of_their_appearance(
    ledger: Ledger, tmp_path: Path
) -> None:
    add(ledger, tmp_path / "b", 4, 99, camera="b")
    add(ledger, tmp_path / "aa", 3, 99, camera="aa")
    states = watch_ledger(ledger, Rules())
    assert [(s.camera, s.rate) for s in states] == [("b", 0.025), ("aa", pytest.approx(0.05 / 6))]
    (one,) = watch_ledger(ledger, Rules(), camera="aa")
    assert one.rate == pytest.approx(0.05 / 6)
    assert "not enough yet: 47 more parts" in one.text
    with pytest.raises(LedgerError, match="no scored pictures of camera 'c'; it has: aa, b"):
        watch_ledger(ledger, Rules(), camera="c")


def test_an_empty_ledger_says_what_to_do(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="flawsmith score"):
        watch_ledger(ledger, Rules())


def test_a_camera_is_watched_by_the_model_that_decided_then(ledger: Ledger, tmp_path: Path) -> None:
    ids = add(ledger, tmp_path / "a", 5, 99)
    assert models_at(ledger) == {"": "model"}
    ledger.record_scores([ScoreEntry(key, "next", 1, score=0.0, decision_score=0.0) for key in ids])
    ledger.crown("model", None, "appointed", "first")
    assert models_at(ledger) == {"": "model"}
    ledger.crown("next", "model", "promoted", "better")
    assert models_at(ledger) == {"": "next"}
    assert models_at(ledger, until=START) == {"": "next"}  # nobody had been appointed: what scored the picture last


def test_damaged_embeddings_are_a_note(ledger: Ledger, tmp_path: Path) -> None:
    add(ledger, tmp_path / "a", 5, 99)
    (tmp_path / "a" / "embeddings.npy").write_bytes(b"nothing")
    (state,) = watch_ledger(ledger, Rules())
    assert any("were changed" in note for note in state.notes)
    assert all(one.statistic != "embedding" for one in state.states)


def test_first_answers_about_parts_count(ledger: Ledger, tmp_path: Path) -> None:
    ids = add(ledger, tmp_path / "a", 3, 99)
    said = [("ann", ids[0], "unsure", 1), ("bob", ids[0], "good", 2), ("ann", ids[1], "skipped", 3)]
    said += [("ann", ids[2], "defect", 4)]
    ledger.record_verdicts(
        [
            VerdictEntry(None, key, who, verdict, START + timedelta(hours=at), "test", f"{at}", "1")  # type: ignore[arg-type]
            for who, key, verdict, at in said
        ]
    )
    answers = read_stream(ledger, "", "model").answers
    assert [(answer.image_id, answer.unsure) for answer in answers] == [(ids[0], True), (ids[2], False)]
    assert len(read_stream(ledger, "", "model", until=START + timedelta(hours=1)).answers) == 1
    assert read_embeddings(ledger, "other")[0] == {}


def test_pictures_are_tagged_and_tags_go_with_the_alarm(ledger: Ledger, tmp_path: Path) -> None:
    add(ledger, tmp_path / "a", 70, 45)
    states = watch_ledger(ledger, Rules(first=25))
    tag_pictures(ledger, states)
    assert tag_pictures(ledger, states) > 0
    assert {tag.tag for tag in ledger.tags()} >= {"drift:brightness"}
    tag_pictures(ledger, watch_ledger(ledger, Rules(first=25), until=START + timedelta(minutes=44)))
    assert ledger.tags() == []


def test_a_challenger_is_due_by_drift_or_by_verdicts(ledger: Ledger, tmp_path: Path) -> None:
    add(ledger, tmp_path / "a", 70, 45)
    assert challenger_due(ledger).due
    assert not challenger_due(ledger, if_new=1).due
    due = challenger_due(ledger, if_new=1, if_drift=True, rules=Rules(first=25))
    assert due.due
    assert "brightness is lower" in due.text
    calm = challenger_due(ledger, if_drift=True, rules=Rules(first=69))
    assert not calm.due
    assert calm.text == "no new drift alarm"


def test_looks_say_what_they_are_to_say() -> None:
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (40, 40), dtype=np.uint8)
    brightness, contrast, _, _, red, blue = look_of(grey)
    assert brightness == pytest.approx(grey.mean() / 255, abs=1e-4)
    assert contrast == pytest.approx(grey.std() / 255, abs=1e-4)
    assert (red, blue) == (0.0, 0.0)
    warm = np.stack([grey, grey // 2, grey // 4], axis=2)
    assert look_of(warm)[4] == pytest.approx(np.log(2), abs=0.05)
    assert look_of(warm)[5] < -0.6
    smooth = np.asarray(Image.fromarray(grey).resize((10, 10)).resize((40, 40)))
    assert look_of(smooth)[2] < look_of(grey)[2] + 1
    assert look_of(smooth)[3] < look_of(grey)[3]


def test_looks_are_kept_and_unreadable_files_are_left_out(ledger: Ledger, tmp_path: Path) -> None:
    ids = add(ledger, tmp_path / "a", 3, 99)
    (tmp_path / "a" / "002.png").write_text("no picture")
    assert complete_looks(ledger, ids) == 1
    assert set(ledger.looks()) == set(ids[:2])
    ledger.record_looks({ids[0]: (0.0,) * 6})
    assert ledger.looks()[ids[0]] == pytest.approx(look(tmp_path / "a" / "000.png"))
    ahead = LooksAhead()
    for name in ("000.png", "002.png"):
        ahead.begin(tmp_path / "a" / name)
    assert set(ahead.take(["x", "y"])) == {"x"}
    assert ahead.take([]) == {}
