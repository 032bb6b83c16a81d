"""What webhooks set off: a look for new answers once it is quiet, and a retraining where one is due."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Self

from learning.errors import UserError

_log = logging.getLogger(__name__)

QUIET = 2.0
"""Seconds without an event after which answers are fetched: one fetch for many answers."""
LONGEST = 15.0
"""Seconds after which they are fetched although it was never quiet."""
_AGAIN = 60.0
"""Seconds until a fetch that failed is tried again."""


class Errands:
    """One thread that fetches answers and starts retrainings. A context manager; it fetches once when it begins.

    A wake-up is only a hint: whatever it says, the answers come from the server, by the cursor of ``pull``.
    """

    def __init__(
        self,
        fetch: Callable[[], object],
        due: Callable[[], bool],
        train: Callable[[], bool],
        quiet: float = QUIET,
        longest: float = LONGEST,
    ) -> None:
        """Describe them.

        Args:
            fetch: Brings new answers into the ledger.
            due: Whether there are enough of them for a retraining.
            train: Starts a retraining in the background; False where one is running.
            quiet: Seconds.
            longest: Seconds.
        """
        self._fetch, self._due, self._train = fetch, due, train
        self._quiet, self._longest = quiet, longest
        self._changed = threading.Condition()
        self._first: float | None = None
        self._at = 0.0
        self._asked = self._ended = False
        self._thread = threading.Thread(target=self._run, name="errands", daemon=True)

    def wake(self, *, train: bool = False) -> None:
        """Say that there may be new answers, or ask for a retraining; returns at once."""
        with self._changed:
            now = time.monotonic()
            if self._first is None:
                self._first = now
            self._at = min(now + self._quiet, self._first + self._longest)
            self._asked |= train
            self._changed.notify()

    def __enter__(self) -> Self:
        self.wake()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while (asked := self._wait()) is not None:
            try:
                self._fetch()
                if (asked or self._due()) and not self._train():
                    _log.info("a retraining is running already")
            except UserError as error:
                _log.warning("%s; tried again in %.0f s", error, _AGAIN)
                self._later(asked)

    def _wait(self) -> bool | None:
        """Until it is time; whether a retraining was asked for, None where it has ended."""
        with self._changed:
            while not self._ended:
                left = None if self._first is None else self._at - time.monotonic()
                if left is not None and left <= 0:
                    asked, self._asked, self._first = self._asked, False, None
                    return asked
                self._changed.wait(left)
        return None

    def _later(self, asked: bool) -> None:
        with self._changed:
            if self._first is None:
                self._first, self._at = time.monotonic(), time.monotonic() + _AGAIN
            self._asked |= asked
