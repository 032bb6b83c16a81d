"""What benchmarks say beside their result."""

import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe_machine
from learning.errors import UserError


def say(text: str) -> None:
    """Print a line to stderr; stdout is for the result."""
    Console(stderr=True).print(text, highlight=False)


def start(main: Callable[[], None]) -> None:
    """Run a benchmark; a mistake of who started it is one line, and exit code 2."""
    try:
        main()
    except UserError as error:
        say(f"[bold red]error:[/] {error}")
        sys.exit(2)


class Clock:
    """Time since it was made, of the wall and of the processor."""

    def __init__(self) -> None:
        self._wall, self._processor = time.perf_counter(), time.process_time()

    def read(self) -> dict[str, Any]:
        """``machine``, ``seconds`` and ``cpu_seconds`` for a result."""
        return {
            "machine": describe_machine(),
            "seconds": round(time.perf_counter() - self._wall, 1),
            "cpu_seconds": round(time.process_time() - self._processor, 1),
        }


def show(result: Mapping[str, Any], drawn: Table | Iterable[Table], as_json: bool, *, width: int = 120) -> None:
    """Print the tables of a result; with ``as_json`` to stderr, and the result as the last line of stdout.

    ``width`` is that of the tables where there is no terminal.
    """
    console = Console(stderr=as_json, width=None if sys.stdout.isatty() else width)
    for table in [drawn] if isinstance(drawn, Table) else drawn:
        console.print(table)
    if as_json:
        sys.stdout.write(json.dumps(result) + "\n")
