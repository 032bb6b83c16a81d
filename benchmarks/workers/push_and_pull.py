"""A push or a pull in a process of its own, which ``benchmarks.review`` kills, or whose server it kills."""

import faulthandler
import importlib
import signal
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

# These four take seconds, which each process would spend again. The SDK's package by itself brings nothing: it loads
# its client where that is asked for. Torch comes with the pixels.
import faiss  # noqa: F401
from label_studio_sdk import LabelStudio  # noqa: F401

import integrations.label_studio.tasks  # noqa: F401
import learning.images.pixels  # noqa: F401
from curation.ledger import Ledger
from integrations.errors import ServerError
from integrations.label_studio import connect, pull, push

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

PUSH_STEPS = (
    "before looking for tasks",
    "tasks looked for",
    "before import",
    "imported",
    "before writing tasks down",
    "tasks not committed",
    "tasks written down",
)
PULL_STEPS = (
    "before the first page",
    "task read",
    "mask half written",
    "mask written",
    "before verdicts",
    "verdicts not committed",
    "verdicts written",
    "before cursor",
    "cursor not committed",
    "cursor written",
)
"""Where a push and a pull can be halted; each is reached once in a batch, a task, a mask or a whole pull."""

WHERE = signal.SIGUSR1
"""Has a worker write to stderr where each of its threads is."""


class Halt:
    """Stops this process where it reaches a step for the n-th time, and says so, until word comes.

    Args:
        step: One of the steps; empty for none.
        turn: Which time.
        pipe: To who waits for it.
    """

    def __init__(self, step: str, turn: int, pipe: "Connection") -> None:
        self._step, self._left, self._pipe, self._lock = step, turn, pipe, threading.Lock()

    def at(self, step: str) -> None:
        """Reach a step."""
        if not step or step != self._step:
            return
        with self._lock:
            self._left -= 1
            if self._left:
                return
            self._pipe.send(f"at {step}")
            self._pipe.recv()

    def around(self, owner: Any, name: str, before: str, after: str = "") -> None:
        """Have a function of a module or an object reach steps before and after it."""
        inner: Callable[..., Any] = getattr(owner, name)

        def outer(*given: Any, **named: Any) -> Any:
            self.at(before)
            found = inner(*given, **named)
            self.at(after)
            return found

        setattr(owner, name, outer)


def watch(halt: Halt, ledger: Ledger, client: Any) -> None:
    """Have a push and a pull with these tell where they are."""
    # The package's names of the two are the functions.
    pushing, pulling = (importlib.import_module(f"integrations.label_studio.{name}") for name in ("push", "pull"))
    halt.around(pushing, "find_tasks", "before looking for tasks", "tasks looked for")
    halt.around(client.projects, "import_tasks", "before import", "imported")
    halt.around(client.users, "list", "before the first page")
    halt.around(pulling, "_new_entries", "task read")
    # The only files that a pull moves into place are masks.
    replace = Path.replace

    def moved(path: Path, target: Path) -> Path:
        mask = path.suffix == ".part"
        halt.at("mask half written" if mask else "")
        found = replace(path, target)
        halt.at("mask written" if mask else "")
        return found

    Path.replace = moved  # type: ignore[method-assign, assignment]
    for name, before, after in (
        ("mark_pushed", "before writing tasks down", "tasks written down"),
        ("record_verdicts", "before verdicts", "verdicts written"),
        ("set_cursor", "before cursor", "cursor written"),
    ):
        _halt_before_commit(halt, ledger, name, after.replace(" written", " not committed").removesuffix(" down"))
        halt.around(ledger, name, before, after)


def _halt_before_commit(halt: Halt, ledger: Ledger, name: str, step: str) -> None:
    """Reach a step within a call of the ledger, when all is written and nothing is committed."""
    from sqlalchemy import Engine, event

    inner, calls = getattr(ledger, name), threading.local()

    def outer(*given: Any, **named: Any) -> Any:
        calls.inside = True
        try:
            return inner(*given, **named)
        finally:
            calls.inside = False

    def commits(_: Any) -> None:
        if getattr(calls, "inside", False):
            halt.at(step)

    event.listen(Engine, "commit", commits)
    setattr(ledger, name, outer)


def run(
    what: str,
    places: Mapping[str, str],
    project: int,
    chunk: int,
    halt: tuple[str, int],
    pipe: "Connection",
) -> None:
    """Push or pull once; say when it begins, and where it was halted. A server that is lost ends it.

    Args:
        what: ``push`` or ``pull``.
        places: ``ledger``, ``url``, ``token``, ``images_root`` and ``masks``.
        project: In Label Studio.
        chunk: Tasks in one import.
        halt: Where to wait for word, and at the how manieth time; an empty step for nowhere.
        pipe: What is said goes there, and word comes from there.
    """
    faulthandler.register(WHERE)
    # What is lost with its server is what this is about.
    with suppress(ServerError):
        client = connect(places["url"], places["token"])
        with Ledger.open(places["ledger"]) as ledger:
            watch(Halt(*halt, pipe), ledger, client)
            pipe.send("begins")
            if what == "push":
                push(ledger, client, project, Path(places["images_root"]), chunk=chunk)
            else:
                # A pull that finds nothing new leaves the cursor where it is, so that there would be no such step.
                pull(ledger, client, project, Path(places["masks"]), everything="cursor" in halt[0])
