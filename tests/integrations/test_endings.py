"""A command that is being stopped, and is told to stop once more."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVED = """
import asyncio, os, signal, sys
from integrations.cli.console import ends_with_ctrl_c
from integrations.schedule.serve import _run_until_stopped

class Runner:
    "Stops at once, or takes for ever, as a run that does not let itself be cancelled."
    started = False

    async def start(self):
        self.loop, self.over = asyncio.get_running_loop(), asyncio.Event()
        self.started = True
        if sys.argv[1] == "while it starts":
            os.kill(os.getpid(), signal.SIGTERM)
        print("started", flush=True)
        await self.over.wait()

    def execute_in_background(self, act):
        asyncio.run_coroutine_threadsafe(act(), self.loop)

    async def astop(self):
        if sys.argv[1] != "never":
            self.over.set()
        print("stopping", flush=True)

ends_with_ctrl_c()
_run_until_stopped(Runner(), lambda text: print(text, flush=True))
"""


def served(how: str) -> "subprocess.Popen[str]":
    # As a terminal starts it: a background job of a shell, and so of some test runs, ignores Ctrl-C.
    program = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n" + SERVED
    process = subprocess.Popen(
        [sys.executable, "-c", program, how], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    return process


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_scheduler_that_is_stopped_ends_in_order(first: signal.Signals) -> None:
    process = served("at once")
    process.send_signal(first)
    said, wrong = process.communicate(timeout=300)
    assert (process.returncode, wrong) == (0, "")
    assert said.startswith("stopping: a run that is going on is cancelled")


def test_it_ends_in_order_when_it_is_stopped_while_it_starts() -> None:
    process = served("while it starts")
    said, wrong = process.communicate(timeout=60)
    assert (process.returncode, wrong) == (0, "")
    assert said.startswith("stopping: a run that is going on is cancelled")


def test_it_ends_although_nobody_reads_any_more() -> None:
    process = served("at once")
    assert process.stdout is not None
    process.stdout.close()
    process.send_signal(signal.SIGHUP)
    assert process.wait(timeout=60) != 0


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_second_signal_ends_it_at_once_with_one_line(second: signal.Signals) -> None:
    process = served("never")
    process.send_signal(signal.SIGTERM)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("stopping: ")
    assert process.stdout.readline() == "stopping\n"
    time.sleep(0.1)
    process.send_signal(second)
    _, wrong = process.communicate(timeout=300)
    assert process.returncode == 130
    assert wrong == "stopped at once: nothing is half written, and the same command goes on from where it was\n"
