"""The demo's servers: started when they are needed, or early and behind the scenes, and always ended."""

import os
import signal
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from integrations.label_studio.client import connect, external_server
from integrations.label_studio.server import LabelStudioServer

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

    from curation.app import App

_PATIENCE = 20.0


class Servers:
    """Label Studio, FiftyOne's database and its App, for the length of a ``with`` block.

    Args:
        home: Folder for their data.
        pictures: Folder whose pictures Label Studio shows.
    """

    def __init__(self, home: Path, pictures: Path) -> None:
        self.home = home
        self.pictures = pictures
        self._label_studio = LabelStudioServer(home / "label-studio", pictures)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="label-studio")
        self._starting: Future[LabelStudioServer] | None = None
        self._mongo_running = False
        self._app: App | None = None

    def start_label_studio(self) -> None:
        """Begin to start it; it takes half a minute, in which other work can be done."""
        if external_server() is None:
            self._started()

    def label_studio(self) -> "LabelStudio":
        """Connect to Label Studio, once it is up.

        Raises:
            ServerError: If it is not to be had.
        """
        external = external_server()
        if external is not None:
            return connect(*external)
        return self._started().result().client()

    def log_in(self) -> str:
        """How a person logs in to Label Studio."""
        if external_server() is not None:
            return "with your own account"
        return f"as {self._label_studio.email} with the password {self._label_studio.password}"

    def start_fiftyone(self) -> None:
        """Start FiftyOne's database. Repeatable."""
        if not self._mongo_running:
            from curation.mongo import MongoServer

            self._mongo = MongoServer(self.home / "fiftyone")
            self._mongo.start()
            self._mongo_running = True

    def open_app(self, name: str) -> str:
        """Open the FiftyOne App on a data set and return its address. Repeatable."""
        if self._app is None:
            from curation.app import DEFAULT_PORT, open_app
            from curation.ports import free_port, is_free

            self.start_fiftyone()
            self._app = open_app(name, DEFAULT_PORT if is_free(DEFAULT_PORT) else free_port())
        return self._app.url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._app is not None:
            self._app.close()
            self._app = None
        if self._mongo_running:
            self._mongo.stop()
            self._mongo_running = False
        self._stop_label_studio()
        self._pool.shutdown(wait=True)

    def _started(self) -> "Future[LabelStudioServer]":
        if self._starting is None:
            self._starting = self._pool.submit(self._label_studio.start)
        return self._starting

    def _stop_label_studio(self) -> None:
        if self._starting is None:
            return
        # While it still starts, the thread that waits for it sees the process end, and gives up.
        until = time.monotonic() + _PATIENCE
        while not self._starting.done() and time.monotonic() < until:
            pid = self._label_studio.pid
            if pid is not None:
                with suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGTERM)
            time.sleep(0.1)
        self._label_studio.stop()
        self._starting = None
