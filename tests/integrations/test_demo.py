import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from integrations.demo import DemoSettings, run_demo
from integrations.demo.measure import Station, measure
from integrations.demo.state import DemoState
from integrations.demo.steps import LINE, _write_cameras
from integrations.demo.table import before_after
from integrations.demo.truth import Truth, kind_of
from integrations.demo.waiting import wait_for_answers
from integrations.recording import ScoredImage
from learning.errors import ConfigError, DataError
from learning.images.readers import of_camera, read_data
from learning.images.records import ImageRecord
from learning.progress import silent
from learning.thresholds import Promise, Threshold
from synth.parts import make_line
from tests.interrupting import HEEDING

TINY = DemoSettings(steps=2, good=20, stream=24, size=64, answers=16, max_false_reject=0.4)


def console() -> Console:
    return Console(file=io.StringIO(), width=160)


def threshold(value: float, version: int) -> Threshold:
    return Threshold(version=version, value=value, promise=Promise("false_reject", 0.05, 0.95, 60, "at most 5 %"))


def scored(part: str, score: float, decision: float | None = None) -> ScoredImage:
    return ScoredImage(
        image=Path(f"/stream/{part}.png"),
        part=part,
        group=part,
        score=score,
        fallback_score=None,
        decision_score=score if decision is None else decision,
        percentile=50.0,
        decision="accept",
        threshold_version=2,
        map=None,
    )


def record(part: str, label: str, kind: str = "tile") -> ImageRecord:
    return ImageRecord(Path(f"/stream/{part}.png"), label, part=part, camera=f"{kind}-camera")


def test_state_remembers_steps_that_ended_and_forgets_those_that_failed(tmp_path: Path) -> None:
    state = DemoState.open(tmp_path / "demo", TINY)
    with state.step("parts") as result:
        result["images"] = 3
    with pytest.raises(KeyboardInterrupt), state.step("train"):
        raise KeyboardInterrupt
    again = DemoState.open(tmp_path / "demo", TINY)
    assert again.done("parts")
    assert not again.done("train")
    assert again.result("parts") == {"images": 3}
    assert [file.name for file in (tmp_path / "demo").iterdir()] == ["demo.json"]


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="not a demo"):
        run_demo(tmp_path, settings=TINY, console=console())
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


def test_another_seed_in_the_same_folder_is_refused_with_what_differs(tmp_path: Path) -> None:
    DemoState.open(tmp_path / "demo", TINY)
    with pytest.raises(DataError, match="seed 0"):
        DemoState.open(tmp_path / "demo", TINY.model_copy(update={"seed": 4}))


def test_a_damaged_state_is_said_in_one_line(tmp_path: Path) -> None:
    DemoState.open(tmp_path / "demo", TINY)
    (tmp_path / "demo" / "demo.json").write_text('{"format": 1')
    with pytest.raises(DataError, match="damaged") as caught:
        DemoState.open(tmp_path / "demo", TINY)
    assert "\n" not in str(caught.value)


def test_an_unknown_inspector_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="scripted, me"):
        run_demo(tmp_path / "demo", inspector="bob", console=console())
    assert not (tmp_path / "demo").exists()


def test_before_and_after_are_counted_by_part_and_camera() -> None:
    truth = Truth([record("a", "good"), record("b", "scratch"), record("c", "burr", "fastener"), record("d", "good")])
    images = [scored("a", 0.1), scored("b", 0.6, 2.0), scored("c", 0.3, 1.5), scored("d", 0.2, 1.2)]
    station = Station(threshold(0.5, 1), threshold(0.15, 0), threshold(1.0, 2))
    scored_by = {"tile": [images[i] for i in (0, 1, 3)], "fastener": [images[2]]}
    found = measure({"tile": station, "fastener": station}, scored_by, truth, answers=7, seed=0)
    assert (found.overall.before.escape.hits, found.overall.before.escape.of) == (1, 2)
    assert (found.overall.unasked.escape.hits, found.overall.unasked.false_reject.hits) == (0, 1)
    assert (found.overall.after.escape.hits, found.overall.after.escape.of) == (0, 2)
    assert (found.overall.before.false_reject.hits, found.overall.after.false_reject.hits) == (0, 1)
    assert found.overall.before.auroc.value == found.overall.after.auroc.value == 1.0
    assert [camera.comparison.name for camera in found.cameras] == ["tile", "fastener"]
    assert found.cameras[1].comparison.before.false_reject.value is None
    out = console()
    out.print(before_after(found))
    assert "50.0 % (1/2)" in out.file.getvalue()  # type: ignore[attr-defined]


