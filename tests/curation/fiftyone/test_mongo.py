import importlib.metadata
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pymongo
import pytest

from curation.errors import DatabaseError
from curation.mongo import LOOK_SECONDS, MongoServer

pytestmark = pytest.mark.server


@pytest.fixture
def folder(tmp_path: Path, server: MongoServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    yield tmp_path
    monkeypatch.undo()
    server.start()


def _gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def test_starts_on_loopback_only_and_leaves_no_process(folder: Path) -> None:
    with MongoServer(folder) as server:
        pid = server.pid
        assert pid is not None
        assert "127.0.0.1" in server.uri
        arguments = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        assert arguments[arguments.index("--bind_ip") + 1] == "127.0.0.1"
        assert os.environ["FIFTYONE_DATABASE_URI"] == server.uri
    assert _gone(pid)
    server.stop()


def test_killed_server_keeps_its_data_and_its_address(folder: Path) -> None:
    server = MongoServer(folder).start()
    uri, pid = server.uri, server.pid
    assert pid is not None
    with pymongo.MongoClient(uri) as client:
        client["fiftyone"]["things"].insert_many([{"n": n} for n in range(500)])
        client.admin.command("fsync")
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        assert not server.alive
        server.start()
        assert server.uri == uri
        assert server.pid != pid
        assert client["fiftyone"]["things"].estimated_document_count() == 500
    server.stop()


def test_while_kept_alive_a_killed_server_is_started_again_where_it_was(folder: Path) -> None:
    told: list[str] = []
    with MongoServer(folder) as server:
        address, killed = server.uri, server.pid
        assert killed is not None
        with server.kept_alive(told.append):
            os.kill(killed, signal.SIGKILL)
            ends = time.monotonic() + 60
            while not told:
                assert time.monotonic() < ends
                time.sleep(0.1)
            assert server.alive
            assert (server.uri, server.pid != killed) == (address, True)
        assert told == ["the database had ended and was started again; nothing is lost"]
        again = server.pid
        assert again is not None
        os.kill(again, signal.SIGKILL)
        time.sleep(3 * LOOK_SECONDS)
        # Nobody looks any more.
        assert server.pid is None


def test_a_data_set_can_be_deleted_after_the_database_came_back_elsewhere(tmp_path: Path) -> None:
    import fiftyone as fo

    for place in ("first", "second"):
        folder = tmp_path / place
        folder.mkdir()
        with MongoServer(folder):
            fo.Dataset("short-lived").delete()
            assert not fo.dataset_exists("short-lived")


def test_two_users_share_one_server_and_the_last_one_ends_it(folder: Path) -> None:
    first, second = MongoServer(folder).start(), MongoServer(folder).start()
    pid = first.pid
    assert pid is not None
    assert second.pid == pid
    first.stop()
    assert second.alive
    second.stop()
    assert _gone(pid)


def test_another_process_joins_and_a_killed_one_leaves_a_server_that_is_found_again(folder: Path) -> None:
    code = (
        f"from curation.mongo import MongoServer; print(MongoServer({str(folder)!r}).start().pid, flush=True); input()"
    )
    other = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    pid = int(other.stdout.readline())
    other.kill()
    other.wait()
    with MongoServer(folder) as server:
        assert server.pid == pid
    deadline = time.monotonic() + 5
    while not _gone(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert _gone(pid)


def test_a_stale_state_file_that_names_a_foreign_process_is_ignored(folder: Path) -> None:
    (folder / "mongod.json").write_text(json.dumps({"pid": os.getpid(), "port": 1}))
    with MongoServer(folder) as server:
        assert server.alive
        assert server.pid != os.getpid()
    (folder / "mongod.json").write_text("not json")
    with MongoServer(folder) as server:
        assert server.alive


def test_missing_program_says_what_to_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", missing)
    with pytest.raises(DatabaseError, match="FLAWSMITH_MONGO_URI=mongodb://"):
        MongoServer(folder).start()


def test_a_damaged_database_folder_is_one_clear_sentence(folder: Path) -> None:
    (folder / "mongo").mkdir()
    (folder / "mongo" / "WiredTiger").write_text("nonsense")
    (folder / "mongo" / "WiredTiger.turtle").write_text("nonsense")
    with pytest.raises(DatabaseError, match=r"mongod did not start .*mongod\.log"):
        MongoServer(folder).start()


def test_external_database_is_used_and_never_stopped(
    folder: Path, server: MongoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLAWSMITH_MONGO_URI", server.uri)
    with MongoServer(folder) as external:
        assert external.uri == server.uri
        assert not (folder / "mongo").exists()
    monkeypatch.delenv("FLAWSMITH_MONGO_URI")
    assert server.alive


def test_external_database_that_does_not_answer_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100"
    monkeypatch.setenv("FLAWSMITH_MONGO_URI", uri)
    with pytest.raises(DatabaseError, match=r"127\.0\.0\.1:1"):
        MongoServer(folder).start()


def test_address_before_the_start_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="not started"):
        _ = MongoServer(tmp_path).uri
