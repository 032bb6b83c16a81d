"""What every test finds: no telemetry, no colours, one thread, and servers only on this machine."""

import os
import signal

import pytest
from hypothesis import settings

from tests.leftovers import end_leftovers, mark_run
from tests.workers import Together, workers

# The same examples every time: a test that fails now and then tells nobody what to mend.
settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")

os.environ["FIFTYONE_DO_NOT_TRACK"] = "true"
os.environ["COLLECT_ANALYTICS"] = "false"
# Here and in what tests start: workers share the processors, and sums must not depend on how many there are.
os.environ["OMP_NUM_THREADS"] = "1"
mark_run()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    return workers()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Together:
    return Together(config, log)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Let a run that is cancelled end as by Ctrl-C: pytest would end at once, and the workers' servers stay."""
    if not hasattr(session.config, "workerinput"):
        signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Once the workers have ended, end what they left: one that is interrupted has ten seconds, then it is killed."""
    if hasattr(session.config, "workerinput"):
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    for command in end_leftovers():
        if reporter is not None:
            reporter.write_line(f"left running by a test, and ended: {command}", red=True)


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a developer's own ledger and servers out of the tests."""
    for name in ("FLAWSMITH_LEDGER", "FLAWSMITH_HOME", "FLAWSMITH_LABEL_STUDIO_URL", "FLAWSMITH_LABEL_STUDIO_TOKEN"):
        monkeypatch.delenv(name, raising=False)
