"""A data team at the real App in a real browser: overlay, similar ones, inspection, threshold, map, drift."""

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageChops

from curation.ledger import Ledger
from curation.ports import free_port
from tests.browser import PATIENCE, open_page, picture, until
from tests.integrations.scored_line import Line, make_line
from tests.interrupting import HEEDING

PROGRAM = (sys.executable, "-c", HEEDING + "from integrations.cli import main; main()", "curate")
RENAME = """
import sys
from pathlib import Path
from curation.mongo import MongoServer

with MongoServer(Path(sys.argv[1])):
    import fiftyone as fo

    fo.load_dataset("browser test").name = "another name"
"""
PLUGIN = "@flawsmith/inspection"
SAMPLES = "[data-cy=looker]"
EFFECT = "text=good images rejected"

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    return make_line(tmp_path_factory.mktemp("line"))


@pytest.fixture
def address(line: Line) -> Iterator[str]:
    """The App as the command opens it; ended by Ctrl-C, it takes its servers with it."""
    where = ("--home", str(line.home), "--name", "browser test")
    subprocess.run([*PROGRAM, "sync", "--ledger", str(line.ledger), *where], check=True, env=_environment())
    port = free_port()
    running = subprocess.Popen([*PROGRAM, "open", *where, "--port", str(port)], env=_environment())
    try:
        until(lambda: _answers(port) or running.poll() is not None, seconds=240)
        yield f"http://127.0.0.1:{port}/"
        database = _database(line)
    finally:
        running.send_signal(signal.SIGINT)
        code = running.wait(120)
    assert code == 0
    assert not _answers(port)
    assert not Path(f"/proc/{database}").exists()


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("FIFTYONE_")}


def _database(line: Line) -> int:
    return int(json.loads((line.home / "fiftyone" / "mongod.json").read_text())["pid"])


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_data_team_finds_sends_and_weighs(address: str, line: Line) -> None:
    with open_page() as page:
        _arrive(page, address)
        _the_map_lies_over_the_pictures(page)
        picture(page, "app-plugin", _beside_the_sidebar(page, height=440))
        _an_open_sample_says_all(page)
        _why_shows_the_neighbours_beside_it(page)

        score = _select(page, 0)
        _press(page, "find_more_like_this", "Find more like this", "most similar samples of the whole data set")
        page.wait_for_selector("text=25 samples")
        until(lambda: _score(page, 0) == score)
        picture(page, "app")
        found = _scores(page)
        page.locator("[data-cy=btn-clear-view-bar]").click()
        page.wait_for_selector("text=30 samples")
        _fiftyones_own_button_finds_the_same(page, found)

        sent = {_select(page, place) for place in (1, 2)}
        until(lambda: _selected(page) == 2)
        _press(page, "send_to_inspection", "Send to inspection", "2 sent to inspection")
        until(lambda: _selected(page) == 0)
        # The grid shows it without being loaded anew.
        until(lambda: page.get_by_text("chosen by hand", exact=True).count() == 2)
        assert _asked(line) == sent
        page.locator("[data-cy=btn-clear-view-bar]").click()
        page.wait_for_selector("text=30 samples")

        _open(page, "Threshold")
        page.wait_for_selector(EFFECT)
        _drag(page, 2000)
        _says(page, r"0 of 1 \(0\.0 %\) good images rejected, 7 of 7 \(100\.0 %\) defects escape, 0 of 30")
        _drag(page, -2000)
        _says(page, r"0 of 7 \(0\.0 %\) defects escape, 29 of 30")
        picture(page, "app-threshold")
        _close(page)

        for panel, shows in (("Over time", "median score"), ("Kinds of defects", "not judged")):
            _open(page, panel)
            page.wait_for_selector(f"text={shows}")
            picture(page, f"app-{panel.lower().replace(' ', '-')}")
            _close(page)
        _open(page, "Map of embeddings")
        for legend in ("no verdict (22)", "defect (7)", "good (1)"):
            page.wait_for_selector(f"text={legend}")
        picture(page, "app-map")
        _lasso_the_left_half(page)
        page.get_by_text("30 samples").wait_for(state="hidden")


def test_a_killed_database_comes_back_while_the_app_is_open(address: str, line: Line) -> None:
    """The command that opened the App starts it again: what is pressed meanwhile waits, and nothing is lost."""
    with open_page() as page:
        _arrive(page, address)
        # The buttons that were being asked for as it was killed would be gone until the page is loaded anew.
        with page.expect_response("**/operators/resolve-placements"):
            score = _select(page, 3)
        known = _asked(line)
        killed = _kill_database(line)
        _press(page, "send_to_inspection", "Send to inspection", "1 sent to inspection")
        assert _asked(line) - known == {score}
        assert _database(line) != killed
        until(lambda: page.locator(SAMPLES).nth(3).locator("[data-cy=tag-ask_reason]").count() == 1)
        _kill_database(line)
        page.reload()
        page.wait_for_selector("text=30 samples")
        until(lambda: page.locator(SAMPLES).nth(3).locator("[data-cy=tag-ask_reason]").count() == 1)


