"""What ends the servers that an interrupted run would leave behind."""

import subprocess
import sys

import pytest

from tests import leftovers

SLEEPS = "import signal, time; signal.signal(signal.SIGTERM, signal.{}); print('ready', flush=True); time.sleep(600)"


@pytest.mark.parametrize("heeds", ["SIG_DFL", "SIG_IGN"])
def test_what_this_run_left_is_ended_and_named_and_nothing_else(monkeypatch: pytest.MonkeyPatch, heeds: str) -> None:
    monkeypatch.setattr(leftovers, "_WAIT_SECONDS", 0.5)
    command = [sys.executable, "-c", SLEEPS.format(heeds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as of_another_run:
        # From here on, as in a run of its own: the one that runs this test goes on.
        monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
        monkeypatch.setenv(leftovers._MARK, "")
        leftovers.mark_run()
        with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as left:
            assert left.stdout is not None
            assert left.stdout.readline() == b"ready\n"
            assert leftovers.end_leftovers() == [" ".join(command)]
            assert left.wait(30) < 0
        assert leftovers.end_leftovers() == []
        assert of_another_run.poll() is None
        of_another_run.kill()
