"""Servers that outlive the tests that started them, as when Ctrl-C takes a worker before its fixtures are torn down."""

import contextlib
import os
import signal
import time
import uuid
from pathlib import Path

_MARK = "FLAWSMITH_TEST_RUN"
"""In the environment of all that a run starts; what runs it sets it, workers and servers have it from there."""
_WAIT_SECONDS = 5.0


def mark_run() -> None:
    """Make what this run starts known by its environment; workers have been marked by the process that starts them."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        os.environ[_MARK] = uuid.uuid4().hex


def end_leftovers() -> list[str]:
    """End what this run started and left running: first given time, then asked, then forced.

    Returns:
        Commands of the processes that did not end by themselves.
    """
    left = _until_gone()
    commands = [_command(pid) for pid in left]
    for sign in (signal.SIGTERM, signal.SIGKILL):
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sign)
        left = left and _until_gone()
    return commands


def _until_gone() -> list[int]:
    until = time.monotonic() + _WAIT_SECONDS
    while (running := _running()) and time.monotonic() < until:
        time.sleep(0.1)
    return running


def _running() -> list[int]:
    mark = f"{_MARK}={os.environ[_MARK]}".encode()
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        pid = int(environment.parent.name)
        with contextlib.suppress(OSError):  # it has ended meanwhile, or is somebody else's
            if pid != os.getpid() and mark in environment.read_bytes().split(b"\0"):
                found.append(pid)
    return found


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return f"process {pid}"
