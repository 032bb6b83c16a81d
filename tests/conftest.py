"""What every test finds: no telemetry, no colours, one thread, and servers only on this machine."""

import os
import signal

import pytest
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

from tests.leftovers import end_leftovers, mark_run

# The same examples every time: a test that fails now and then tells nobody what to mend.
settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")

os.environ["FIFTYONE_DO_NOT_TRACK"] = "true"
os.environ["COLLECT_ANALYTICS"] = "false"
# Here and in what tests start: workers share the processors, and sums must not depend on how many there are.
os.environ["OMP_NUM_THREADS"] = "1"
mark_run()

MOST_WORKERS = 4
"""Each takes up to 3 GB and starts servers of its own, and the longest file holds up more than that many."""

ONE_SERVER = ("tests/integrations/label_studio/",)
"""Folders whose tests go to one worker, as the server that they share takes long to start."""


class ByServer(LoadFileScheduling):
    """A worker gets whole files, because what is made once in a file would be made twice, or a whole folder."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return next((folder for folder in ONE_SERVER if file.startswith(folder)), file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One for each processor that this process may use, hyperthreads included: tests wait for servers and files."""
    return min(len(os.sched_getaffinity(0)), MOST_WORKERS)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByServer:
    return ByServer(config, log)


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
