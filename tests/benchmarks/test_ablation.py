import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import ablation, ablation_figures
from benchmarks.ablation import Cell, Cells, Settings
from benchmarks.ablation_figures import EVERYTHING, PERLIN_ONLY, auroc, summarise, variants, without
from benchmarks.exam import HELD_OUT, TEST, Exam, Row, exam_on_data, exams_on_parts
from learning.errors import DataError
from synth.families import ANYWHERE

SETTINGS = Settings(1, None, 64, tuple(ANYWHERE), good=8, test_good=2, defective=7)
HERE = ("perlin", "crack", "blob")
ROWS = [
    Row(section, stratum, label, f"{stratum}{i}")
    for section, labels in ((HELD_OUT, ("good", *HERE)), (TEST, ("good", "hole")))
    for stratum in ("tile", "label")
    for label in labels
    for i in range(4)
]
BAD = np.array([row.label != "good" for row in ROWS])
IS_TILE = np.array([row.stratum == "tile" for row in ROWS])


@pytest.fixture(scope="module")
def exam(tmp_path_factory: pytest.TempPathFactory) -> Exam:
    return exams_on_parts(tmp_path_factory.mktemp("parts"), good=8, test_good=2, defective=7, size=64)[0]


def cell(exam: Exam, variant: str = EVERYTHING, seed: int = 0) -> Cell:
    return Cell(exam.name, exam.fingerprint, variant, seed, 1, 0.1, [0.5] * len(exam.rows))


def test_each_variant_leaves_one_family_out() -> None:
    found = variants(HERE)
    assert found[EVERYTHING] == HERE
    assert found[PERLIN_ONLY] == ("perlin",)
    assert found[without("crack")] == ("perlin", "blob")
    assert len(found) == 2 + len(HERE)


def test_the_exam_holds_every_family_on_parts_that_no_detector_learns_from(exam: Exam) -> None:
    held = [row for row in exam.rows if row.section == HELD_OUT]
    assert {row.label for row in held} == {"good", *ANYWHERE}
    assert not {row.group for row in exam.rows} & set(exam.train.groups)
    tested = [row.label for row in exam.rows if row.section == TEST]
    assert tested.count("good") == 2
    assert len(tested) - tested.count("good") == 7
    assert len(exam.rows) == len(exam.images)


def test_the_same_parts_make_the_same_exam(exam: Exam, tmp_path: Path) -> None:
    again = exams_on_parts(tmp_path, good=8, test_good=2, defective=7, size=64)[0]
    assert again.fingerprint == exam.fingerprint


def test_data_without_labelled_test_images_are_refused(tmp_path: Path, exam: Exam) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "good").symlink_to(exam.train.paths[0].parent)
    with pytest.raises(DataError, match="no labelled test images"):
        exam_on_data(tmp_path, 64)


def test_a_cell_is_trained_and_scores_every_image(exam: Exam) -> None:
    found = ablation.train_cell(exam, SETTINGS, without("crack"), seed=1)
    assert found.steps == 1
    assert len(found.scores) == len(exam.rows)
    assert np.isfinite(found.scores).all()


