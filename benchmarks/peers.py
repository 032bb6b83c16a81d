"""An environment for what flawsmith is measured against, apart from its own, as neither should bind the other."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from learning.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT / ".venv-peers"
PACKAGES = ("anomalib",)
LANCEDB = ROOT / ".venv-lancedb"

_UV = ROOT / ".tools" / "bin" / "uv"
_CONSTRAINTS = ROOT / "constraints-peers.txt"
_LANCEDB_CONSTRAINTS = ROOT / "constraints-lancedb.txt"
_MARKER = ".installed"


class PeerError(UserError):
    """An environment that cannot be made."""


def lancedb_python() -> Path:
    """Python of the environment that holds LanceDB, as ``peer_python``.

    Raises:
        PeerError: If it is not there and cannot be made.
    """
    return peer_python(LANCEDB, constraints=_LANCEDB_CONSTRAINTS, packages=("lancedb", "numpy"))


def peer_python(
    folder: Path = PEERS, uv: Path = _UV, constraints: Path = _CONSTRAINTS, packages: Sequence[str] = PACKAGES
) -> Path:
    """Python of the environment that holds anomalib; it is made where it is missing or of other versions.

    Args:
        folder: Of the environment; one that is there and complete is used without a network.
        uv: Installs it; ``make env`` puts it there.
        constraints: Pinned versions.
        packages: What it has to hold.

    Raises:
        PeerError: If it is not there and cannot be made.
    """
    python = folder / "bin" / "python"
    pinned = hashlib.sha256(constraints.read_bytes()).hexdigest()
    marker = folder / _MARKER
    if python.exists() and marker.is_file() and marker.read_text() == pinned:
        return python
    if not uv.exists():
        msg = f"{uv} is missing, which installs {', '.join(packages)}; run make env first"
        raise PeerError(msg)
    install = [str(uv), "pip", "install", "--quiet", "--python", str(python), "--constraints", str(constraints)]
    _run([str(uv), "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder)], packages)
    _run([*install, *packages], packages)
    marker.write_text(pinned)
    return python


def _run(command: list[str], packages: Sequence[str]) -> None:
    environment = {"UV_HTTP_TIMEOUT": "300", **os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        msg = f"{', '.join(packages)} cannot be installed ({' '.join(done.stderr.split())[-300:]}); --alone needs none"
        raise PeerError(msg)
