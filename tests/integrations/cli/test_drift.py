import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curation.ledger import Ledger
from tests.integrations.cli.running import mistake, run

START = datetime(2026, 3, 1, 6, tzinfo=UTC)
DARK_FROM, COUNT = 45, 66


@pytest.fixture(scope="module")
def scored(tiles: Path, bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger of tiles that become dark, whose pictures were deleted after they were scored."""
    root = tmp_path_factory.mktemp("stream")
    sources = sorted((tiles / "train" / "good").glob("*.png"))
    rng = np.random.default_rng(0)
    rows = []
    for place in range(COUNT):
        pixels = np.asarray(Image.open(sources[place % len(sources)]), dtype=np.float64)
        level = (0.5 if place >= DARK_FROM else 1.0) * np.exp(rng.normal(0, 0.02))
        shown = (pixels * level).clip(0, 255).astype(np.uint8)
        shown[0, 0] = place  # no two pictures are the same
        Image.fromarray(shown).save(root / f"{place:03d}.png")
        time = START + timedelta(minutes=place)
        rows.append((f"{place:03d}.png", f"part{place:03d}", f"lot{place // 10}", "top", time.isoformat()))
    with (root / "stream.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "part", "lot", "camera", "time"), *rows])
    home = root / "home"
    result = run("score", bundle, root / "stream.csv", "--ledger", root / "l.db", "--home", home, "--device", "cpu")
    assert result.exit_code == 0, result.output
    for path in root.glob("*.png"):
        path.unlink()
    return root / "l.db"


def test_drift_is_told_with_its_beginning_though_the_pictures_are_gone(scored: Path, tmp_path: Path) -> None:
    report = tmp_path / "drift.html"
    arguments = ("--ledger", scored, "--reference", 25, "--json", "--exit-code", "--report", report)
    result = run("drift", *arguments)
    assert result.exit_code == 3
    told = json.loads(result.stdout)
    assert told["drift"]
    (camera,) = told["cameras"]
    assert camera["camera"] == "top"
    alarm = next(one for one in camera["alarms"] if one["statistic"] == "brightness")
    assert alarm["direction"] == "lower"
    assert alarm["since"] == f"part{DARK_FROM:03d}"
    assert len(alarm["pictures"]) == 8
    assert camera["lots"][-1]["drifting"]
    page = report.read_text()
    assert "brightness is lower" in page
    assert "the file is gone" in page


def test_earlier_nothing_was_told(scored: Path) -> None:
    until = (START + timedelta(minutes=DARK_FROM - 1)).isoformat()
    result = run("drift", "--ledger", scored, "--reference", 25, "--until", until, "--exit-code")
    assert result.exit_code == 0
    assert "no drift in 45 parts" in result.stderr


def test_calibration_parts_are_the_reference_where_they_can_be(scored: Path) -> None:
    result = run("drift", "--ledger", scored, "--lot", "lot3")
    assert result.exit_code == 0
    assert "calibration parts" in result.stderr
    assert "lot lot3: 10 parts" in result.stderr


def test_lots_are_told_how_many_are_missing(scored: Path) -> None:
    assert "not enough yet: 13 more lots" in run("drift", "--ledger", scored, "--unit", "lot").stderr


def test_pictures_that_show_it_are_tagged(scored: Path) -> None:
    assert run("drift", "--ledger", scored, "--reference", 25, "--tag").exit_code == 0
    with Ledger.open(scored) as ledger:
        assert {tag.who for tag in ledger.tags()} == {"drift"}


def test_a_challenger_waits_for_drift_or_verdicts(scored: Path, tiles: Path) -> None:
    result = run("retrain", "challenger", tiles, "--ledger", scored, "--if-verdicts", 5, "--json")
    assert json.loads(result.stdout) == {"trained": False, "new": 0, "drift": []}
    with Ledger.open(scored) as ledger:
        assert ledger.champions() == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--camera", "side"), "no scored pictures of camera 'side'; it has: top"),
        (("--lot", "nil"), "no scored part is of lot 'nil'"),
        (("--until", "yesterday"), "--until yesterday: write it as"),
        (("--until", "2020-01-01"), "no scored pictures until 2020-01-01"),
        (("--since", "2026-03-02", "--until", "2026-03-01"), "--since is not before --until"),
        (("--since", "2031-01-01"), "no scored picture lies after 2031-01-01 00:00 UTC"),
        (("--since", "2031-01-01", "--camera", "top"), "of camera top lies after 2031-01-01 00:00 UTC"),
        (("--false-alarms", "2"), "a probability between 0 and 1"),
    ],
)
def test_mistakes_are_one_line(scored: Path, arguments: tuple[str, ...], words: str) -> None:
    assert words in mistake("drift", "--ledger", scored, *arguments)


def test_a_ledger_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    assert "no ledger there" in mistake("drift", "--ledger", tmp_path / "none.db")
