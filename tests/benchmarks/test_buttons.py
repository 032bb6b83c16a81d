from pathlib import Path

import numpy as np
import pytest

from benchmarks import buttons


def test_each_button_is_pressed_and_counted_and_none_for_ever(tmp_path: Path) -> None:
    # What the process that starts another holds is none of its memory.
    held = np.ones(200_000_000)
    found = buttons.measure(tmp_path, 400, times=50, seed=0, most_seconds=0.0)
    assert [one["button"] for one in found] == ["why", "similar", "spread", "inspect", "mark", "source"]
    assert {one["pressed"] for one in found} == {2}
    for one in found:
        assert 0 < one["p50_seconds"] <= one["p95_seconds"]
        assert one["cpu_seconds"] > 0
        # Python with numpy alone takes as much.
        assert 30 < one["peak_mb"] < held.nbytes / 1e6


@pytest.mark.slow
def test_each_button_is_pressed_as_often_as_was_asked_for(tmp_path: Path) -> None:
    told: list[tuple[float, float, str]] = []
    found = buttons.measure(tmp_path, 400, times=3, seed=0, progress=lambda *one: told.append(one))
    assert {one["pressed"] for one in found} == {3}
    assert told[-1] == (18, 18, "pressing source")


def test_what_cannot_be_measured_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for option, text in ((("--count", "3"), "at least 100"), (("--times", "0"), "at least 1")):
        with pytest.raises(SystemExit):
            buttons.main(option)
        assert text in capsys.readouterr().err
