"""An inspector at a real browser: ten answers by keys, one edit, one skip, and a threshold that moves by them."""

import json
import re
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from curation.defect_classes import known_classes
from curation.ledger import Ledger
from integrations.asking import Asking, top_up_each
from integrations.label_studio import LabelStudioServer, ensure_project, pull, push
from integrations.label_studio.client import list_tasks
from integrations.label_studio.server import EMAIL
from integrations.recording import load_bundles
from learning.bundle import Bundle
from tests.browser import open_page, picture, until
from tests.integrations.cli.running import run
from tests.integrations.scored_line import Line, make_line

from .conftest import Review
from .running_backend import running

CLASS_KEYS = "67890qw"
"""Label Studio itself gives keys to those after the fifth."""
pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture
def page(server: LabelStudioServer) -> Iterator[Any]:
    """A browser in which somebody has logged in."""
    with open_page() as opened:
        request = opened.context.request
        # By the form, without its script: that takes no clicks for a while on a busy machine.
        address = f"{server.url}/user/login/"
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', request.get(address).text())
        assert token
        form = {"email": EMAIL, "password": server.password, "csrfmiddlewaretoken": token[1]}
        assert request.post(address, form=form, headers={"Referer": address}).ok
        yield opened


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    return make_line(tmp_path_factory.mktemp("line"))


def _choose(page: Any, *choices: tuple[str, str]) -> None:
    """Press the key of each choice as a person does, who looks whether it was taken, and else presses again."""
    for key, name in choices:
        pattern = re.compile(rf"^\s*{re.escape(name)}\b")
        choice = page.locator(".lsf-choice", has_text=pattern).locator("input").first
        choice.wait_for(state="attached")
        page.wait_for_timeout(300)
        until(lambda key=key, choice=choice: _is_taken(page, key, choice))


def _is_taken(page: Any, key: str, choice: Any) -> bool:
    """Press a key once, and wait for its choice to be shown as made; a second press would take it back."""
    if choice.is_checked():
        return True
    page.keyboard.press(key)
    ends = time.monotonic() + 10
    while time.monotonic() < ends:
        if choice.is_checked():
            return True
        page.wait_for_timeout(100)
    return False


def _send(page: Any, keys: str, arrived: Callable[[], bool], left: Callable[[], bool]) -> None:
    """Press keys that end a task, and again where the page has not left it: while it is busy, it takes none."""

    def sent() -> bool:
        if not left():
            page.keyboard.press(keys)
        ends = time.monotonic() + 10
        while time.monotonic() < ends:
            if arrived():
                return True
            page.wait_for_timeout(300)
        return False

    until(sent)


