"""``flawsmith curate open``, ended by a service manager: it leaves no process behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from curation.mongo import MongoServer

pytestmark = pytest.mark.server

# The App itself takes 20 s to start and is tested elsewhere: here it only waits to be closed.
OPEN = """
import time
from contextlib import nullcontext
import curation.dataset
from integrations.cli import main

class App(nullcontext):
    url = "http://127.0.0.1:1/"

    def wait(self, told):
        time.sleep(120)

curation.dataset.open_app = lambda *_, **__: App()
main()
"""


def test_ended_as_a_service_it_ends_its_database(tmp_path: Path) -> None:
    said = tmp_path / "said.log"
    with said.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", OPEN, "curate", "open", "--home", str(tmp_path)], stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + 300
        while "http" not in said.read_text() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        pid = MongoServer(tmp_path / "fiftyone").pid
        assert pid is not None, said.read_text()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, said.read_text()
        assert said.read_text().startswith("starting FiftyOne")
        assert "nothing is lost" in said.read_text()
        assert not Path(f"/proc/{pid}").exists()
    finally:
        process.kill()
        process.wait()
        if (left := MongoServer(tmp_path / "fiftyone").pid) is not None:
            os.kill(left, signal.SIGTERM)
