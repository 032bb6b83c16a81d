"""An inspector at a real browser: ten answers by keys, one edit, one skip, and a threshold that moves by them."""

import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from curation.defect_classes import known_classes
from curation.ledger import Ledger, VerdictEntry
from integrations.asking import Asking, top_up_each
from integrations.label_studio import LabelStudioServer, ensure_project, pull, push
from integrations.label_studio.client import list_tasks
from integrations.label_studio.server import EMAIL
from integrations.recording import load_bundles
from learning.bundle import Bundle
from tests.integrations.cli.running import run

from .conftest import Review
from .running_backend import running

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
CLASS_KEYS = "67890qw"
"""Label Studio itself gives keys to those after the fifth."""
PICTURES = os.environ.get("FLAWSMITH_SCREENSHOTS")
"""Folder for pictures of the page, for the docs."""
_PATIENCE = 60_000.0

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture
def page(server: LabelStudioServer) -> Iterator[Any]:
    """A browser in which somebody has logged in."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="no playwright: uv pip install --group browser (and a Chromium)"
    )
    if CHROMIUM is None:
        pytest.skip("no Chromium: install Debian's package chromium, or Google Chrome")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 1440, "height": 1000})
        # By the form, without its script: that takes no clicks for a while on a busy machine.
        address = f"{server.url}/user/login/"
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', context.request.get(address).text())
        assert token
        form = {"email": EMAIL, "password": server.password, "csrfmiddlewaretoken": token[1]}
        assert context.request.post(address, form=form, headers={"Referer": address}).ok
        opened = context.new_page()
        opened.set_default_timeout(_PATIENCE)
        yield opened
        browser.close()


@dataclass(frozen=True)
class Line:
    """Parts that a model has scored."""

    home: Path
    bundle: Path
    ledger: Path
    truth: dict[str, str]
    """Kind of defect, or ``good``, by image id."""


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    home = tmp_path_factory.mktemp("line")
    parts, bundle, ledger = home / "tiles", home / "bundle", home / "ledger.db"
    made = ("--good", 40, "--test-good", 16, "--defective", 14, "--size", 128, "--seed", 5)
    config = home / "small.yaml"
    config.write_text("size: 128\n")
    for command in (
        ("parts", "--kind", "tile", "--out", parts, *made),
        ("train", parts, "--out", bundle, "--config", config, "--steps", 40, "--device", "cpu"),
        ("score", bundle, parts / "test", "--ledger", ledger, "--home", home, "--maps", home / "maps"),
    ):
        result = run(*command)
        assert result.exit_code == 0, result.output
    with Ledger.open(ledger) as opened:
        truth = {image.image_id: image.path.parent.name for image in opened.images()}
        # What is known already, so that there is something to compare with.
        for kind in ("good", *sorted(set(truth.values()) - {"good"})):
            image = next(one for one in opened.images() if truth[one.image_id] == kind)
            mask = next((parts / "ground_truth").rglob(f"{image.path.stem}_mask.png"), None) if kind != "good" else None
            said = ("good", None) if kind == "good" else ("defect", kind)
            entry = VerdictEntry(
                None,
                image.image_id,
                "ada",
                said[0],
                "2026-01-01",
                "csv",
                image.image_id,
                "1",
                mask,
                said[1],  # type: ignore[arg-type]
            )
            opened.record_verdicts([entry])
    return Line(home, bundle, ledger, truth)


def _picture(page: Any, name: str) -> None:
    if PICTURES and not (path := Path(PICTURES) / f"{name}.png").exists():
        page.wait_for_load_state("networkidle")
        page.screenshot(path=path)


def _press(page: Any, keys: str) -> None:
    """Keys as a person presses them, once the page takes them."""
    page.wait_for_selector(".lsf-choice")
    page.wait_for_timeout(300)
    for key in keys.split():
        page.keyboard.press(key)
        page.wait_for_timeout(100)


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

        page.goto(f"{server.url}/projects/{project}/data?labeling=1")
        for number in range(len(asks)):
            # What the server hands out next.
            while len(handed) <= number:
                page.wait_for_timeout(100)
            task = handed[number].json()["id"]
            kind = line.truth[asks[task].image_id]
            keys = "1" if kind == "good" else f"2 4 {CLASS_KEYS[known_classes(ledger).index(kind)]}"
            if number == 3:
                keys, said[task] = "Control+Space", "skipped"
            else:
                said[task] = "good" if kind == "good" else "defect"
            _press(page, keys)
            if number != 3:
                _picture(page, f"label-studio-{said[task]}")
                page.keyboard.press("Control+Enter")
            _until(lambda done=number + 1: _annotations(client, project) >= done)
        _picture(page, "label-studio-done")

        pulled = pull(ledger, client, project, line.home / "masks")
        assert (pulled.new, pulled.skipped) == (11, 1)
        assert {asks_of(ledger)[v.ask_id]: v.verdict for v in ledger.verdicts() if v.ask_id} == said
        for verdict in ledger.verdicts():
            if verdict.ask_id and verdict.verdict == "defect":
                kind = line.truth[verdict.image_id]
                assert (verdict.defect_class, verdict.severity) == (kind, "critical")

        edited = next(task for task, verdict in said.items() if verdict == "good")
        page.goto(f"{server.url}/projects/{project}/data?task={edited}")
        _press(page, "3")
        _picture(page, "label-studio-edit")
        page.keyboard.press("Control+Enter")
        _until(lambda: pull(ledger, client, project, line.home / "masks").changed == 1)
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


def _until(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + _PATIENCE / 1000
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.3)


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
