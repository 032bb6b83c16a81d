"""A retraining beside the server: the command that people run, in a process of its own, one at a time."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

_log = logging.getLogger(__name__)

_LONGEST_STOP = 20.0


class Retraining:
    """Starts ``flawsmith retrain challenger`` when it is asked to and none is running.

    One that another terminal runs is kept apart by that command itself, by its lock in the home folder.
    """

    def __init__(self, arguments: Sequence[str], log: Path) -> None:
        """Describe it; nothing is started yet.

        Args:
            arguments: After ``flawsmith retrain challenger``.
            log: File that it writes to, added to what is there.
        """
        self.command = [sys.executable, "-c", _RUN, "retrain", "challenger", *arguments]
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._alone = threading.Lock()

    @property
    def running(self) -> bool:
        """Whether one is running."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> bool:
        """Start one; False where one is running, and nothing is done."""
        with self._alone:
            if self.running:
                return False
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(
                    self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
            _log.info("a retraining was started; what it says is in %s", self.log)
            return True

    def stop(self) -> None:
        """End it, if one is running: the champion decides as before, and the next one goes on from where it was."""
        with self._alone:
            if self._process is None or self._process.poll() is not None:
                return
            for sign in (signal.SIGINT, signal.SIGKILL):
                os.killpg(self._process.pid, sign)
                try:
                    self._process.wait(_LONGEST_STOP)
                except subprocess.TimeoutExpired:
                    continue
                return


_RUN = "from integrations.cli import main; main()"
"""What the program ``flawsmith`` does, wherever it is installed."""


class EnoughNew:
    """Whether so many images are newly confirmed that a retraining is due; each number counts once.

    One that was started and came to no judgement is not started again by the next answer, but by as many more.
    """

    def __init__(self, newly_confirmed: Callable[[], int], wanted: int) -> None:
        """Say what is counted.

        Args:
            newly_confirmed: Images that are newly confirmed since a challenger was judged.
            wanted: At least 1.
        """
        self._newly_confirmed, self._wanted = newly_confirmed, wanted
        self._counted = 0

    def __call__(self) -> bool:
        """Count; True starts the count anew."""
        new = self._newly_confirmed()
        if new < self._counted:  # one was judged meanwhile
            self._counted = 0
        if new - self._counted < self._wanted:
            return False
        self._counted = new
        return True
