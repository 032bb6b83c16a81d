from pathlib import Path

import pytest

from benchmarks import suspects


def test_defects_of_a_plain_folder_come_first(tmp_path: Path) -> None:
    found = suspects.measure(tmp_path, "tile", good=26, defective=14, seed=2)
    assert found["by_chance"] == pytest.approx(4.9)
    assert found["first"] >= 8
    assert found["auroc"] > 0.7
    assert found["right"] <= found["found"]


def test_folders_that_cannot_be_ranked_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for option in (("--defective", "30"), ("--good", "80")):
        with pytest.raises(SystemExit):
            suspects.main(option)
        assert "fewer defective than good" in capsys.readouterr().err
