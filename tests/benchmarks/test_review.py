from pathlib import Path

import pytest

from benchmarks.review import main
from benchmarks.review_line import fill_ledger, lost_and_doubled
from curation.ledger import Ledger


def test_what_is_lost_and_doubled_is_counted() -> None:
    assert lost_and_doubled({"a": 1, "b": 2, "d": 1}, ["a", "b", "c"]) == {"lost": 1, "doubled": 1}


def test_a_line_with_asks(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        truth = fill_ledger(ledger, tmp_path, 20, 32, 0)
        assert [ask.ask_id for ask in ledger.asks("created")] == list(truth)
        assert sum(answer.verdict == "defect" for answer in truth.values()) == 6
        assert {one.state for one in ledger.resolved()} == {"good", "defect"}
        assert len(ledger.embeddings(ledger.scores()[0].model_id)[0]) == len(ledger.images())


def test_options_that_are_none(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "nothing"])
    assert "invalid choice" in capsys.readouterr().err
