"""Training in bfloat16 beside float32."""

from pathlib import Path

import pytest

from benchmarks.exam import exams_on_parts
from benchmarks.precision import run, summarise


def test_each_precision_is_trained_in(tmp_path: Path) -> None:
    (exam,) = exams_on_parts(tmp_path, good=8, test_good=4, defective=4, size=64, kinds=["tile"])
    whole, half = (run(exam, name, 0, 1) for name in ("32-true", "bf16-mixed"))
    assert (whole["configuration"], half["configuration"]) == ("32-true", "bf16-mixed")
    assert (whole["precision"], half["precision"]) == ("32-true", "bf16-mixed")
    assert min(whole["cpu_seconds"], half["cpu_seconds"]) > 0


def test_the_summary_pairs_seeds() -> None:
    def one(name: str, auroc: float, seconds: float) -> dict[str, object]:
        known = {"exam": "tile", "threads": 1, "configuration": name, "image_auroc": auroc}
        return known | {"seconds": seconds, "cpu_seconds": 2 * seconds}

    runs = [one("32-true", 0.8, 4), one("bf16-mixed", 0.82, 2), one("32-true", 0.7, 6), one("bf16-mixed", 0.68, 2)]
    (row,) = summarise(runs)
    assert (row["faster"], row["faster_cpu"]) == (2.5, 2.5)
    assert row["difference"] == pytest.approx(0)
    assert row["difference_std"] == pytest.approx(0.04 / 2**0.5)
    assert row["image_auroc"] == {"32-true": pytest.approx(0.75), "bf16-mixed": pytest.approx(0.75)}
