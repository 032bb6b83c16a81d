"""Where the pictures of tasks are shown: by Label Studio itself, or by our own server at signed addresses."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from integrations.errors import ServerError
from integrations.label_studio.page import IMAGE, NEAR_DEFECT, NEAR_GOOD, OVERLAY
from integrations.label_studio.pictures import link
from integrations.label_studio.project import ASKS_FOLDER
from integrations.label_studio.signing import Signer, key_file, read_key

PICTURES = (IMAGE, OVERLAY, NEAR_GOOD, NEAR_DEFECT)
"""Names of an ask's pictures."""
LIFETIME = 30 * 24 * 3600
"""Seconds for which an address holds; ``push`` renews those of open questions in the second half of it."""

_SIGNED_FOLDER = "signed-pictures"
_LOCAL = "/data/local-files/?d="


class Gallery(Protocol):
    """Where pictures are shown."""

    @property
    def folder(self) -> Path:
        """Where they are written."""
        ...

    def address(self, ask_id: str, name: str, picture: Path) -> str:
        """Where a picture in the folder is shown as one of ``PICTURES`` of an ask."""
        ...

    def holds(self, address: str) -> bool:
        """Whether an address of before is one of this gallery, and will do for some time."""
        ...


@dataclass(frozen=True)
class LocalFiles:
    """Label Studio shows the files of a folder below its root."""

    folder: Path

    def address(self, ask_id: str, name: str, picture: Path) -> str:
        """Without the host; the same for all asks that show the picture."""
        return f"{_LOCAL}{quote(f'{ASKS_FOLDER}/{picture.name}')}"

    def holds(self, address: str) -> bool:
        """Such an address has no end."""
        return address.startswith(_LOCAL)


@dataclass(frozen=True)
class SignedPictures:
    """Our own server shows pictures of open asks, to whoever has the address.

    Attributes:
        folder: Where they are; only their owner can read it.
        signer: Of the addresses.
        base: Where the server answers, such as ``http://127.0.0.1:8091``.
    """

    folder: Path
    signer: Signer
    base: str = ""

    @classmethod
    def of(cls, ledger: str, home: Path, base: str = "") -> SignedPictures:
        """The pictures of a ledger, by ``Ledger.place``.

        Raises:
            ServerError: If the base is no address, or the key is damaged or can be read by others.
        """
        parts = urlsplit(base)
        if base and (parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment):
            msg = f"{base!r} is not the address of a server; give it as http://host:port"
            raise ServerError(msg)
        folder = (home / _SIGNED_FOLDER).resolve()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return cls(folder, Signer(read_key(key_file(ledger, home))), base.rstrip("/"))

    def address(self, ask_id: str, name: str, picture: Path) -> str:
        """Signed, and good for ``LIFETIME``; the picture gets the ask's name."""
        kept = self.folder / f"{ask_id}.{name}{picture.suffix}"
        link(picture, kept)
        expires = int(time.time()) + LIFETIME
        query = urlencode({"expires": expires, "signature": self.signer.sign(ask_id, name, expires)})
        return f"{self.base}/pictures/{ask_id}/{name}?{query}"

    def holds(self, address: str) -> bool:
        """Whether half of its time is left, under the base and the key that there are now."""
        if not address.startswith(f"{self.base}/pictures/"):
            return False
        parts = urlsplit(address)
        ask_id, _, name = parts.path.rpartition("/pictures/")[2].partition("/")
        query = parse_qs(parts.query)
        try:
            expires, signature = int(query["expires"][0]), query["signature"][0]
        except (KeyError, ValueError):
            return False
        return expires > time.time() + LIFETIME / 2 and self.signer.signed(ask_id, name, expires, signature)

    def find(self, ask_id: str, name: str) -> Path | None:
        """The file of an ask's picture; None where it was not sent this way.

        Args:
            ask_id: From the ledger.
            name: One of ``PICTURES``.
        """
        return next(self.folder.glob(f"{ask_id}.{name}.*"), None)
