"""A real Chromium for tests, which are skipped where there is none."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PICTURES = os.environ.get("FLAWSMITH_SCREENSHOTS")
"""Folder for pictures of pages, for the docs."""
PATIENCE = 60_000.0
"""Milliseconds."""


@contextmanager
def open_page(width: int = 1440, height: int = 1000) -> Iterator[Any]:
    """An empty page of playwright, in a browser of its own."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="no playwright: uv pip install --group browser (and a Chromium)"
    )
    if CHROMIUM is None:
        pytest.skip("no Chromium: install Debian's package chromium, or Google Chrome")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        opened = browser.new_context(viewport={"width": width, "height": height}).new_page()
        opened.set_default_timeout(PATIENCE)
        yield opened
        browser.close()


def picture(page: Any, name: str, clip: dict[str, float] | None = None) -> None:
    """Keep a picture of a page, the first of its name.

    Args:
        page: Of playwright.
        name: Of the file, without its ending.
        clip: ``x``, ``y``, ``width`` and ``height`` of the part that is kept; all of the page by default.
    """
    if PICTURES and not (path := Path(PICTURES) / f"{name}.png").exists():
        # A page that listens to its server is never idle.
        page.wait_for_timeout(1500)
        page.screenshot(path=path, clip=clip)


def until(holds: Callable[[], bool], seconds: float = PATIENCE / 1000) -> None:
    """Wait for something that no page shows."""
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.3)
