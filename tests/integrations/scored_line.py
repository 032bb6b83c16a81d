"""Parts made up for tests in a browser, scored by a model that was trained for seconds."""

import csv
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from curation.ledger import Ledger, VerdictEntry
from tests.integrations.cli.running import run

START = datetime(2026, 3, 2, 6, tzinfo=UTC)


@dataclass(frozen=True)
class Line:
    """Parts that a model has scored."""

    home: Path
    bundle: Path
    ledger: Path
    truth: dict[str, str]
    """Kind of defect, or ``good``, by image id."""


def make_line(home: Path) -> Line:
    """Make 30 parts, train, score, and give verdicts on one good part and one of each kind of defect."""
    parts, bundle, ledger = home / "tiles", home / "bundle", home / "ledger.db"
    made = ("--good", 40, "--test-good", 16, "--defective", 14, "--size", 128, "--seed", 5)
    config, table = home / "small.yaml", parts / "line.csv"
    # A model that lets defects through, so that answers about it have something to change.
    config.write_text("size: 128\ndetector_config: {reference: false}\n")
    _done("parts", "--kind", "tile", "--out", parts, *made)
    _write_table(table)
    _done("train", parts, "--out", bundle, "--config", config, "--steps", 40, "--device", "cpu")
    _done("score", bundle, table, "--ledger", ledger, "--home", home, "--maps", home / "maps")
    with Ledger.open(ledger) as opened:
        truth = {image.image_id: image.path.parent.name for image in opened.images()}
        # What is known already, so that there is something to compare with.
        for kind in ("good", *sorted(set(truth.values()) - {"good"})):
            image = next(one for one in opened.images() if truth[one.image_id] == kind)
            defective = kind != "good"
            mask = next((parts / "ground_truth").rglob(f"{image.path.stem}_mask.png")) if defective else None
            opened.record_verdicts(
                [
                    VerdictEntry(
                        ask_id=None,
                        image_id=image.image_id,
                        inspector="ada",
                        verdict="defect" if defective else "good",
                        at="2026-01-01",
                        source="csv",
                        external_id=image.image_id,
                        revision="1",
                        regions_mask=mask,
                        defect_class=kind if defective else None,
                    )
                ]
            )
    return Line(home, bundle, ledger, truth)


def _write_table(table: Path) -> None:
    images = sorted((table.parent / "test").rglob("*.png"))
    times = [(START + timedelta(hours=3 * place)).isoformat() for place in range(len(images))]
    with table.open("w", newline="") as file:
        rows = zip([image.relative_to(table.parent) for image in images], times, strict=True)
        csv.writer(file).writerows([("image", "time"), *rows])


def _done(*command: object) -> None:
    result = run(*command)
    assert result.exit_code == 0, result.output
