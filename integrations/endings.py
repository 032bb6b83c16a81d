"""How a command ends that a person, a closed terminal or the system stops."""

import os
import signal

INTERRUPTED = 130
"""Exit code."""

_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_AT_ONCE = b"stopped at once: nothing is half written, and the same command goes on from where it was\n"


def once_more_ends_at_once() -> None:
    """While a command is ending, let another signal end it with one line; wherever it came, it would be a traceback."""
    for ending in _ENDINGS:
        signal.signal(ending, _leave)


def _leave(*_: object) -> None:
    # As after a kill: nothing here may wait, and what was cut off might have been writing to the same stream.
    os.write(2, _AT_ONCE)
    os._exit(INTERRUPTED)
