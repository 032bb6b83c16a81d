"""A month of production: what is drawn when, and that the same day is always the same."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synth.errors import SynthError
from synth.parts import Month, make_day

MONTH = Month(
    kind="tile", parts=40, defect_rates=(0.2, 0.4), drift_day=3, new_defect="chatter", new_day=4, size=64, seed=5
)


def _truth(folder: Path) -> list[dict[str, str]]:
    with (folder / "truth.csv").open() as stream:
        return list(csv.DictReader(stream))


def test_a_day_is_the_same_whenever_it_is_made_and_no_other(tmp_path: Path) -> None:
    first, again = make_day(tmp_path / "a", MONTH, 1), make_day(tmp_path / "b", MONTH, 1)
    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert all((first / name).read_bytes() == (again / name).read_bytes() for name in files)
    next_day = _truth(make_day(tmp_path / "c", MONTH, 2))
    assert not {row["part"] for row in _truth(first)} & {row["part"] for row in next_day}
    assert max(row["time"] for row in _truth(first)) < min(row["time"] for row in next_day)


def test_a_share_of_the_parts_is_defective_with_masks(tmp_path: Path) -> None:
    folder = make_day(tmp_path / "day", MONTH, 1)
    defective = [row for row in _truth(folder) if row["label"] != "good"]
    assert 8 <= len(defective) <= 16
    for row in defective:
        assert np.asarray(Image.open(folder / row["mask"])).any()
    with (folder / "images.csv").open() as stream:
        assert csv.DictReader(stream).fieldnames == ["image", "part", "lot", "camera", "time"]


def test_the_new_kind_appears_on_its_day_and_the_light_changes_on_its_own(tmp_path: Path) -> None:
    days = {day: make_day(tmp_path / str(day), MONTH, day) for day in range(1, 6)}
    kinds = {day: [row["label"] for row in _truth(folder)] for day, folder in days.items()}
    assert not any("chatter" in kinds[day] for day in (1, 2, 3))
    assert "chatter" in kinds[4] + kinds[5]
    bright = {
        day: np.mean([np.asarray(Image.open(folder / row["image"])).mean() for row in _truth(folder)])
        for day, folder in days.items()
    }
    assert max(bright[3], bright[4], bright[5]) < 0.85 * min(bright[1], bright[2])


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SynthError, match="has no defect 'wrinkle'"):
        Month(kind="tile", new_defect="wrinkle")
    with pytest.raises(SynthError, match="defect rates"):
        Month(defect_rates=(0.4, 0.2))
    with pytest.raises(SynthError, match="counted from 1"):
        make_day(tmp_path / "day", MONTH, 0)
