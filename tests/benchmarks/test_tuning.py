"""The benchmark of what answers teach a challenger: its figures by hand, and a run from end to end."""

import json

import pytest

from benchmarks.tuning import ANSWERS, CHAMPION, NOTHING, TAUGHT, changes, main


def row(model: str, seed: int, answers: int, auroc: float, escape: float) -> dict[str, object]:
    return {"model": model, "seed": seed, "answers": answers, "image_auroc": auroc, "escape": escape}


def test_challengers_stand_beside_the_champion_of_their_own_line() -> None:
    rows = [
        row(CHAMPION, 1, 0, 0.8, 0.4),
        row(CHAMPION, 2, 0, 0.6, 0.8),
        row(ANSWERS, 1, 40, 0.9, 0.2),
        row(ANSWERS, 2, 40, 0.8, 0.8),
        row(NOTHING, 2, 0, 0.5, 0.8),
    ]
    assert changes(rows) == {
        ANSWERS: {"40": {"image_auroc": pytest.approx(0.15), "escape": pytest.approx(-0.1)}},
        NOTHING: {"0": {"image_auroc": pytest.approx(-0.1), "escape": pytest.approx(0.0)}},
    }


@pytest.mark.slow
def test_a_quick_run_from_end_to_end(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--quick", "--json"])
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    models = [(one["model"], one["answers"]) for one in result["rows"]]
    assert models == [(CHAMPION, 0), (NOTHING, 0), *((name, 20) for name in TAUGHT)]
    assert all(0 <= one["image_auroc"] <= 1 and 0 <= one["escape"] <= 1 for one in result["rows"])
    # All but the champion have learnt something else.
    assert len({one["image_auroc"] for one in result["rows"]}) > 2
