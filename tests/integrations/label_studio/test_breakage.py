import os
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from integrations.errors import ServerError
from integrations.label_studio import (
    Answer,
    LabelStudioServer,
    answer_tasks,
    connect,
    ensure_project,
    external_server,
    pull,
    push,
)
from integrations.label_studio.push import _alone
from integrations.label_studio.server import _group_runs, find_program

from .conftest import Review

ROOT = Path(__file__).parents[3]

KILLED = """
    import os, signal, sys
    from pathlib import Path
    from curation.ledger import Ledger
    from integrations.label_studio import connect, pull, push

    what, ledger_url, url, token, project, images_root, masks = sys.argv[1:]
    die = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
    client = connect(url, token)
    ledger = Ledger.open(ledger_url)
    if what == "after import":
        push(ledger, client, int(project), Path(images_root), chunk=2, after_import=die)
    elif what == "before import":
        client.projects.import_tasks = die
        push(ledger, client, int(project), Path(images_root))
    elif what == "before verdicts":
        ledger.record_verdicts = die
        pull(ledger, client, int(project), Path(masks))
    elif what == "before cursor":
        ledger.set_cursor = die
        pull(ledger, client, int(project), Path(masks))
"""


def _run_and_kill(review: Review, what: str) -> None:
    places = (review.server.url, review.server.token, str(review.project), str(review.images_root), str(review.masks))
    command = [sys.executable, "-c", textwrap.dedent(KILLED), what, review.url, *places]
    killed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr


@pytest.mark.server
@pytest.mark.parametrize(
    ("what", "arrived"), [pytest.param("before import", 0, marks=pytest.mark.slow), ("after import", 2)]
)
def test_a_push_that_is_killed_loses_and_doubles_nothing(review: Review, what: str, arrived: int) -> None:
    asks = review.add_asks(5)
    _run_and_kill(review, what)
    assert len(review.task_ids()) == arrived
    assert len(review.ledger.asks("created")) == 5
    report = push(review.ledger, review.client, review.project, review.images_root)
    assert (report.pushed, report.adopted) == (5 - arrived, arrived)
    tasks = review.task_ids()
    assert sorted(tasks) == sorted(asks)
    assert {ask.ask_id: [ask.task_id] for ask in review.ledger.asks("pushed")} == tasks


@pytest.mark.server
@pytest.mark.parametrize(
    ("what", "recorded"), [("before verdicts", 0), pytest.param("before cursor", 3, marks=pytest.mark.slow)]
)
def test_a_pull_that_is_killed_loses_and_doubles_nothing(review: Review, what: str, recorded: int) -> None:
    asks = review.add_asks(3)
    push(review.ledger, review.client, review.project, review.images_root)
    answer_tasks(review.client, review.project, {ask: Answer("good") for ask in asks})
    _run_and_kill(review, what)
    assert len(review.ledger.verdicts()) == recorded
    assert pull(review.ledger, review.client, review.project, review.masks).new == 3 - recorded
    assert sorted(verdict.ask_id for verdict in review.ledger.verdicts()) == sorted(asks)


@pytest.mark.server
def test_a_server_that_dies_in_the_middle_of_a_push(review: Review) -> None:
    asks = review.add_asks(5)
    killed = []

    def kill() -> None:
        if not killed:
            killed.append(review.server.pid)
            os.killpg(killed[0], signal.SIGKILL)

    with pytest.raises(ServerError, match="nothing is lost and nothing is doubled"):
        push(review.ledger, review.client, review.project, review.images_root, chunk=2, after_import=kill)
    # A connection that was kept open breaks once; after that nobody is there.
    with pytest.raises(ServerError, match="nothing is lost and nothing is doubled"):
        pull(review.ledger, review.client, review.project, review.masks)
    with pytest.raises(ServerError, match="does not answer"):
        review.server.client()

    url = review.server.url
    review.server.stop()
    assert not _group_runs(killed[0])
    review.server.start()
    assert review.server.url == url
    report = push(review.ledger, review.client, review.project, review.images_root)
    assert (report.pushed, report.adopted) == (3, 0)
    assert {ask: len(tasks) for ask, tasks in review.task_ids().items()} == dict.fromkeys(asks, 1)


