"""The FiftyOne App on a data set, for this machine only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partialmethod
from threading import Event, Thread
from types import TracebackType
from typing import Any, Self

from curation.connection import database_errors, forget_datasets, require_database
from curation.errors import DatabaseError
from curation.plugin.binding import bound_id
from curation.ports import is_free
from learning.progress import Progress, silent

LOOPBACK = ("127.0.0.1", "localhost")
DEFAULT_PORT = 5151
RETRY = "Could not connect session, trying again"
START_SECONDS = 300
"""For the App's server to answer: a busy machine takes more than the minute that FiftyOne waits."""
STAGES = 3
LOOK_SECONDS = 1.0
"""Between two looks whether the data set is still the one that the App shows."""


@dataclass
class App:
    """A running App.

    Attributes:
        url: Address to open in a browser.
        session: FiftyOne's session, to set views from Python.
        name: Of the data set.
        shown: Its id in the database.
    """

    url: str
    session: Any
    name: str
    shown: Any

    def wait(self, told: Callable[[str], None]) -> None:
        """Block until the person presses Ctrl-C; meanwhile ``follow`` the data set.

        Args:
            told: Called with what happened to it, from another thread.
        """
        over = Event()

        def watch() -> None:
            said = ""
            while not over.wait(LOOK_SECONDS):
                try:
                    with database_errors():
                        text = self.follow()
                except DatabaseError:
                    # Whoever keeps the database alive says so.
                    continue
                if text and text != said:
                    told(text)
                said = text

        watching = Thread(target=watch, name="follows the data set", daemon=True)
        watching.start()
        try:
            self.session.wait(-1)
        finally:
            over.set()
            watching.join()

    def follow(self) -> str:
        """Show the data set that has the name now, where it was deleted or renamed and made anew since.

        FiftyOne keeps the open view, also one that asks for what is like samples that are gone: every page would be an
        error until the server is started again.

        Returns:
            What happened, in words; empty where nothing did.

        Raises:
            pymongo.errors.ConnectionFailure: The database does not answer.
        """
        import fiftyone as fo

        current = bound_id(self.name)
        if current is None:
            if fo.dataset_exists(self.name):
                return ""
            return (
                f"the data set {self.name} was deleted or renamed: flawsmith curate sync --name {self.name} makes it "
                "anew, and the App then shows it"
            )
        if current == self.shown:
            return ""
        # FiftyOne knows data sets by name, and would give the old one.
        forget_datasets()
        self.session.dataset = fo.load_dataset(self.name)
        self.shown = current
        return f"the data set {self.name} was made anew, and the App shows that one now"

    def close(self) -> None:
        """End the App's server. Repeatable."""
        import fiftyone.core.session as fos

        self.session.close()
        # FiftyOne itself ends its server only when the process exits.
        service = fos.session._server_services.pop(self.session.server_port, None)
        if service is not None:
            service.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_app(name: str, port: int = DEFAULT_PORT, address: str = "127.0.0.1", progress: Progress = silent) -> App:
    """Open the App on a data set, without a browser of its own. Takes 20 s until it answers, minutes on a busy machine.

    Args:
        name: Name of the data set, as given to ``sync``.
        port: Port that has to be free.
        address: Loopback only: the App asks nobody for a password.
        progress: Told what it waits for.

    Raises:
        DatabaseError: No such data set, the port is taken, the address is not loopback, or the server does not start.
    """
    require_database()
    if address not in LOOPBACK:
        msg = f"The App has no log-in and opens on 127.0.0.1 only, not on {address}: use an SSH tunnel to port {port}"
        raise DatabaseError(msg)
    if not is_free(port):
        msg = f"Port {port} is taken, perhaps by an App that is still open: close it or choose another port"
        raise DatabaseError(msg)
    progress(0, STAGES, "loading FiftyOne")
    import fiftyone as fo
    from fiftyone.core.service import ServiceListenTimeout

    with database_errors():
        if not fo.dataset_exists(name):
            msg = f"There is no data set {name!r} in FiftyOne: score images into the ledger and sync first"
            raise DatabaseError(msg)
        _silence_retries()
        _wait_for_server()
        progress(1, STAGES, "starting the App's server")
        try:
            _start_server(port, address)
        except ServiceListenTimeout as error:
            minutes = START_SECONDS // 60
            msg = f"The App's server did not answer within {minutes} minutes, perhaps as the machine is busy: try again"
            raise DatabaseError(msg) from error
        progress(2, STAGES, "opening the data set")
        dataset = fo.load_dataset(name)
        session = fo.launch_app(dataset, port=port, address=address, auto=False)
    progress(STAGES, STAGES, "opening the data set")
    return App(f"http://{address}:{port}/", session, name, dataset._doc.id)


def _start_server(port: int, address: str) -> None:
    """Start the App's server where FiftyOne's session looks for one.

    A session that starts it itself has set off its client's thread before, which nobody could end if the server failed.
    """
    import fiftyone as fo
    from fiftyone.core.service import ServerService
    from fiftyone.core.session.session import _server_services

    _server_services[port] = ServerService(port, address=address, do_not_track=fo.config.do_not_track)


def _wait_for_server() -> None:
    """Have FiftyOne wait longer for the App's server than a minute, which a busy machine can take to import it."""
    from fiftyone.core.service import ServerService, Service

    wait = partialmethod(Service._wait_for_child_port, timeout=START_SECONDS)
    ServerService._wait_for_child_port = wait


def _silence_retries() -> None:
    """Keep off the terminal that FiftyOne's client waits for the App's server, which takes a while to start."""
    import fiftyone.core.session.client as client

    client.print = _print_no_retries


def _print_no_retries(*values: Any, **options: Any) -> None:
    """What FiftyOne's client calls instead of ``print``, which it uses where others would log."""
    if not any(RETRY in str(value) for value in values):
        print(*values, **options)  # noqa: T201
