"""The benchmark of judges of the fallback: its figures by hand, ranks on scores that are plain, and a whole run."""

import json

import numpy as np
import pytest

from benchmarks.fallback_judges import ALWAYS, JUDGES, SIGN, by_ranks, main, summary
from learning.weighing import Candidate, Scored, Verdicts


def test_what_is_left_changes_nothing() -> None:
    taken = [{SIGN: False, ALWAYS: True}, {SIGN: True, ALWAYS: True}]
    rows = [
        {"taken": taken[0], "image_auroc": -0.2, "escape": 0.1},
        {"taken": taken[1], "image_auroc": 0.1, "escape": -0.3},
    ]
    assert summary(rows, SIGN) == pytest.approx(
        {"taken": 0.5, "harmed": 0.0, "image_auroc": 0.05, "escape": -0.15, "worst_escape": 0.0}
    )
    assert summary(rows, ALWAYS) == pytest.approx(
        {"taken": 1.0, "harmed": 0.5, "image_auroc": -0.05, "escape": -0.1, "worst_escape": 0.1}
    )


@pytest.mark.parametrize(("better", "alike"), [(True, False), (True, True), (False, False)])
def test_ranks_see_what_orders_parts_better(better: bool, alike: bool) -> None:
    rng = np.random.default_rng(0)
    defective = np.arange(60) % 2 == 1
    seen = Scored(rng.normal(size=60), np.zeros((60, 1)), np.arange(60).astype(str))
    verdicts = Verdicts(seen, defective, rng.uniform(1, 5, 60))
    held_out = Scored(rng.normal(size=40), np.zeros((40, 1)), np.array([f"s{n}" for n in range(40)]))
    alone = Candidate("alone", seen.scores, held_out.scores)
    pair = Candidate("pair", seen.scores + 3 * defective * (1 if better else -1), held_out.scores)
    assert (by_ranks(verdicts, held_out, alone, pair, 0.875, alike) > 0) is better


@pytest.mark.slow
def test_a_quick_run_from_end_to_end(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--quick", "--json"])
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(result["judges"]) == set(JUDGES)
    assert result["judges"][ALWAYS]["taken"] == 1
    assert all(row["answers"] == 60 and row["defects"] >= 6 for row in result["rows"])