@pytest.mark.server
def test_an_answer_that_is_lost_on_the_way(review: Review, monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx

    asks = review.add_asks(2)
    real = review.client.projects.import_tasks

    def lose(*args: object, **kwargs: object) -> None:
        real(*args, **kwargs)
        msg = "timed out"
        raise httpx.ReadTimeout(msg)

    monkeypatch.setattr(review.client.projects, "import_tasks", lose)
    assert push(review.ledger, review.client, review.project, review.images_root).pushed == 2
    assert {ask: len(tasks) for ask, tasks in review.task_ids().items()} == dict.fromkeys(asks, 1)


@pytest.mark.server
def test_doubles_go_unless_they_were_answered(review: Review) -> None:
    asks = review.add_asks(2)
    push(review.ledger, review.client, review.project, review.images_root)
    for ask in asks:
        data = review.client.tasks.get(review.task_ids()[ask][0]).data
        review.client.tasks.create(project=review.project, data=data)
    second = review.task_ids()[asks[1]][-1]
    review.client.annotations.create(
        second, result=[{"from_name": "verdict", "to_name": "image", "type": "choices", "value": {"choices": ["good"]}}]
    )
    report = push(review.ledger, review.client, review.project, review.images_root)
    assert report.doubles_removed == 2
    assert review.task_ids()[asks[1]] == [second]
    assert len(review.task_ids()[asks[0]]) == 1


@pytest.mark.server
def test_what_was_deleted_in_label_studio_is_asked_again(review: Review) -> None:
    asks = review.add_asks(3)
    push(review.ledger, review.client, review.project, review.images_root)
    answer_tasks(review.client, review.project, {asks[0]: Answer("good")})
    pull(review.ledger, review.client, review.project, review.masks)

    review.client.tasks.delete(review.task_ids()[asks[1]][0])
    report = push(review.ledger, review.client, review.project, review.images_root)
    assert (report.pushed, report.restored) == (1, 1)

    review.client.projects.delete(review.project)
    with pytest.raises(ServerError, match="gone"):
        pull(review.ledger, review.client, review.project, review.masks)
    with pytest.raises(ServerError, match="gone"):
        push(review.ledger, review.client, review.project, review.images_root)
    new_project = ensure_project(review.client, review.title)
    assert new_project != review.project
    report = push(review.ledger, review.client, new_project, review.images_root)
    assert (report.pushed, report.restored) == (2, 2)
    assert pull(review.ledger, review.client, new_project, review.masks).withdrawn == 0
    assert [verdict.verdict for verdict in review.ledger.verdicts()] == ["good"]


@pytest.mark.server
def test_an_image_that_cannot_be_read_stops_no_others(review: Review) -> None:
    asks = review.add_asks(3)
    (review.folder / "part1.png").write_bytes(b"no picture")
    report = push(review.ledger, review.client, review.project, review.images_root)
    assert report.pushed == 2
    assert "part1.png" in report.unreadable[0]
    assert [ask.ask_id for ask in review.ledger.asks("created")] == [asks[1]]


@pytest.mark.server
def test_a_second_server_on_the_same_folder_joins_the_first(server: LabelStudioServer) -> None:
    second = LabelStudioServer(server.data_folder, server.images_root).start()
    assert second.url == server.url
    second.stop()
    assert connect(server.url, server.token)


@pytest.mark.server
def test_what_was_taken_over_is_left_alone_by_the_one_that_started_it(
    server: LabelStudioServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    starter = LabelStudioServer(server.data_folder, server.images_root).start()
    starter._adopted = server.pid
    with monkeypatch.context() as keeper:
        keeper.setattr("integrations.label_studio.server.os.getpid", lambda: 1)  # alive, and not this process
        LabelStudioServer(server.data_folder, server.images_root).take_over()
    try:
        starter.stop()
        assert server.answers()
    finally:
        server.take_over()
        server._adopted = None


@pytest.mark.server
def test_it_listens_on_this_computer_only_and_keeps_its_secrets(server: LabelStudioServer) -> None:
    port = int(server.url.rpartition(":")[2])
    addresses = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            host, _, number = fields[1].rpartition(":")
            if fields[3] == "0A" and int(number, 16) == port:
                addresses.add(host)
    assert addresses == {"0100007F"}
    assert stat.S_IMODE((server.data_folder / "secrets.json").stat().st_mode) == 0o600
    command = Path(f"/proc/{server.pid}/cmdline").read_text()
    assert server.token not in command
    assert server.password not in command


@pytest.mark.server
@pytest.mark.parametrize(("token", "what"), [("nonsense", "refuses the token"), ("", "empty")])
def test_a_wrong_token_is_named(server: LabelStudioServer, token: str, what: str) -> None:
    with pytest.raises(ServerError, match=what):
        connect(server.url, token)


@pytest.mark.server
def test_a_page_that_the_server_refuses_is_named(review: Review, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("integrations.label_studio.project.labelling_config", lambda _: "<View><Image")
    with pytest.raises(ServerError, match="refuses what was sent"):
        ensure_project(review.client, review.title)


def test_nobody_there() -> None:
    with pytest.raises(ServerError, match="does not answer"):
        connect("http://127.0.0.1:9", "token")
    with pytest.raises(ServerError, match="http://host:port"):
        connect("localhost", "token")


def test_label_studio_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLAWSMITH_LABEL_STUDIO", raising=False)
    with pytest.raises(ServerError, match="make env"):
        LabelStudioServer(tmp_path / "data", tmp_path / "images", environment="no-such-environment").start()
    monkeypatch.setenv("FLAWSMITH_LABEL_STUDIO", str(tmp_path / "nothing"))
    with pytest.raises(ServerError, match="FLAWSMITH_LABEL_STUDIO is wrong"):
        find_program()


def test_a_server_that_ends_at_once_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "label-studio"
    program.write_text("#!/bin/sh\necho the disk is full\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("FLAWSMITH_LABEL_STUDIO", str(program))
    with pytest.raises(ServerError, match="the disk is full"):
        LabelStudioServer(tmp_path / "data", tmp_path / "images").start()


def test_a_server_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert external_server() is None
    monkeypatch.setenv("FLAWSMITH_LABEL_STUDIO_URL", "http://plant:8080")
    with pytest.raises(ServerError, match="TOKEN"):
        external_server()
    monkeypatch.setenv("FLAWSMITH_LABEL_STUDIO_TOKEN", "abc")
    assert external_server() == ("http://plant:8080", "abc")


def test_two_pushes_at_once_are_refused(tmp_path: Path) -> None:
    with _alone(tmp_path / "asks"), pytest.raises(ServerError, match="another push"), _alone(tmp_path / "asks"):
        pass
