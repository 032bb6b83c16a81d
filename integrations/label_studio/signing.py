"""Signatures of addresses: whoever has one may see that picture, and nothing else, for as long as it says."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path

from sqlalchemy import make_url

from integrations.errors import ServerError

_BYTES = 32


class Signer:
    """Signs what a picture is called by, with a key that nobody else knows."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def sign(self, ask_id: str, name: str, expires: int) -> str:
        """Sign a picture of an ask until a time.

        Args:
            ask_id: The ask.
            name: Which of its pictures.
            expires: Seconds since 1970.

        Returns:
            64 hexadecimal digits.
        """
        return hmac.new(self._key, f"{ask_id}/{name}/{expires}".encode(), hashlib.sha256).hexdigest()

    def signed(self, ask_id: str, name: str, expires: int, signature: str) -> bool:
        """Whether a signature is ours; how long that takes tells nothing about the right one."""
        return hmac.compare_digest(self.sign(ask_id, name, expires).encode(), signature.encode())


def key_file(ledger: str, home: Path) -> Path:
    """Where the key of a ledger is kept: beside its file, or in the home folder where it is on a server.

    Args:
        ledger: As ``Ledger.place`` gives it.
        home: Of the commands.
    """
    url = make_url(ledger)
    if url.get_backend_name() == "sqlite" and url.database:
        return Path(f"{url.database}.key")
    return home / "signing.key"


def read_key(path: Path) -> bytes:
    """Read the key; where there is none, make one that only its owner can read.

    Raises:
        ServerError: If others can read it, or it is damaged.
    """
    if not path.exists():
        _make_key(path)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        msg = f"{path} can be read by others, who could sign addresses with it: delete it, and push again"
        raise ServerError(msg)
    key = path.read_bytes()
    if len(key) != _BYTES:
        msg = f"{path} is damaged: delete it, and push again"
        raise ServerError(msg)
    return key


def _make_key(path: Path) -> None:
    """Of two that make one at the same moment, the first one's stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(_BYTES))
        path.hardlink_to(fresh)
    except FileExistsError:
        pass
    finally:
        fresh.unlink(missing_ok=True)
