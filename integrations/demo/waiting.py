"""Waiting for a person who answers in Label Studio."""

import select
import sys
import time
from collections.abc import Callable, Sequence

from rich.console import Console

from learning.progress import Progress

_SECONDS = 4.0


def wait_for_answers(
    fetch: Callable[[], object],
    states: Callable[[], Sequence[str]],
    progress: Progress,
    console: Console,
    seconds: float = _SECONDS,
) -> int:
    """Fetch answers again and again until there are no open questions, or the person presses Enter.

    Args:
        fetch: Brings new verdicts into the ledger.
        states: State of each question.
        progress: Told the number of answers.
        console: Where the person is told how to end it early.
        seconds: Between two looks.

    Returns:
        The number of answers.
    """
    typed = sys.stdin is not None and sys.stdin.isatty()
    if typed:
        console.print("Enter goes on with the answers there are by then; Ctrl-C stops, the next run goes on from here.")
    while True:
        fetch()
        found = states()
        answered = sum(state == "answered" for state in found)
        progress(answered, len(found), "waiting for your answers")
        if answered and all(state not in ("created", "pushed") for state in found):
            return answered
        if typed and answered:
            ready, _, _ = select.select([sys.stdin], [], [], seconds)
            if ready:
                sys.stdin.readline()
                return answered
        else:
            time.sleep(seconds)
