from pathlib import Path

import pytest

from benchmarks import buttons


def test_each_button_is_pressed_and_counted(tmp_path: Path) -> None:
    found = buttons.measure(tmp_path, 400, times=3, seed=0)
    assert [one["button"] for one in found] == ["why", "similar", "spread", "inspect"]
    for one in found:
        assert 0 < one["p50_seconds"] <= one["p95_seconds"]
        assert one["cpu_seconds"] > 0
        # Python with numpy alone takes as much.
        assert 30 < one["peak_mb"] < 4000


def test_what_cannot_be_measured_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for option, text in ((("--count", "3"), "at least 100"), (("--times", "0"), "at least 1")):
        with pytest.raises(SystemExit):
            buttons.main(option)
        assert text in capsys.readouterr().err
