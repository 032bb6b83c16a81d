"""What a sync reads of a ledger, in memory: rows that a test can change as it likes."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image


@dataclass
class PlainLedger:
    image_rows: dict[str, Any] = field(default_factory=dict)
    limits: dict[int, float] = field(default_factory=lambda: {1: 0.9})
    score_rows: dict[str, Any] = field(default_factory=dict)
    ask_rows: dict[str, Any] = field(default_factory=dict)
    resolutions: dict[str, Any] = field(default_factory=dict)
    vectors: dict[str, tuple[list[str], np.ndarray]] = field(default_factory=dict)
    tagged: dict[tuple[str, str], Any] = field(default_factory=dict)
    place: str = "sqlite:///plain.db"

    def images(self) -> list[Any]:
        return list(self.image_rows.values())

    def scores(self, model_id: str | None = None, batch: str | None = None) -> list[Any]:
        return [row for row in self.score_rows.values() if model_id in (None, row.model_id)]

    def thresholds(self, model_id: str) -> list[Any]:
        return [
            SimpleNamespace(model_id=model_id, version=version, value=value) for version, value in self.limits.items()
        ]

    def asks(self, state: str | None = None) -> list[Any]:
        return [row for row in self.ask_rows.values() if state in (None, row.state)]

    def resolved(self) -> list[Any]:
        return list(self.resolutions.values())

    def tags(self) -> list[Any]:
        return list(self.tagged.values())

    def change_tags(self, entries: list[Any]) -> list[Any]:
        for entry in entries:
            if entry.event == "set":
                self.tagged[entry.image_id, entry.tag] = entry
            else:
                self.tagged.pop((entry.image_id, entry.tag), None)
        return entries

    def embeddings(self, model_id: str) -> tuple[list[str], np.ndarray]:
        return self.vectors[model_id]

    def judge(self, image_id: str, state: str, mask_path: Path | None = None) -> None:
        self.resolutions[image_id] = SimpleNamespace(image_id=image_id, state=state, mask_path=mask_path, verdicts=())

    def forget(self, image_id: str) -> None:
        for rows in (self.image_rows, self.score_rows, self.ask_rows, self.resolutions):
            rows.pop(image_id, None)


def plain_ledger(folder: Path, count: int) -> PlainLedger:
    """A ledger of small grey pictures with maps; every tenth is rejected and every fourth was asked about."""
    rng = np.random.default_rng(0)
    ledger = PlainLedger()
    for index in range(count):
        key = f"{index:032x}"
        picture, heat = folder / f"{index:05d}.png", folder / f"{index:05d}_map.png"
        for path in (picture, heat):
            Image.fromarray(rng.integers(0, 255, (8, 8), dtype=np.uint8)).save(path)
        ledger.image_rows[key] = SimpleNamespace(
            image_id=key, path=picture, part=f"part{index // 2}", group=f"group{index // 4}", lot="A", camera=None,
            time=datetime(2026, 3, 1, 10, tzinfo=UTC),
        )  # fmt: skip
        score = float(rng.random())
        ledger.score_rows[key] = SimpleNamespace(
            image_id=key, model_id="m1", threshold_version=1, score=score, decision_score=score, percentile=50.0,
            decision="accept" if index % 10 else "reject", map_path=heat,
        )  # fmt: skip
        if index % 4 == 0:
            ledger.ask_rows[key] = SimpleNamespace(image_id=key, reason="borderline", state="created")
    ledger.vectors["m1"] = (list(ledger.image_rows), rng.normal(size=(count, 16)).astype(np.float32))
    return ledger
