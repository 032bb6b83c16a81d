"""The benchmark of supervised and unsupervised models: its figures by hand, and a run from end to end."""

import json

import numpy as np
import pytest

from benchmarks.supervision import SUPERVISED, TAUGHT, UNSUPERVISED, figures, main


def test_precision_and_recall_at_a_threshold() -> None:
    scores = np.array([0.1, 0.6, 0.9, 0.8, 0.2])
    defective = np.array([False, False, True, True, True])
    found = figures(scores, defective, 0.5)
    assert found == {
        "precision": pytest.approx(2 / 3),
        "recall": pytest.approx(2 / 3),
        "false_reject": 0.5,
        "image_auroc": pytest.approx(5 / 6),
    }
    assert figures(scores, defective, 0.95)["precision"] == 1.0
    assert figures(scores, defective, 0.95)["recall"] == 0.0


@pytest.mark.slow
def test_a_quick_run_from_end_to_end(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--quick", "--json"])
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    models = [(one["model"], one["defects"]) for one in result["rows"]]
    assert models == [*((name, 0) for name in UNSUPERVISED), (SUPERVISED, 5), (TAUGHT, 5)]
    assert all(0 <= one[key] <= 1 for one in result["rows"] for key in ("precision", "recall", "image_auroc"))
    assert len({one["image_auroc"] for one in result["rows"]}) > 2
