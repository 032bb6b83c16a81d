"""Choosing between configurations by good parts alone."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.choice import judge, summarise
from benchmarks.exam import exam_on_good
from learning.detectors import Budget, create


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for folder in ("train/good", "test/good", "test/hole"):
        (tmp_path / folder).mkdir(parents=True)
        for i in range(10):
            pixels = rng.normal(120, 6, (80, 60 + i)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / f"{i}.png")
    return tmp_path


def test_the_test_part_is_never_looked_at(data: Path) -> None:
    before = exam_on_good(data, 64)
    for file in (data / "test").rglob("*.png"):
        file.write_bytes(b"")
    after = exam_on_good(data, 64)
    assert after.fingerprint == before.fingerprint
    assert len(before.rows) == 4 * sum(row.label == "good" for row in before.rows)
    learnt = {record.path for record in before.train.records}
    assert learnt.isdisjoint({data / "train" / "good" / row.group for row in before.rows})


def test_a_detector_is_judged_by_all_its_defects(data: Path) -> None:
    exam = exam_on_good(data, 64)
    detector = create("segment", {"widths": (4, 8)}, exam.train.preprocessing)
    report = detector.fit(exam.train, exam.train, 0, Budget(steps=1))
    found = judge(exam, "small", detector, report, 0)
    assert set(found["by_defect"]) == {row.label for row in exam.rows} - {"good"}
    assert (found["exam"], found["configuration"], found["steps"]) == (data.name, "small", 1)
    assert 0 <= found["image_auroc"] <= 1


def test_the_summary_is_over_seeds() -> None:
    runs = [{"exam": "a", "configuration": "x", "image_auroc": value} for value in (0.5, 0.7)]
    runs.append({"exam": "a", "configuration": "y", "image_auroc": 0.9})
    x, y = summarise(runs)
    assert (x["mean"], x["std"], x["seeds"]) == (pytest.approx(0.6), pytest.approx(0.2 / 2**0.5), 2)
    assert (y["mean"], y["std"], y["seeds"]) == (0.9, None, 1)
