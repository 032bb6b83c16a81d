"""The backend and a real Label Studio: it asks for predictions, tells of answers, and shows our pictures."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from curation.ledger import ModelEntry, ScoreEntry
from integrations.label_studio import Answer, answer_tasks, pull, push
from integrations.label_studio.page import IMAGE, NEAR_DEFECT, NEAR_GOOD, OVERLAY

from .conftest import MODEL, SIZE, Review
from .running_backend import running

pytestmark = pytest.mark.server
ROOT = Path(__file__).parents[3]
NEXT_MODEL = "n" * 32


def _until(true: Callable[[], Any], seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _predictions(review: Review) -> dict[str, list[dict[str, Any]]]:
    """Predictions by ask id, as Label Studio keeps them."""
    tasks = review.client.tasks.list(project=review.project, fields="all")
    return {task.data["external_id"]: [one.model_dump() for one in task.predictions or []] for task in tasks}


def _retrieve(review: Review) -> None:
    """What *Retrieve predictions* in the list of tasks does."""
    chosen: Any = {"all": True}
    review.client.actions.create(id="retrieve_tasks_predictions", project=review.project, selected_items=chosen)


def test_label_studio_retrieves_predictions_itself(review: Review) -> None:
    asks = review.add_asks(3)
    push(review.ledger, review.client, review.project, review.images_root)
    # A task that somebody else put there.
    data = {**review.client.tasks.get(review.task_ids()[asks[0]][0]).data, "external_id": "nobody's"}
    review.client.tasks.create(project=review.project, data=data)
    with running(review):
        [backend] = review.client.ml.list(project=review.project)
        assert (str(backend.state), backend.model_version) == ("CO", f"map {MODEL[:12]}")
        before = _predictions(review)
        _retrieve(review)
        # What was sent along is of this model: it is not predicted twice.
        assert {ask: len(found) for ask, found in _predictions(review).items()} == dict.fromkeys([*asks, "nobody's"], 1)

        _promote(review, asks)
        _retrieve(review)
        found = _predictions(review)
    for ask in asks:
        assert len(found[ask]) == 2
        [new] = [one for one in found[ask] if one["model_version"] == f"map {NEXT_MODEL[:12]}"]
        assert new["score"] == 0.9
        [region] = new["result"]
        assert (region["from_name"], region["type"]) == ("region", "brushlabels")
        assert region["value"]["rle"] != before[ask][0]["result"][0]["value"]["rle"]
    assert all(one["result"] == [] for one in found["nobody's"])


def _promote(review: Review, asks: list[str]) -> None:
    """Let another model decide, which sees something elsewhere."""
    anomaly_map = np.zeros(SIZE, np.uint8)
    anomaly_map[30:40, 5:12] = 220
    Image.fromarray(anomaly_map).save(review.folder / "next.png")
    review.ledger.record_model(ModelEntry(NEXT_MODEL, review.folder / "next", "segment", "random", None))
    images = {ask.ask_id: ask.image_id for ask in review.ledger.asks()}
    review.ledger.record_scores(
        [
            ScoreEntry(images[ask], NEXT_MODEL, 1, 0.9, 0.9, None, 0.9, "reject", review.folder / "next.png", "test")
            for ask in asks
        ]
    )
    review.ledger.crown(NEXT_MODEL, None, "appointed", "test", "")


def test_answers_come_by_themselves_and_a_button_trains(review: Review) -> None:
    asks = review.add_asks(3)
    push(review.ledger, review.client, review.project, review.images_root)
    with running(review) as backend:
        answer_tasks(review.client, review.project, {asks[0]: Answer("good"), asks[1]: Answer("skipped")})
        _until(lambda: len(review.ledger.verdicts()) == 2)
        assert {one.ask_id: one.verdict for one in review.ledger.verdicts()} == {asks[0]: "good", asks[1]: "skipped"}
        [task] = review.task_ids()[asks[0]]
        [annotation] = review.client.annotations.list(task)
        review.client.annotations.delete(annotation.id)
        _until(lambda: [one.verdict for one in review.ledger.verdicts()] == ["good", "skipped", "withdrawn"])

        assert backend.trained == []
        [connected] = review.client.ml.list(project=review.project)
        review.client.ml.train(connected.id)
        _until(lambda: len(backend.trained) == 1)
        # Annotations are told of without what is in them, and nothing else is told.
        [hook] = [one for one in review.client.webhooks.list() if one.project == review.project]
        assert (hook.send_payload, hook.send_for_all_actions) == (False, False)


def test_what_is_answered_while_it_is_closed_is_not_lost(review: Review) -> None:
    asks = review.add_asks(3)
    push(review.ledger, review.client, review.project, review.images_root)
    with running(review) as backend:
        port = int(backend.url.rpartition(":")[2])
    answer_tasks(review.client, review.project, {asks[0]: Answer("good")})
    assert review.ledger.verdicts() == []
    assert pull(review.ledger, review.client, review.project, review.masks).new == 1
    answer_tasks(review.client, review.project, {asks[1]: Answer("defect")})
    with running(review, port):
        _until(lambda: len(review.ledger.verdicts()) == 2)
    # Opened again at the same address it is connected once, and at another the old one is let go of.
    with running(review) as backend:
        assert [one.url for one in review.client.ml.list(project=review.project)] == [backend.url]
        hooks = [one.url for one in review.client.webhooks.list() if one.project == review.project]
        assert hooks == [f"{backend.url}/webhook"]


def test_pictures_are_shown_by_signed_addresses_until_the_answer_is_there(review: Review) -> None:
    asks = review.add_asks(2)
    push(review.ledger, review.client, review.project, review.images_root)
    with running(review) as backend:
        # Those that are there already are brought over.
        asks += review.add_asks(1)
        report = push(review.ledger, review.client, review.project, review.images_root, signed=backend.pictures)
        assert report.pushed == 1
        data = {ask: review.client.tasks.get(review.task_ids()[ask][0]).data for ask in asks}
        for one in data.values():
            for name in (IMAGE, OVERLAY, NEAR_GOOD, NEAR_DEFECT):
                assert one[name].startswith(f"{backend.url}/pictures/")
                answer = httpx.get(one[name], headers={"Origin": review.server.url}, trust_env=False)
                assert answer.status_code == 200
                assert answer.headers["Access-Control-Allow-Origin"] == review.server.url
        shown = httpx.get(data[asks[0]][IMAGE], trust_env=False).content
        assert shown == (review.folder / "part0.png").read_bytes()

        answer_tasks(review.client, review.project, {asks[0]: Answer("good")})
        _until(lambda: len(review.ledger.verdicts()) == 1)
        assert httpx.get(data[asks[0]][IMAGE], trust_env=False).status_code == 410
        assert httpx.get(data[asks[1]][IMAGE], trust_env=False).status_code == 200
        # Addresses that hold stay as they are.
        push(review.ledger, review.client, review.project, review.images_root, signed=backend.pictures)
        assert review.client.tasks.get(review.task_ids()[asks[1]][0]).data == data[asks[1]]
    # Without the option Label Studio shows what is open again.
    push(review.ledger, review.client, review.project, review.images_root)
    assert review.client.tasks.get(review.task_ids()[asks[1]][0]).data[IMAGE].startswith("/data/local-files/")
    assert review.client.tasks.get(review.task_ids()[asks[0]][0]).data == data[asks[0]]


def test_the_command_answers_until_it_is_ended(review: Review) -> None:
    asks = review.add_asks(2)
    push(review.ledger, review.client, review.project, review.images_root)
    (review.folder / "good").mkdir()
    Image.new("L", (48, 48), 90).save(review.folder / "good" / "a.png")
    run = "from integrations.cli import main; main()"
    home = review.folder / "home"
    where = ["--ledger", review.url, "--home", str(home), "--project", review.title, "--port", str(_free_port())]
    server = {"FLAWSMITH_LABEL_STUDIO_URL": review.server.url, "FLAWSMITH_LABEL_STUDIO_TOKEN": review.server.token}
    said = review.folder / "said.log"
    with said.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", run, "review", "backend", *where, "--data", str(review.folder / "good")],
            cwd=ROOT,
            env=os.environ | server,
            stdout=log,
            stderr=log,
        )
    try:
        _until(lambda: process.poll() is not None or "Ctrl-C ends it" in said.read_text(), 120)
        assert process.poll() is None, said.read_text()
        answer_tasks(review.client, review.project, {asks[0]: Answer("good")})
        _until(lambda: len(review.ledger.verdicts()) == 1)
        [connected] = review.client.ml.list(project=review.project)
        review.client.ml.train(connected.id)
        log_of_training = home / "retraining.log"
        # The command itself runs and says in its own words what is missing: there is no bundle here.
        _until(lambda: log_of_training.exists() and "error:" in log_of_training.read_text(), 120)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert "1 new verdicts" in said.read_text()
    assert "closed" in said.read_text()
    assert review.server.token not in said.read_text()
