import os
from pathlib import Path

import pytest

from benchmarks import sync


@pytest.mark.server
def test_what_is_written_is_what_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLAWSMITH_MONGO_URI", raising=False)
    steps = sync.measure(tmp_path, 200, seed=0)
    assert [step["expected"] for step in steps] == [200, 0, 2, 2, 200, 200]
    for step in steps:
        assert 0 <= step["written"] - step["expected"] <= sync.OWN, step
        assert step["samples_per_second"] > 0


def test_processor_time_of_a_process_grows() -> None:
    before = sync._cpu_seconds(os.getpid())
    sum(range(3_000_000))
    assert sync._cpu_seconds(os.getpid()) > before


def test_too_few_samples_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        sync.main(["--count", "3"])
    assert "at least 100" in capsys.readouterr().err
