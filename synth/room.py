"""Memory that threads share."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition


class Room:
    """Lets threads in as long as what they hold together fits; one that fits nowhere goes in alone.

    Args:
        size: In bytes.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._used = 0
        self._changed = Condition()

    @contextmanager
    def taken(self, wanted: int) -> Iterator[None]:
        """Wait until there is room, and hold it."""
        with self._changed:
            self._changed.wait_for(lambda: self._used == 0 or self._used + wanted <= self._size)
            self._used += wanted
        try:
            yield
        finally:
            with self._changed:
                self._used -= wanted
                self._changed.notify_all()
