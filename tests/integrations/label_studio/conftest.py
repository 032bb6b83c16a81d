"""One real server for all tests of this folder, and a ledger with images for each."""

import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from curation.ledger import AskEntry, ImageEntry, Ledger, ModelEntry, ScoreEntry
from integrations.label_studio import LabelStudioServer, ensure_project
from integrations.label_studio.server import _group_runs

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

SIZE = (48, 64)
MODEL = "m" * 32


@pytest.fixture(autouse=True)
def _no_server_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FLAWSMITH_LABEL_STUDIO_URL", "FLAWSMITH_LABEL_STUDIO_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelStudioServer]:
    # A folder that is kept: the server is up in seconds, as its database is there already.
    kept = os.environ.get("FLAWSMITH_TEST_LABEL_STUDIO_FOLDER")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("label-studio")
    started = LabelStudioServer(folder / "data", folder / "images").start()
    group = started.pid
    assert group is not None
    yield started
    # A test may have restarted it.
    groups = {group, started.pid}
    started.stop()
    assert not any(_group_runs(pid) for pid in groups if pid is not None)


@dataclass
class Review:
    """A ledger with asks, and a project for them."""

    folder: Path
    server: LabelStudioServer
    client: "LabelStudio"
    ledger: Ledger
    project: int
    title: str

    @property
    def url(self) -> str:
        return ledger_url(self.folder)

    @property
    def images_root(self) -> Path:
        return self.server.images_root

    @property
    def masks(self) -> Path:
        return self.folder / "masks"

    def task_ids(self) -> dict[str, list[int]]:
        """Task ids by ask id, as the server has them."""
        found: dict[str, list[int]] = {}
        for task in self.client.tasks.list(project=self.project, fields="all"):
            found.setdefault(task.data["external_id"], []).append(task.id)
        return found

    def add_asks(self, count: int, model: str = MODEL) -> list[str]:
        return add_asks(self.ledger, self.folder, count, model)


def ledger_url(folder: Path) -> str:
    return f"sqlite:///{folder / 'ledger.sqlite'}"


def add_asks(ledger: Ledger, folder: Path, count: int, model: str = MODEL) -> list[str]:
    """Put images with maps into a ledger, and ask about each."""
    start = len(ledger.images())
    paths = []
    for number in range(start, start + count):
        paths.append(folder / f"part{number}.png")
        shade = np.random.default_rng(number).integers(90, 160, SIZE).astype(np.uint8)
        Image.fromarray(shade).save(paths[-1])
    image_ids = ledger.add_images(
        [ImageEntry(path=path, part=path.stem, group=path.stem, lot=None, camera=None, time=None) for path in paths]
    )
    anomaly_map = np.zeros(SIZE, np.uint8)
    anomaly_map[10:16, 20:31] = 200
    Image.fromarray(anomaly_map).save(folder / "map.png")
    ledger.record_scores(
        [
            ScoreEntry(
                image_id=image_id,
                model_id=model,
                threshold_version=1,
                score=0.5,
                decision_score=0.5,
                fallback_score=None,
                percentile=0.9,
                decision="reject",
                map_path=folder / "map.png",
                batch="test",
            )
            for image_id in image_ids
        ]
    )
    return ledger.create_asks(
        [
            AskEntry(
                image_id=image_id,
                reason="borderline",
                inclusion_probability=0.5,
                strategy="default",
                model_id=model,
                threshold_version=1,
                seed=0,
            )
            for image_id in image_ids
        ]
    )


@pytest.fixture
def make_ledger(tmp_path: Path) -> Iterator[Callable[[], Ledger]]:
    opened = []

    def make() -> Ledger:
        from datetime import UTC, datetime

        ledger = Ledger.open(ledger_url(tmp_path))
        opened.append(ledger)
        ledger.record_model(
            ModelEntry(
                model_id=MODEL,
                path=tmp_path / "bundle",
                detector="segment",
                weights="random",
                trained_at=datetime.now(UTC),
            )
        )
        return ledger

    yield make
    for ledger in opened:
        ledger.__exit__(None, None, None)


@pytest.fixture
def review(server: LabelStudioServer, tmp_path: Path, make_ledger: Callable[[], Ledger]) -> Review:
    client = server.client()
    title = f"review {uuid.uuid4().hex}"
    return Review(tmp_path, server, client, make_ledger(), ensure_project(client, title), title)