def test_an_inspector_answers_by_keys_edits_and_skips(page: Any, server: LabelStudioServer, line: Line) -> None:
    client = server.client()
    with Ledger.open(line.ledger) as ledger:
        top_up_each(ledger, load_bundles(ledger, line.bundle), Asking(11, seed=1))
        project = ensure_project(client, f"browser {uuid.uuid4().hex}", classes=known_classes(ledger))
        client.projects.update(project, title="Line 3, top camera")
        push(ledger, client, project, server.images_root)
        asks = {ask.task_id: ask for ask in ledger.asks() if ask.task_id is not None}
        handed: list[Any] = []
        page.on("response", lambda found: handed.append(found) if re.search(r"next_task|/next\b", found.url) else None)
        said: dict[int, str] = {}
        scores = {score.image_id: score.decision_score for score in ledger.scores()}
        # Of what was rejected, the inspector finds one good: a false reject, above which the threshold has to move.
        spared = max(asks, key=lambda task: scores[asks[task].image_id])
        assert scores[asks[spared].image_id] > Bundle.load(line.bundle).thresholds.current().value

        page.goto(f"{server.url}/projects/{project}/data?labeling=1")
        for number in range(len(asks)):
            # What the server hands out next.
            while len(handed) <= number:
                page.wait_for_timeout(100)
            task = handed[number].json()["id"]
            kind = "good" if task == spared else line.truth[asks[task].image_id]
            if number >= 3 and task != spared and "skipped" not in said.values():
                said[task] = "skipped"
                page.wait_for_selector(".lsf-choice")
                page.wait_for_timeout(300)
                keys = "Control+Space"
            else:
                said[task] = "good" if kind == "good" else "defect"
                key = CLASS_KEYS[known_classes(ledger).index(kind)] if kind != "good" else ""
                _choose(page, *([("1", "good")] if not key else [("2", "defect"), ("4", "critical"), (key, kind)]))
                picture(page, f"label-studio-{said[task]}")
                keys = "Control+Enter"
            _send(
                page,
                keys,
                arrived=lambda done=number + 1: _annotations(client, project) >= done,
                left=lambda done=number + 1: len(handed) > done,
            )
        picture(page, "label-studio-done")

        pulled = pull(ledger, client, project, line.home / "masks")
        assert (pulled.new, pulled.skipped) == (11, 1)
        assert {asks_of(ledger)[v.ask_id]: v.verdict for v in ledger.verdicts() if v.ask_id} == said
        for verdict in ledger.verdicts():
            if verdict.ask_id and verdict.verdict == "defect":
                kind = line.truth[verdict.image_id]
                assert (verdict.defect_class, verdict.severity) == (kind, "critical")

        edited = next(task for task, verdict in said.items() if verdict == "good" and task != spared)
        page.goto(f"{server.url}/projects/{project}/data?task={edited}")
        _choose(page, ("3", "unsure"))
        picture(page, "label-studio-edit")
        changes: list[int] = []

        def changed() -> bool:
            changes.append(pull(ledger, client, project, line.home / "masks").changed)
            return sum(changes) == 1

        _send(page, "Control+Enter", changed, lambda: False)
        last = ledger.verdicts(ask_id=asks[edited].ask_id)
        assert [verdict.verdict for verdict in last] == ["good", "unsure"]
    before = Bundle.load(line.bundle).thresholds.current()
    costs = ("--cost-escape", 1, "--cost-false-reject", 200)
    result = run("retrain", "--ledger", line.ledger, "--bundle", line.bundle, *costs, "--json")
    assert result.exit_code == 0, result.output
    after = Bundle.load(line.bundle).thresholds.current()
    assert json.loads(result.stdout)["unresolved"] == 1
    assert after.version > before.version
    assert after.value != before.value


def asks_of(ledger: Ledger) -> dict[str, int | None]:
    return {ask.ask_id: ask.task_id for ask in ledger.asks()}


def _annotations(client: Any, project: int) -> int:
    tasks = list_tasks(client, project, "id,total_annotations,cancelled_annotations")
    return sum((task.total_annotations or 0) + (task.cancelled_annotations or 0) for task in tasks)


def test_a_browser_shows_pictures_by_signed_addresses_and_what_the_backend_proposes(page: Any, review: Review) -> None:
    [ask] = review.add_asks(1)
    with running(review) as backend:
        push(review.ledger, review.client, review.project, review.images_root, signed=backend.pictures)
        [task] = review.task_ids()[ask]
        review.client.predictions.delete(review.client.predictions.list(task=task)[0].id)
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        page.goto(f"{review.server.url}/projects/{review.project}/data?task={task}")
        page.wait_for_selector(".lsf-choice")
        page.wait_for_function(
            """() => [...document.images].filter(one => one.src.startsWith('blob:') || one.src.includes('/pictures/'))
                     .filter(one => one.naturalWidth > 0).length >= 4"""
        )
        # Brushes are painted only on pictures that the page may read.
        assert not [text for text in said if "CORS" in text or "/pictures/" in text]
        [predicted] = review.client.predictions.list(task=task)
        assert predicted.result is not None
        assert len(predicted.result) == 1
