"""The FiftyOne App on a data set, for this machine only."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partialmethod
from types import TracebackType
from typing import Any, Self

from curation.connection import database_errors, require_database
from curation.errors import DatabaseError
from curation.ports import is_free

LOOPBACK = ("127.0.0.1", "localhost")
DEFAULT_PORT = 5151
RETRY = "Could not connect session, trying again"
START_SECONDS = 300
"""For the App's server to answer: a busy machine takes more than the minute that FiftyOne waits."""


@dataclass
class App:
    """A running App.

    Attributes:
        url: Address to open in a browser.
        session: FiftyOne's session, to set views from Python.
    """

    url: str
    session: Any

    def wait(self) -> None:
        """Block until the last browser tab is closed or the person presses Ctrl-C."""
        self.session.wait(-1)

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


def open_app(name: str, port: int = DEFAULT_PORT, address: str = "127.0.0.1") -> App:
    """Open the App on a data set, without a browser of its own. Takes 5 to 20 s until it answers.

    Args:
        name: Name of the data set, as given to ``sync``.
        port: Port that has to be free.
        address: Loopback only: the App asks nobody for a password.

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
    import fiftyone as fo
    from fiftyone.core.service import ServiceListenTimeout

    with database_errors():
        if not fo.dataset_exists(name):
            msg = f"There is no data set {name!r} in FiftyOne: score images into the ledger and sync first"
            raise DatabaseError(msg)
        _silence_retries()
        _wait_for_server()
        try:
            _start_server(port, address)
        except ServiceListenTimeout as error:
            minutes = START_SECONDS // 60
            msg = f"The App's server did not answer within {minutes} minutes, perhaps as the machine is busy: try again"
            raise DatabaseError(msg) from error
        session = fo.launch_app(fo.load_dataset(name), port=port, address=address, auto=False)
    return App(f"http://{address}:{port}/", session)


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
