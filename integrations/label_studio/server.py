"""A Label Studio server of our own: on this computer only, and gone when it is stopped."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import httpx

from integrations.errors import ServerError
from integrations.label_studio.client import connect, external_server
from learning.progress import Progress, silent

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

PROGRAM_VARIABLE = "FLAWSMITH_LABEL_STUDIO"
EMAIL = "admin@example.com"
"""Label Studio lets nobody in whose address has a one-letter domain such as ``a@b.c``."""

_HOST = "127.0.0.1"
_USUAL_START = 40.0
_LONGEST_START = 240.0
_LONGEST_STOP = 10.0


@dataclass(frozen=True)
class _Running:
    """What is written down of a server that runs."""

    pid: int
    port: int
    owner: int


class LabelStudioServer:
    """A server with its own data folder, user and secrets.

    A second one on the same data folder uses the first one's process, so that commands can be run while a person
    keeps the server open; what was left behind by a process that was killed is taken over, and stopped in the end.

    Attributes:
        url: ``http://127.0.0.1:port``; set once it runs.
        token: For ``connect``.
        email: Log-in name.
        password: For the log-in page.
        log: File that the server writes to.
    """

    def __init__(self, data_folder: Path, images_root: Path, environment: str | Path = ".venv-label-studio") -> None:
        """Describe a server; nothing is started yet.

        Args:
            data_folder: For its database, its secrets and its log; made where it is missing, used again if it is there.
            images_root: Pictures below it can be shown.
            environment: Its own Python environment, relative to the project. The variable FLAWSMITH_LABEL_STUDIO, a
                path to the ``label-studio`` program, goes before it.
        """
        self.data_folder = data_folder.resolve()
        self.images_root = images_root.resolve()
        self.environment = Path(environment)
        self.email = EMAIL
        self.url = ""
        self.log = self.data_folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._adopted: int | None = None

    def start(self, progress: Progress = silent) -> Self:
        """Start, or join the server that runs on the same data folder; return when it answers.

        Args:
            progress: Told seconds, of the usual 40.

        Raises:
            ServerError: If Label Studio is not installed, or does not come up.
        """
        program = find_program(self.environment)
        self.data_folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # the database holds tokens
        self.images_root.mkdir(parents=True, exist_ok=True)
        with (self.data_folder / ".start.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._read_secrets()
            running = self._running()
            if running:
                self.url = f"http://{_HOST}:{running.port}"
                if not _alive(running.owner):
                    self._adopted = running.pid
                    self._write_state(_Running(running.pid, running.port, os.getpid()))
            else:
                self._launch(program, self._port())
                self._wait(progress)
        return self

    def take_over(self) -> None:
        """From now on this process ends the server, and the one that started it leaves it alone."""
        state = self._read_state()
        if state is not None and state.owner != os.getpid():
            self._adopted = state.pid
            self._write_state(_Running(state.pid, state.port, os.getpid()))

    def answers(self) -> bool:
        """Whether it still answers."""
        return bool(self.url) and _answers(self.url)

    def stop(self) -> None:
        """End the server and all of its processes; one that another process started or took over is left alone."""
        pid = self._process.pid if self._process else self._adopted
        if pid is None:
            return
        state = self._read_state()
        if state is not None and state.pid == pid and state.owner != os.getpid() and _alive(state.owner):
            self._process = self._adopted = None
            return
        _end_group(pid)
        if self._process:
            self._process.wait()
        self._process = self._adopted = None
        self.url = ""
        # The port stays written down, so that bookmarks hold after a restart.

    def client(self) -> LabelStudio:
        """Connect to it.

        Raises:
            ServerError: If it does not run.
        """
        if not self.url:
            msg = "this Label Studio server is not running; start it first"
            raise ServerError(msg)
        return connect(self.url, self.token)

    def __enter__(self) -> Self:
        return self if self.url else self.start()

    def __exit__(self, *exception: object) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """Process id, which is its group's too; None where it does not run or is somebody else's."""
        return self._process.pid if self._process else self._adopted

    def _read_secrets(self) -> None:
        path = self.data_folder / "secrets.json"
        if not path.is_file():
            made = {"password": secrets.token_urlsafe(18), "token": secrets.token_hex(20)}
            fresh = path.with_suffix(".part")
            fresh.unlink(missing_ok=True)
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                json.dump(made, file)
            fresh.replace(path)
        try:
            stored = json.loads(path.read_text())
            self.password, self.token = str(stored["password"]), str(stored["token"])
        except (ValueError, KeyError, TypeError) as error:
            msg = (
                f"{path} is damaged; delete {self.data_folder} to begin with a new server (verdicts are in the ledger)"
            )
            raise ServerError(msg) from error

    @property
    def _state(self) -> Path:
        return self.data_folder / "server.json"

    def _read_state(self) -> _Running | None:
        try:
            return _Running(**json.loads(self._state.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def _write_state(self, running: _Running) -> None:
        fresh = self._state.with_suffix(".part")
        fresh.write_text(json.dumps(asdict(running)))
        fresh.replace(self._state)

    def _running(self) -> _Running | None:
        state = self._read_state()
        if state is None or not _is_label_studio(state.pid):
            return None
        if _answers(f"http://{_HOST}:{state.port}"):
            return state
        _end_group(state.pid)  # it hangs, or never came up
        return None

    def _port(self) -> int:
        state = self._read_state()
        wanted = state.port if state else 0
        for port in (wanted, 0):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((_HOST, port))
                except OSError:
                    continue
                return int(probe.getsockname()[1])
        msg = f"no free port on {_HOST}"
        raise ServerError(msg)

    def _launch(self, program: Path, port: int) -> None:
        self.url = f"http://{_HOST}:{port}"
        command = [str(program), "start", "--no-browser", "--internal-host", _HOST, "--port", str(port)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.data_folder,
                env=self._environment_variables(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._write_state(_Running(self._process.pid, port, os.getpid()))

    def _environment_variables(self) -> dict[str, str]:
        inherited = {
            key: value for key, value in os.environ.items() if not key.startswith(("LABEL_STUDIO_", "DJANGO_"))
        }
        return inherited | {
            "LABEL_STUDIO_BASE_DATA_DIR": str(self.data_folder),
            "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "true",
            "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(self.images_root),
            "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
            "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
            # What it asks for predictions, and tells of answers, is on this computer too.
            "ML_BLOCK_LOCAL_IP": "false",
            "SSRF_PROTECTION_ENABLED": "false",
            # In the environment and not in the command, which everybody on this computer can read.
            "LABEL_STUDIO_USERNAME": self.email,
            "LABEL_STUDIO_PASSWORD": self.password,
            "LABEL_STUDIO_USER_TOKEN": self.token,
            "COLLECT_ANALYTICS": "false",
            "LATEST_VERSION_CHECK": "false",
            "SENTRY_DSN": "",
            "FRONTEND_SENTRY_DSN": "",
        }

    def _wait(self, progress: Progress) -> None:
        began = time.monotonic()
        try:
            while not _answers(self.url):
                waited = time.monotonic() - began
                progress(min(waited, _USUAL_START), _USUAL_START, "starting Label Studio")
                ended = self._process is not None and self._process.poll() is not None
                if ended or waited > _LONGEST_START:
                    how = "ended at once" if ended else f"did not answer within {_LONGEST_START:.0f} s"
                    msg = f"Label Studio {how}; its last words are in {self.log}: {_last_line(self.log)}"
                    raise ServerError(msg)
                time.sleep(0.2)
        except BaseException:
            self.stop()
            raise
        progress(_USUAL_START, _USUAL_START, "starting Label Studio")


@contextmanager
def label_studio(data_folder: Path, images_root: Path, progress: Progress = silent) -> Iterator[LabelStudio]:
    """Connect to the server that the environment names, or to one of our own, started where it does not run.

    Args:
        data_folder: Of our own server.
        images_root: The folder whose pictures the server shows.
        progress: Told while it starts.

    Yields:
        The connection. A server that was started here ends with the block.

    Raises:
        ServerError: If there is no server to be had.
    """
    external = external_server()
    if external:
        yield connect(*external)
        return
    server = LabelStudioServer(data_folder, images_root)
    server.start(progress)
    try:
        yield server.client()
    finally:
        server.stop()


def find_program(environment: str | Path = ".venv-label-studio") -> Path:
    """Find the ``label-studio`` program.

    Args:
        environment: Relative to the project, or absolute.

    Raises:
        ServerError: If it is not there.
    """
    given = os.environ.get(PROGRAM_VARIABLE, "").strip()
    project = Path(__file__).resolve().parents[2]
    places = [Path(given)] if given else [base / environment / "bin" / "label-studio" for base in (project, Path.cwd())]
    for place in places:
        if place.is_file() and os.access(place, os.X_OK):
            return place
    hint = f"{PROGRAM_VARIABLE} is wrong" if given else f"run `make env`, or set {PROGRAM_VARIABLE} to the program"
    msg = f"Label Studio is not installed ({places[0]} is not there); {hint}"
    raise ServerError(msg)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=5, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _is_label_studio(pid: int) -> bool:
    """Whether a process is such a server: its id may have been given to another program since."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"label-studio" in command and b"--internal-host" in command


def _end_group(group: int) -> None:
    """End a process group: asked first, then forced."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(group, sign)
        except ProcessLookupError:
            return
        until = time.monotonic() + _LONGEST_STOP
        while time.monotonic() < until and _group_runs(group):
            time.sleep(0.05)
        if not _group_runs(group):
            return


def _group_runs(group: int) -> bool:
    """Whether a process of the group still runs; those that only wait to be collected do not count."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            return True
    return False


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "(empty)"