def test_what_is_done_is_not_done_again(exam: Exam, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[tuple[str, int]] = []

    def train(exam: Exam, settings: Settings, variant: str, seed: int) -> Cell:
        trained.append((variant, seed))
        return cell(exam, variant, seed)

    monkeypatch.setattr(ablation, "train_cell", train)
    file = tmp_path / "cells.jsonl"
    names = [EVERYTHING, PERLIN_ONLY]
    ablation.run(exam, SETTINGS, names, [0], Cells(file, SETTINGS), print)
    with file.open("a") as opened:
        opened.write('{"exam": "parts", "var')  # killed in the middle of a line
    ablation.run(exam, SETTINGS, names, [0, 1], Cells(file, SETTINGS), print)
    assert trained == [(EVERYTHING, 0), (PERLIN_ONLY, 0), (EVERYTHING, 1), (PERLIN_ONLY, 1)]
    assert len(file.read_text().splitlines()) == 1 + len(trained)
    assert Cells(file, SETTINGS).get(exam, PERLIN_ONLY, 1) == cell(exam, PERLIN_ONLY, 1)


def test_cells_of_other_settings_or_images_are_refused(exam: Exam, tmp_path: Path) -> None:
    file = tmp_path / "cells.jsonl"
    Cells(file, SETTINGS).add(cell(exam))
    with pytest.raises(DataError, match="other steps"):
        Cells(file, replace(SETTINGS, steps=2))
    with pytest.raises(DataError, match="other images"):
        Cells(file, SETTINGS).get(replace(exam, fingerprint="0"), EVERYTHING, 0)
    file.write_text("a shopping list\n")
    with pytest.raises(DataError, match="something else"):
        Cells(file, SETTINGS)


def test_auroc_compares_within_a_kind_of_part() -> None:
    # Every score of a label lies above every score of a tile, which says nothing about defects.
    scores = np.where(IS_TILE, 0.0, 10.0) + BAD
    everywhere = np.arange(len(ROWS))
    assert auroc(ROWS, TEST, ["hole"], scores)(everywhere) == 1
    assert auroc(ROWS, HELD_OUT, ["crack"], -scores)(everywhere) == 0
    one_kind_wrong = np.where(IS_TILE, scores, -scores)
    assert auroc(ROWS, TEST, ["hole"], one_kind_wrong)(everywhere) == 0.5
    assert np.isnan(auroc(ROWS, TEST, ["hole"], scores)(everywhere[~BAD]))


def test_figures_compare_with_everything_and_with_perlin_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ablation_figures, "_DRAWS", 30)
    perfect, blind = BAD.astype(float), np.zeros(len(ROWS))
    scores = {name: np.stack([perfect, perfect]) for name in variants(HERE)}
    scores[PERLIN_ONLY] = np.stack([blind, perfect])
    scores[without("crack")] = np.stack([blind, blind])
    found = summarise(ROWS, scores, HERE)
    assert found["test"][EVERYTHING]["difference"] == {"mean": 0, "std": 0, "interval": [0, 0]}
    assert found["test"][PERLIN_ONLY]["auroc"]["mean"] == 0.75
    assert found["test"][PERLIN_ONLY]["auroc"]["std"] == pytest.approx(0.5 / 2**0.5)
    assert found["test"][without("crack")]["difference"]["mean"] == -0.5
    assert found["left_out"]["crack"][without("crack")]["mean"] == 0.5
    assert found["left_out"]["blob"][without("blob")]["mean"] == 1
    # Crack is not found, blob is, and Perlin itself does not count: (0.5 + 1) / 2 against (0.5 + 1) / 2.
    assert found["left_out_mean"]["without each"]["mean"] == 0.75
    assert found["left_out_mean"]["difference"]["mean"] == 0


def test_what_is_not_done_yet_is_left_open() -> None:
    found = summarise(ROWS, {PERLIN_ONLY: np.stack([BAD.astype(float)])}, HERE)
    assert found["test"][PERLIN_ONLY]["difference"] is None
    assert found["left_out"]["crack"][without("crack")] is None
    assert found["left_out_mean"] is None


def test_last_line_of_stdout_is_one_object(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(ablation, "train_cell", lambda exam, settings, variant, seed: cell(exam, variant, seed))
    ablation.main(["--quick", "--json", "--variants", EVERYTHING, PERLIN_ONLY])
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["seeds"] == [0]
    assert result["exams"]["tile"]["test"][PERLIN_ONLY]["auroc"]["mean"] == 0.5


@pytest.mark.parametrize("wrong", [["--data", "nowhere"], ["--skip-parts"], ["--steps", "0"], ["--variants", "magic"]])
def test_mistakes_are_named(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        ablation.main(wrong)
    assert wrong[0] in capsys.readouterr().err
