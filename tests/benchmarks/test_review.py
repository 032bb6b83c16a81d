import faulthandler
import multiprocessing
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from benchmarks import review
from benchmarks.review import main
from benchmarks.review_line import fill_ledger, lost_and_doubled
from benchmarks.workers.push_and_pull import WHERE
from curation.ledger import Ledger
from integrations.errors import ServerError


def test_what_is_lost_and_doubled_is_counted() -> None:
    assert lost_and_doubled({"a": 1, "b": 2, "d": 1}, ["a", "b", "c"]) == {"lost": 1, "doubled": 1}


def test_a_line_with_asks(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        truth = fill_ledger(ledger, tmp_path, 20, 32, 0)
        assert [ask.ask_id for ask in ledger.asks("created")] == list(truth)
        assert sum(answer.verdict == "defect" for answer in truth.values()) == 6
        assert {one.state for one in ledger.resolved()} == {"good", "defect"}
        assert len(ledger.embeddings(ledger.scores()[0].model_id)[0]) == len(ledger.images())


def say_and_sleep(pipe: Connection, text: str, seconds: float) -> None:
    faulthandler.register(WHERE)
    if text:
        pipe.send(text)
    time.sleep(seconds)


Started = tuple[ForkServerProcess, Connection]


@pytest.fixture
def start() -> Iterator[Callable[[str, float], Started]]:
    context = multiprocessing.get_context("forkserver")
    started: list[Started] = []

    def begin(text: str, seconds: float) -> Started:
        ours, its = context.Pipe()
        worker = context.Process(target=say_and_sleep, args=(its, text, seconds))
        worker.start()
        its.close()
        started.append((worker, ours))
        return worker, ours

    yield begin
    for worker, ours in started:
        worker.kill()
        worker.join()
        ours.close()


def test_a_worker_that_hangs_ends_the_benchmark_and_says_where_it_is(
    start: Callable[[str, float], Started], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    worker, pipe = start("begins", 600)
    assert review.hears(worker, pipe) == "begins"
    monkeypatch.setattr(review, "LONGEST", 0.2)
    with pytest.raises(ServerError, match=r"nothing and not ended for 0\.2 s"):
        review.hears(worker, pipe)
    assert "say_and_sleep" in capfd.readouterr().err


def test_a_worker_that_ended_says_nothing_while_another_still_runs(start: Callable[[str, float], Started]) -> None:
    (ends, pipe), _ = start("", 0), start("", 600)
    # Its line would stay open, if the other one had it too.
    assert review.hears(ends, pipe) == ""


def test_options_that_are_none(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "nothing"])
    assert "invalid choice" in capsys.readouterr().err