def test_a_data_set_that_was_renamed_and_synced_again_is_shown_again(address: str, line: Line) -> None:
    """Also where the page shows what is like a sample that is now in the data set of the other name."""
    with open_page() as page:
        _arrive(page, address)
        _select(page, 0)
        _press(page, "find_more_like_this", "Find more like this", "most similar samples of the whole data set")
        page.wait_for_selector("text=25 samples")
        where = ("--home", str(line.home))
        subprocess.run([sys.executable, "-c", RENAME, str(line.home / "fiftyone")], check=True, env=_environment())
        sync = ("sync", "--ledger", str(line.ledger), *where, "--name", "browser test")
        subprocess.run([*PROGRAM, *sync], check=True, env=_environment())
        page.wait_for_selector("text=30 samples")
        page.reload()
        page.wait_for_selector("text=30 samples")
        _select(page, 0)
        _press(page, "find_more_like_this", "Find more like this", "most similar samples of the whole data set")
        page.wait_for_selector("text=25 samples")


def _kill_database(line: Line) -> int:
    killed = _database(line)
    os.kill(killed, signal.SIGKILL)
    return killed


def _asked(line: Line) -> set[str]:
    """Scores, as tiles show them, of the images about which inspectors are asked."""
    with Ledger.open(line.ledger) as ledger:
        images = {ask.image_id for ask in ledger.asks("created")}
        return {f"score: {row.score}" for row in ledger.scores() if row.image_id in images}


def _arrive(page: Any, address: str) -> None:
    page.goto(address)
    page.wait_for_selector(SAMPLES)
    page.get_by_text("Dismiss", exact=True).click()
    page.wait_for_selector("text=30 samples")


def _fiftyones_own_button_finds_the_same(page: Any, found: list[str]) -> None:
    """It lists the search in a panel of its own, where what it found is shown by another button."""
    _select(page, 0)
    page.locator("[data-cy=action-sort-by-similarity]").click()
    page.get_by_text("Show similar samples", exact=True).click()
    # The list can be put in another order, and marks all in it as disabled while it is not: Playwright would wait.
    page.get_by_role("button", name="Show results", exact=True).click(force=True)
    page.wait_for_selector("text=25 samples")
    until(lambda: _scores(page) == found)
    picture(page, "app-similar")
    _close(page)
    page.locator("[data-cy=btn-clear-view-bar]").click()
    page.wait_for_selector("text=30 samples")


def _an_open_sample_says_all(page: Any) -> None:
    """Of a confirmed defect: its verdict and kind are beside the picture."""
    # The one whose map shows most.
    confirmed = _places(page, verdict="defect")
    page.locator(SAMPLES).nth(max(confirmed, key=lambda n: float(_score(page, n).removeprefix("score: ")))).click()
    modal = page.locator("[data-cy=modal]")
    for fact in ("percentile", "threshold", "defect_class"):
        modal.get_by_text(fact, exact=True).wait_for()
    # Its picture lies beside the facts: whether the map is over it, only a person sees.
    page.mouse.move(5, 5)
    picture(page, "app-sample")

    def closed() -> bool:
        # The App hears keys while the mouse is over the sample, and not every one while it still draws it.
        if modal.is_visible():
            page.mouse.move(500, 500)
            page.keyboard.press("Escape")
        return not modal.is_visible()

    until(closed)


def _why_shows_the_neighbours_beside_it(page: Any) -> None:
    """A rejected part that nobody has judged, the nearest good one and the nearest confirmed defect, and the words."""
    score = _select(page, _places(page, decision="reject", verdict=None)[0])
    # Its button is out of sight while something is selected; this key lists all of them by name.
    page.keyboard.press("`")
    page.keyboard.type("Why this")
    page.get_by_text("why_decided", exact=True).wait_for()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Tell me", exact=True).click()
    for words in ("reject: decision score", "nearest good part", "nearest confirmed defect"):
        page.get_by_text(words).first.wait_for()
    page.get_by_role("button", name="Close", exact=True).click()
    page.wait_for_selector("text=3 samples")
    until(lambda: page.locator(SAMPLES).count() == 3)
    assert _score(page, 0) == score
    until(lambda: [_says_of(page, place, "verdict") for place in range(3)] == [None, "good", "defect"])
    page.mouse.move(5, 5)
    picture(page, "app-why", _around(page.locator(SAMPLES).all()))
    page.locator("[data-cy=btn-clear-view-bar]").click()
    page.wait_for_selector("text=30 samples")


