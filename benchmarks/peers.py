"""An environment for what flawsmith is measured against, apart from its own, as neither should bind the other."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from learning.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT / ".venv-peers"
PACKAGES = ("anomalib",)

_UV = ROOT / ".tools" / "bin" / "uv"
_CONSTRAINTS = ROOT / "constraints-peers.txt"
_MARKER = ".installed"


class PeerError(UserError):
    """An environment that cannot be made."""


def peer_python(folder: Path = PEERS, uv: Path = _UV, constraints: Path = _CONSTRAINTS) -> Path:
    """Python of the environment that holds anomalib; it is made where it is missing or of other versions.

    Args:
        folder: Of the environment; one that is there and complete is used without a network.
        uv: Installs it; ``make env`` puts it there.
        constraints: Pinned versions.

    Raises:
        PeerError: If it is not there and cannot be made.
    """
    python = folder / "bin" / "python"
    pinned = hashlib.sha256(constraints.read_bytes()).hexdigest()
    marker = folder / _MARKER
    if python.exists() and marker.is_file() and marker.read_text() == pinned:
        return python
    if not uv.exists():
        msg = f"{uv} is missing, which installs {', '.join(PACKAGES)}; run make env first"
        raise PeerError(msg)
    _run([str(uv), "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder)])
    _run([str(uv), "pip", "install", "--quiet", "--python", str(python), "--constraints", str(constraints), *PACKAGES])
    marker.write_text(pinned)
    return python


def _run(command: list[str]) -> None:
    environment = {"UV_HTTP_TIMEOUT": "300", **os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        msg = f"{', '.join(PACKAGES)} cannot be installed ({' '.join(done.stderr.split())[-300:]}); --alone needs none"
        raise PeerError(msg)
