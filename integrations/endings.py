"""How a command ends that a person, a closed terminal or the system stops."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

INTERRUPTED = 130
"""Exit code."""

_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_AT_ONCE = b"stopped at once: nothing is half written, and the same command goes on from where it was\n"


def once_more_ends_at_once() -> None:
    """While a command is ending, let another signal end it with one line; wherever it came, it would be a traceback."""
    for ending in _ENDINGS:
        signal.signal(ending, _leave)


@contextmanager
def endings_are_noted() -> Iterator[Callable[[], bool]]:
    """Have signals end nothing by an exception, which would leave a thread that is just being started to itself.

    Yields:
        Says whether one has come: then it is time to end, and another one ends at once.
    """
    come: list[int] = []

    def note(ending: int, _: object) -> None:
        once_more_ends_at_once()
        come.append(ending)

    before = {ending: signal.signal(ending, note) for ending in _ENDINGS}
    try:
        yield lambda: bool(come)
    finally:
        if not come:
            for ending, handler in before.items():
                signal.signal(ending, handler)


def _leave(*_: object) -> None:
    # As after a kill: nothing here may wait, and what was cut off might have been writing to the same stream.
    os.write(2, _AT_ONCE)
    os._exit(INTERRUPTED)
