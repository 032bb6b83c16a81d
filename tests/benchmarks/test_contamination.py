"""What hidden defects do: nothing that trains is judged, levels are what they say, and figures are right."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.contamination import CLEANED, draw_study, figures, main, summarise


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for folder, count in (("good", 130), ("crack", 60)):
        (tmp_path / folder).mkdir()
        for i in range(count):
            pixels = rng.normal(120, 6, (40, 40))
            if folder == "crack":
                pixels[18:21] -= 80
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(tmp_path / folder / f"{i}.png")
    return tmp_path


def test_levels_are_shares_of_all_and_nothing_both_trains_and_is_judged(data: Path) -> None:
    study = draw_study(data, 0, 0.2)
    records, hidden = study.contaminated(0.2)
    assert len(hidden) / len(records) == pytest.approx(0.2, abs=0.005)
    assert {record.label for record in records} == {"good"}
    assert study.contaminated(0)[1] == set()
    assert {record.group for record in records}.isdisjoint(record.group for record in study.judged)
    assert sum(record.defective for record in study.judged) == len(study.judged) / 2


def test_too_few_defective_pictures_end_with_a_line(data: Path) -> None:
    for file in sorted((data / "crack").iterdir())[5:]:
        file.unlink()
    with pytest.raises(SystemExit, match="too few"):
        draw_study(data, 0, 0.2)


def test_figures_of_scores_that_part_clearly() -> None:
    defective = np.array([False] * 5 + [True] * 5)
    assert figures(np.array([1, 2, 1, 2, 1, 8, 9, 8, 9, 1.0]), defective) == pytest.approx(
        {"auroc": (20 + 3 / 2) / 25, "accuracy": 0.9, "precision": 1, "recall": 0.8}
    )


def test_a_cleaner_is_judged_over_all_suspects() -> None:
    run = {"name": CLEANED, "level": 0.1, "auroc": 0.9, "accuracy": 0.8, "precision": 0.7, "recall": 0.6}
    runs = [run | {"suspects": 4, "rightly": 2, "to_find": 4}, run | {"suspects": 1, "rightly": 1, "to_find": 2}]
    summary = summarise(CLEANED, 0.1, runs)
    assert summary["cleaner_precision"] == pytest.approx(0.6)
    assert summary["cleaner_recall"] == pytest.approx(0.5)


@pytest.mark.slow
def test_it_runs(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--data", str(data), "--quick", "--json", "--plot", str(tmp_path / "plot.png")])
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert len(result["summary"]) == 8
    assert (tmp_path / "plot.png").stat().st_size > 5000
