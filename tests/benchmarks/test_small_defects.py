"""Small defects in large pictures: the default beside windows."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import small_defects


def test_surfaces_are_as_the_seed_says_and_defects_lie_where_their_class_says(tmp_path: Path) -> None:
    made = {"side": 256, "good": 2, "test_good": 1, "defective": 5}
    first, again = (small_defects.make_surface(tmp_path / name, 3, **made) for name in ("first", "again"))
    files = sorted(path.relative_to(first) for path in first.rglob("*.png"))
    assert all((first / file).read_bytes() == (again / file).read_bytes() for file in files)
    assert {file.parts[1] for file in files if file.parts[0] == "test"} == {"good", "0.2", "0.25", "0.375", "0.5", "1"}
    with Image.open(first / files[-1]) as picture:
        assert picture.size == (256, 256)
        assert np.asarray(picture).std() > 0


def test_it_trains_and_measures_both(capsys: pytest.CaptureFixture[str]) -> None:
    small_defects.main(["--quick", "--steps", "2", "--seeds", "1", "--json"])
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [one["configuration"] for one in result["runs"]] == ["default", "windows"]
    assert [one["seen"] for one in result["runs"]] == [[64, 64], [192, 192]]
    assert all(0 <= one["image_auroc"] <= 1 and len(one["image_auroc_by_class"]) == 5 for one in result["runs"])
