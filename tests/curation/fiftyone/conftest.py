"""One real mongod for all tests here, in a temporary folder, and nothing of it left afterwards."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from curation.mongo import MongoServer


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    server = MongoServer(tmp_path_factory.mktemp("fiftyone")).start()
    pid = server.pid
    assert pid is not None
    yield server
    server.start()
    pid = server.pid
    server.stop()
    assert not Path(f"/proc/{pid}").exists()


@pytest.fixture
def server(shared_server: MongoServer, monkeypatch: pytest.MonkeyPatch) -> MongoServer:
    """The shared server, running and with FiftyOne pointed at it, whatever the test before did."""
    monkeypatch.delenv("FLAWSMITH_MONGO_URI", raising=False)
    return shared_server.start()


@pytest.fixture
def break_index() -> Callable[[Any, str], None]:
    """Damage the files of a similarity index: "flip" a byte of its embeddings, or "delete" them all."""

    def damage(index: Any, how: str) -> None:
        if how == "delete":
            for file in [file for file in index.config.path.rglob("*") if file.is_file()]:
                file.unlink()
            return
        (file,) = index.config.path.glob("*/vectors.npy")
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
        # As after a restart: a process that runs has the index in memory, keyed by its manifest.
        manifest = index.config.path / "manifest.json"
        manifest.write_text(manifest.read_text() + " ")

    return damage