def _places(page: Any, **said: str | None) -> list[int]:
    """Places in the grid of samples whose tiles say this, None for nothing, of these fields."""
    places = range(page.locator(SAMPLES).count())
    return [n for n in places if all(_says_of(page, n, field) == value for field, value in said.items())]


def _says_of(page: Any, place: int, field: str) -> str | None:
    tag = page.locator(SAMPLES).nth(place).locator(f"[data-cy=tag-{field}]")
    return tag.inner_text() if tag.count() else None


def _around(shown: list[Any]) -> dict[str, float]:
    boxes = [one.bounding_box() for one in shown]
    left, top = min(box["x"] for box in boxes), min(box["y"] for box in boxes)
    right, bottom = max(box["x"] + box["width"] for box in boxes), max(box["y"] + box["height"] for box in boxes)
    return {"x": left, "y": top, "width": right - left, "height": bottom - top}


def _beside_the_sidebar(page: Any, height: float) -> dict[str, float]:
    """The upper part of the grid and what is above it."""
    grid = page.locator("[data-cy=fo-grid]").bounding_box()
    top = page.locator("[data-cy^=panel-tab]").first.bounding_box()["y"]
    return {"x": grid["x"], "y": top, "width": grid["width"], "height": height}


def _the_map_lies_over_the_pictures(page: Any) -> None:
    """Its checkbox in the sidebar takes it away: thousands of pixels change, and come back."""
    until(lambda: _differs(_grid(page), _grid(page)) == 0)
    with_map = _grid(page)
    box = page.locator("[data-cy=checkbox-anomaly_map]")
    box.click()
    until(lambda: _differs(with_map, _grid(page)) > 1000)
    box.click()
    until(lambda: _differs(with_map, _grid(page)) < 100)


def _grid(page: Any) -> Image.Image:
    page.mouse.move(5, 5)
    return Image.open(io.BytesIO(page.locator("[data-cy=fo-grid]").screenshot())).convert("RGB")


def _differs(before: Image.Image, after: Image.Image) -> int:
    return int((np.asarray(ImageChops.difference(before, after)).max(axis=2) > 30).sum())


def _select(page: Any, place: int) -> str:
    """Select a sample by its box; what it shows as score."""
    sample = page.locator(SAMPLES).nth(place)
    sample.hover()
    sample.locator("[data-cy=looker-checkbox-]").click()
    return _score(page, place)


def _selected(page: Any) -> int:
    return int(page.locator("[data-cy=looker-checkbox-] input:checked").count())


def _score(page: Any, place: int) -> str:
    return str(page.locator(SAMPLES).nth(place).locator("[data-cy=tag-score]").get_attribute("title"))


def _scores(page: Any) -> list[str]:
    """Of all samples that the grid shows, in its order."""
    return [_score(page, place) for place in range(page.locator(SAMPLES).count())]


def _press(page: Any, operator: str, label: str, told: str) -> None:
    """The operator's button above the grid, then that of its form."""
    page.locator(f'[data-item-id="{PLUGIN}/{operator}"]').click()
    page.get_by_role("button", name=label, exact=True).click()
    page.wait_for_selector(f"text={told}")


def _open(page: Any, panel: str) -> None:
    page.locator("[data-cy=new-panel-btn]").last.click()
    page.get_by_text(panel, exact=True).last.click()


def _close(page: Any) -> None:
    """The panel that was opened last: of many, the button that opens one more is out of sight."""
    page.locator("[data-cy^=panel-tab]").last.locator("svg").last.click()


def _drag(page: Any, by: int) -> None:
    """Drag the threshold with the mouse, as far as its slider goes."""
    handle = page.locator(".MuiSlider-thumb").last
    handle.hover()
    box = handle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.down()
    page.mouse.move(x + by, y, steps=20)
    page.mouse.up()


def _says(page: Any, pattern: str) -> None:
    # Unlike until, it tells what the page says instead.
    from playwright.sync_api import expect

    expect(page.locator(EFFECT).first).to_have_text(re.compile(pattern), timeout=PATIENCE)


def _lasso_the_left_half(page: Any) -> None:
    plot = page.locator(".js-plotly-plot .nsewdrag").last.bounding_box()
    left, top = plot["x"] + 3, plot["y"] + 3
    right, bottom = plot["x"] + plot["width"] / 2, plot["y"] + plot["height"] - 3
    page.mouse.move(left, top)
    page.mouse.down()
    for x, y in ((right, top), (right, bottom), (left, bottom), (left, top)):
        page.mouse.move(x, y, steps=12)
    page.mouse.up()
