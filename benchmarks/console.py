"""What benchmarks say beside their result."""

import sys
from collections.abc import Callable

from rich.console import Console

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
