import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import detectors


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, float]]:
    """Stands in for training; says what was asked for."""
    asked: list[tuple[str, int, float]] = []

    def run(data: Path, detector: str, seed: int, minutes: float, confirmed: object = None) -> dict[str, Any]:
        asked.append((detector, seed, minutes))
        figures: dict[str, Any] = {"image_auroc": 0.8 + 0.1 * seed, "pixel_auroc": None, "ms_per_image": 20.0}
        figures["image_auroc_interval"] = [0.7 + 0.1 * seed, 1.0]
        if detector == "glass":
            figures["image_auroc"] -= 0.05
        known = {"data": data.name, "detector": detector, "seed": seed, "weights": "scratch"}
        return {
            **known,
            "choice": {"detector": "glass", "reason": "of a coin"} if detector == "auto" else None,
            **figures,
        }

    monkeypatch.setattr(detectors, "run", run)
    monkeypatch.setattr(detectors, "make_parts", lambda folder, kind, **options: folder)
    return asked


def test_last_line_of_stdout_is_one_object(
    trained: list[tuple[str, int, float]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    detectors.main(["--data", str(tmp_path), "--detectors", "segment,glass", "--seeds", "0,1", "--json"])
    (line,) = capsys.readouterr().out.splitlines()
    result = json.loads(line)
    assert [(name, seed) for name, seed, _ in trained] == [("segment", 0), ("segment", 1), ("glass", 0), ("glass", 1)]
    assert result["seeds"] == [0, 1]
    assert result["machine"]["cores"] >= 1
    assert len(result["runs"]) == 4
    summary = result["summary"][0]
    assert summary["image_auroc"] == pytest.approx({"mean": 0.85, "std": 0.1 / 2**0.5})
    assert summary["lowest"] == pytest.approx(0.7)
    assert "pixel_auroc" not in summary


def test_made_up_parts_have_a_row_for_each_kind(
    trained: list[tuple[str, int, float]], capsys: pytest.CaptureFixture[str]
) -> None:
    detectors.main(["--parts", "tile,label", "--detectors", "kmeans", "--seeds", "0", "--json"])
    result = json.loads(capsys.readouterr().out)
    assert [row["data"] for row in result["summary"]] == ["tile", "label"]
    assert result["made_up"]["good"] > 0


def test_quick_is_one_seed_and_short(
    trained: list[tuple[str, int, float]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    detectors.main(["--data", str(tmp_path), "--detectors", "segment,glass", "--quick"])
    assert [seed for _, seed, _ in trained] == [0, 0]
    assert sum(minutes for _, _, minutes in trained) < 1
    assert "segment" in capsys.readouterr().out


def test_auto_brings_its_candidates_and_its_regret(
    trained: list[tuple[str, int, float]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    detectors.main(["--data", str(tmp_path), "--detectors", "auto,glass", "--seeds", "0", "--json"])
    said = capsys.readouterr()
    assert [name for name, _, _ in trained] == ["auto", "glass", "segment", "patchcore"]
    (row,) = json.loads(said.out)["regret"]
    assert (row["chosen"], row["best"]) == ("glass", "segment")
    assert (row["regret"], row["loss"]) == pytest.approx((0.05, 0.0))
    assert "in hindsight" in said.err


@pytest.mark.parametrize(
    "wrong",
    [
        ["--data", "nowhere"],
        ["--parts", "tile,nut"],
        ["--data", ".", "--detectors", "magic"],
        ["--parts", "tile", "--detectors", "supervised"],
    ],
)
def test_mistakes_are_named(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        detectors.main(wrong)
    assert wrong[-1].split(",")[-1] in capsys.readouterr().err
