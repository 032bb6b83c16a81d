import os
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from curation.app import START_SECONDS, App, open_app
from curation.connection import database_errors, forget_datasets
from curation.errors import DatabaseError
from curation.mongo import MongoServer
from curation.plugin.binding import INFO

pytestmark = pytest.mark.server


@pytest.fixture
def dataset(server: MongoServer) -> Iterator[Any]:
    import fiftyone as fo

    dataset = fo.Dataset(f"app-{uuid.uuid4().hex[:6]}", persistent=True)
    yield dataset
    dataset.delete()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_only_loopback(dataset: Any) -> None:
    with pytest.raises(DatabaseError, match="SSH tunnel"):
        open_app(dataset.name, address="0.0.0.0")


def test_a_taken_port_is_named(dataset: Any) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(DatabaseError, match=f"Port {port} is taken"):
            open_app(dataset.name, port=port)


def test_a_data_set_that_is_gone_from_under_a_page_is_said_in_words(server: MongoServer) -> None:
    import fiftyone as fo

    with pytest.raises(DatabaseError, match=r"deleted or renamed.*open the App again"), database_errors():
        fo.load_dataset("gone")


def test_a_missing_data_set_says_what_to_do(server: MongoServer) -> None:
    with pytest.raises(DatabaseError, match="sync first"):
        open_app("no such thing", port=_free_port())


def test_a_data_set_that_was_renamed_and_made_anew_is_followed(server: MongoServer) -> None:
    import fiftyone as fo
    from fiftyone.core.odm import get_db_conn

    def made(bound: bool) -> Any:
        dataset = fo.Dataset(name, persistent=True)
        if bound:
            dataset.info[INFO] = "a ledger"
            dataset.save()
        return dataset

    name = f"app-{uuid.uuid4().hex[:6]}"
    first = made(bound=True)
    app = App("http://127.0.0.1:1/", SimpleNamespace(dataset=None), name, first._doc.id)
    assert (app.follow(), app.session.dataset) == ("", None)
    # In another process, which leaves this one with what it knows.
    get_db_conn().datasets.update_one({"name": name}, {"$set": {"name": f"{name}-old", "slug": f"{name}-old"}})
    assert "was deleted or renamed: flawsmith curate sync --name" in app.follow()
    forget_datasets()
    second = made(bound=False)
    assert (app.follow(), app.session.dataset) == ("", None)
    second.info[INFO] = "a ledger"
    second.save()
    assert "was made anew, and the App shows that one" in app.follow()
    assert app.session.dataset._doc.id == second._doc.id != first._doc.id
    assert app.follow() == ""
    for one in (name, f"{name}-old"):
        fo.delete_dataset(one)


def test_a_server_that_does_not_start_is_one_clear_sentence(dataset: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from fiftyone.core.service import ServerService, Service, ServiceListenTimeout

    def wait(_: Any, port: int, timeout: float) -> None:
        waited.append(timeout)
        name = "ServerService"
        raise ServiceListenTimeout(name, port)

    waited: list[float] = []
    before = set(threading.enumerate())
    monkeypatch.setattr(Service, "_wait_for_child_port", wait)
    monkeypatch.setattr(ServerService, "start", lambda self: self._wait_for_child_port(port=self._port))
    monkeypatch.setattr(ServerService, "stop", lambda _: None)
    with pytest.raises(DatabaseError, match="did not answer within 5 minutes"):
        open_app(dataset.name, port=_free_port())
    assert waited == [START_SECONDS]
    assert not [thread.name for thread in threading.enumerate() if thread not in before and "run_client" in thread.name]


@pytest.mark.slow
def test_the_app_answers_and_leaves_nothing(dataset: Any) -> None:
    port = _free_port()
    code = f"""
import json, urllib.request
from curation.app import open_app
with open_app({dataset.name!r}, port={port}) as app:
    print(json.load(urllib.request.urlopen(app.url + "fiftyone"))["version"])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=os.environ, timeout=120
    )
    assert done.returncode == 0, done.stderr
    import fiftyone as fo

    assert fo.__version__ in done.stdout
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
