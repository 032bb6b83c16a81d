"""What the commands say to people: on stderr, so that stdout stays clean for results."""

import errno
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from typer.core import TyperGroup

from integrations.endings import INTERRUPTED
from learning.errors import UserError
from learning.progress import Progress

USER_MISTAKE = 2
DRIFTING = 3
"""There is an alarm, and ``--exit-code`` was given."""
SOME_FAILED = 4
"""Some of the work was done and the rest is listed: neither a mistake nor a bug, with which Python leaves by 1."""
_SECONDS_BETWEEN_LINES = 10.0
"""How often progress is logged where no bar can be drawn."""


_drawing: Console | None = None
"""Where a bar is being drawn: lines of another console would end up on the bar's own line."""

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""The disk, a quota, the size that a file may have."""
_FULL = "the disk is full, or a quota; free some space and run the same command again, nothing is half written"


class OneLineErrors(TyperGroup):
    """Prints what the user can put right as one red line and leaves with 2; a bug keeps its traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        from safetensors import SafetensorError

        from synth.errors import SynthError

        try:
            return super().invoke(ctx)
        except (UserError, SynthError) as error:
            complain(str(error))
        except OSError as error:
            if error.errno in _NO_ROOM:
                complain(_FULL)
            elif error.filename is None and not isinstance(error, TimeoutError):
                raise
            else:
                complain(f"{error.filename}: {error.strerror}")
        except SafetensorError as error:
            # Its writer is not Python's, and says so in words only.
            if not any(f"os error {number}" in str(error) for number in _NO_ROOM):
                raise
            complain(_FULL)
        except KeyboardInterrupt:
            stop("nothing is half written, and the same command can be run again")
        raise typer.Exit(USER_MISTAKE)


def complain(message: str) -> None:
    """Print one red line on stderr."""
    Console(stderr=True, soft_wrap=True).print(
        f"[bold red]error:[/] {escape(' '.join(message.split()))}", highlight=False
    )


def say(message: str) -> None:
    """Print a line for people on stderr; Rich markup is understood."""
    (_drawing or Console(stderr=True)).print(message, highlight=False, soft_wrap=True)


def page() -> Console:
    """The console for results that are read by people: standard output, and above a bar where one is drawn."""
    return _drawing if _drawing is not None and sys.stdout.isatty() else Console()


def stop(how_to_go_on: str) -> None:
    """Leave after Ctrl-C, with one line that says how to go on."""
    say(f"[yellow]stopped:[/] {escape(how_to_go_on)}")
    raise typer.Exit(INTERRUPTED)


def ends_with_ctrl_c() -> None:
    """Let a kill and a closed terminal end a command as Ctrl-C does: servers that it started are ended."""
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.default_int_handler)


def print_json(value: Any) -> None:
    """Print one JSON object on one line of stdout."""
    sys.stdout.write(json.dumps(value, default=str) + "\n")


@contextmanager
def bar(when_stopped: str = "nothing is half written, and the same command can be run again") -> Iterator[Progress]:
    """Show progress on stderr: a bar on a terminal, a line now and then in a log.

    Args:
        when_stopped: What Ctrl-C leaves behind, and how to go on.

    Yields:
        The function that the floors below report to.
    """
    console = Console(stderr=True)
    try:
        if console.is_terminal and not os.environ.get("CI"):
            with _drawn(console) as report:
                yield report
        else:
            yield _logged(console)
    except KeyboardInterrupt:
        stop(when_stopped)


@contextmanager
def _drawn(console: Console) -> Iterator[Progress]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(compact=True),
    )
    global _drawing
    # Rich would write what goes to stdout above the bar, on stderr; right on a terminal, wrong in a pipe.
    with RichProgress(*columns, console=console, redirect_stdout=sys.stdout.isatty()) as rich:
        task = rich.add_task("starting", total=None)

        def report(done: float, total: float, text: str) -> None:
            shown = rich.tasks[0]
            if shown.total != total or done < shown.completed:
                rich.reset(task)
            rich.update(task, completed=done, total=total, description=escape(text))

        _drawing = console
        try:
            yield report
        finally:
            _drawing = None


def _logged(console: Console, clock: Callable[[], float] = time.monotonic) -> Progress:
    last = clock()

    def report(done: float, total: float, text: str) -> None:
        nonlocal last
        if clock() - last >= _SECONDS_BETWEEN_LINES:
            last = clock()
            console.print(f"{text}: {100 * done / total if total else 0:.0f} %", highlight=False, markup=False)

    return report
