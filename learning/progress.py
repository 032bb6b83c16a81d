"""How long-running functions say where they are, without knowing who listens."""

from typing import Protocol


class Progress(Protocol):
    """Called now and then by everything that takes over two seconds."""

    def __call__(self, done: float, total: float, text: str) -> None:
        """Report that ``done`` of ``total`` units are finished; ``text`` says what is being done."""


def silent(done: float, total: float, text: str) -> None:
    """Report to nobody."""


def named(progress: Progress, name: str) -> Progress:
    """Say what all of it is for before each text."""

    def told(done: float, total: float, text: str) -> None:
        progress(done, total, f"{name}: {text}")

    return told