def test_all_exposures_of_a_part_decide_together() -> None:
    truth = Truth([record("a", "good"), record("b", "scratch")])
    images = [scored("a", 0.1), scored("b", 0.2), scored("b", 0.9)]
    station = Station(threshold(0.5, 1), threshold(0.5, 0), threshold(0.5, 2))
    found = measure({"tile": station}, {"tile": images}, truth, answers=0, seed=0)
    assert len(found.parts) == 2
    assert found.overall.before.escape.value == 0


def test_scores_of_different_cameras_are_not_compared() -> None:
    # Each camera tells its own parts apart; put together, one's good parts lie above the other's defects.
    truth = Truth([record(n, "scratch" if n in "bd" else "good", "tile" if n in "ab" else "label") for n in "abcd"])
    station = Station(threshold(9.0, 1), threshold(9.0, 0), threshold(9.0, 2))
    by_kind = {"tile": [scored("a", 0.1), scored("b", 0.2)], "label": [scored("c", 5.0), scored("d", 6.0)]}
    assert measure(dict.fromkeys(by_kind, station), by_kind, truth, 0, 0).overall.before.auroc.value == 1.0


def test_the_column_in_the_middle_has_the_later_promise_without_answers() -> None:
    calibration = pd.DataFrame({"group": [str(i) for i in range(100)], "score": np.arange(100) / 100})
    limit = Threshold(version=2, value=3.0, promise=Promise("false_reject", 0.05, 0.95, 100, "at most 5 %"))
    station = Station.of(threshold(0.99, 1), limit, calibration)
    # At 5 % with 95 % confidence, one of 100 groups may lie above.
    assert station.unasked.value == pytest.approx(0.98)
    assert station.unasked.promise.limit == 0.05
    assert station.after.value == 3.0


def test_the_line_names_the_camera_of_each_good_part(tmp_path: Path) -> None:
    line = make_line(tmp_path / "line", good=2, stream=6, size=64)
    _write_cameras(line)
    records = read_data(line / "train.csv")
    assert len(records) == 6
    assert {kind: len(of_camera(records, f"{kind}-camera")) for kind in LINE} == dict.fromkeys(LINE, 2)
    assert {record.label for record in records} == {"good"}
    with pytest.raises(DataError, match="fastener-camera, label-camera, tile-camera"):
        of_camera(records, "nut-camera")


def test_the_scripted_inspector_knows_what_the_stream_hides(tmp_path: Path) -> None:
    line = make_line(tmp_path / "line", good=1, stream=9, defect_rate=0.4, size=64)
    truth = Truth.read(line / "stream_1")
    answers = truth.answers()
    assert len(answers) == 9
    verdicts = [answer.verdict for answer in answers.values()]
    assert (verdicts.count("defect"), verdicts.count("good")) == (4, 5)
    for answer in answers.values():
        assert (answer.mask is not None and answer.mask.shape == (64, 64)) == (answer.verdict == "defect")
    assert {kind_of(one) for one in truth.records} == {"tile", "fastener", "label"}


def test_waiting_ends_when_every_question_is_answered() -> None:
    states = ["created", "pushed", "pushed"]

    def fetch() -> None:
        open_ = [place for place, state in enumerate(states) if state != "answered"]
        if open_:
            states[open_[0]] = "answered"

    assert wait_for_answers(fetch, lambda: states, silent, console(), seconds=0.0) == 3


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.timeout(600)
def test_the_loop_runs_with_real_servers_is_interrupted_and_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    program = (
        HEEDING + "import sys; from pathlib import Path; from integrations.demo import DemoSettings, run_demo;"
        f"run_demo(Path({str(folder)!r}), settings=DemoSettings.model_validate_json({TINY.model_dump_json()!r}))"
    )
    # Stopped once while it trains or starts its servers, then left alone.
    first = subprocess.Popen([sys.executable, "-c", program], cwd=Path(__file__).parents[2], start_new_session=True)
    until = time.monotonic() + 120
    while time.monotonic() < until and "parts" not in _steps(folder):
        time.sleep(0.2)
    os.kill(first.pid, signal.SIGINT)
    assert first.wait(60) != 0
    assert _servers_of(folder) == []
    done_before = _steps(folder)

    said = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    ).stdout
    assert "done before" in said
    assert "false-reject rate" in said
    assert set(done_before) < set(_steps(folder))
    assert "<h2>By camera</h2>" in (folder / "report.html").read_text()
    assert _steps(folder)["answer"]["result"]["answered"] == TINY.answers
    assert _servers_of(folder) == []

    # All is done: the third run shows it again, and starts nothing.
    again = run_demo(folder, settings=TINY, console=console())
    assert again.answers == TINY.answers


def _steps(folder: Path) -> dict:
    file = folder / "demo.json"
    return json.loads(file.read_text())["steps"] if file.is_file() else {}


def _servers_of(folder: Path) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            said = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue
        if str(folder / "home").encode() in said:
            found.append(process.name)
    return found
