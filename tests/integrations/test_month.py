"""A month in small: every part decided on twice, answers that err, and a run that goes on where it was stopped."""

import io
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from curation.by_hand import SECOND_LOOK
from curation.ledger import Ledger
from integrations.demo.month import MonthSettings, run_month
from integrations.demo.month.figures import WITH, WITHOUT, PartOfADay, draw, weeks_of
from integrations.demo.month.inspectors import NAMES, SOURCE, THIRD
from integrations.demo.truth import Truth
from learning.bundle import Bundle
from learning.detectors import DETECTORS
from learning.errors import DataError
from learning.intervals import clopper_pearson
from tests.integrations.cli.running import mistake

TINY = MonthSettings(
    days=8,
    parts=16,
    defect_rates=(0.45, 0.5),
    good=30,
    steps=1,
    size=64,
    questions=16,
    drift_day=3,
    new_day=5,
    max_false_reject=0.4,
    new_verdicts=5,
)


@pytest.fixture(autouse=True)
def _learns_in_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("segment", "stub"):  # what the month asks for, and what the stub calls itself
        monkeypatch.setitem(DETECTORS, name, "tests.integrations.stub:StubDetector")


def console() -> Console:
    return Console(file=io.StringIO(), width=200)


def test_a_month_goes_on_where_it_was_stopped_and_is_the_same(tmp_path: Path) -> None:
    whole = run_month(tmp_path / "whole", TINY, console=console())

    class Stopped:
        """Ctrl-C in the middle of the third day, and after the questions of the fifth were drawn."""

        def __init__(self) -> None:
            self.seen: Counter[str] = Counter()

        def __call__(self, done: float, total: float, text: str) -> None:
            if done == 0 and "making parts" in text:
                self.seen[text] += 1
                if self.seen[text] == 4:
                    raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_month(tmp_path / "stopped", TINY, Stopped(), console=console())
    with pytest.MonkeyPatch.context() as patch:
        _stop_before_answers(patch, "d05")
        with pytest.raises(KeyboardInterrupt):
            run_month(tmp_path / "stopped", TINY, console=console())
    told = console()
    assert run_month(tmp_path / "stopped", TINY, console=told) == whole
    assert "day 1:" not in told.file.getvalue()  # type: ignore[attr-defined]
    assert (tmp_path / "stopped" / "month.png").stat().st_size > 10_000

    # No question was doubled, and about a part nobody was asked twice.
    with Ledger.open(tmp_path / "stopped" / "ledger.db") as ledger:
        asks = ledger.asks()
        first_asks = [ask for ask in asks if ask.strategy != SECOND_LOOK]
        assert len(first_asks) == TINY.days * TINY.questions
        assert len({ask.image_id for ask in first_asks}) == len(first_asks)
        verdicts = ledger.verdicts()
        assert len(verdicts) == len(first_asks) + len(asks)
        assert {one.inspector for one in verdicts} == {*NAMES, THIRD}
        assert {one.state for one in ledger.resolved()} == {"good", "defect"}
        assert {one.source for one in verdicts} == {SOURCE}
        _check_reading_errors(ledger, tmp_path / "stopped")
        # A challenger was judged by the gates, and whoever decides has a threshold of the plant's promise.
        [challenge] = ledger.challenges()
        assert challenge.text.startswith(("refused: ", "wins: "))
        champion = ledger.champion()
        assert champion is not None
        folder = next(model.path for model in ledger.models() if model.model_id == champion.model_id)
        assert folder is not None
        assert Bundle.load(folder).thresholds.current().promise.limit == TINY.max_false_reject
    [first, second, everything] = whole
    assert first.notes[0].startswith("challenger: ")
    assert everything.escape[WITH].of == first.escape[WITH].of + second.escape[WITH].of
    # Until it has learnt something, the loop decides as it would without.
    assert first.escape[WITH] == first.escape[WITHOUT]
    assert first.caught_only_with == first.caught_only_without == 0
    result = json.loads((tmp_path / "stopped" / "month.json").read_text())
    assert [week["name"] for week in result] == ["week 1", "week 2", "all"]


def _stop_before_answers(patch: pytest.MonkeyPatch, day: str) -> None:
    from integrations.demo.month import days

    real: Callable[..., int] = days.answer_all

    def stop(ledger: Ledger, truth: dict[str, object], *rest: object) -> int:
        if next(iter(truth)).startswith(day):
            raise KeyboardInterrupt
        return real(ledger, truth, *rest)

    patch.setattr(days, "answer_all", stop)


def _check_reading_errors(ledger: Ledger, folder: Path) -> None:
    days = [folder / f"day_{day:02d}" for day in range(1, TINY.days + 1)]
    truth = {record.part: record for day in days for record in Truth.read(day).records}
    parts = {image.image_id: image.part for image in ledger.images()}
    wrong = 0
    for verdict in ledger.verdicts():
        record = truth[parts[verdict.image_id]]
        right = verdict.verdict == ("defect" if record.defective else "good")
        wrong += not right
        assert (verdict.regions_mask is not None) == (right and record.defective)
    low, high = clopper_pearson(wrong, len(ledger.verdicts()), 0.999)
    assert low < TINY.reading_error < high
    assert wrong


def test_another_demo_in_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "demo.json").write_text(json.dumps({"format": 1, "settings": {"seed": 0, "minutes": 5.7}, "steps": {}}))
    with pytest.raises(DataError, match=r"other settings \(minutes 5\.7\)"):
        run_month(tmp_path, TINY, console=console())


def test_weeks_count_what_was_decided(tmp_path: Path) -> None:
    def part(number: int, label: str, without: bool, with_loop: bool) -> PartOfADay:
        return PartOfADay(part=f"p{number}", label=label, without=without, with_loop=with_loop)

    days = {
        7: [part(0, "good", True, False), part(1, "crack", False, True), part(2, "crack", False, True)],
        8: [part(3, "good", False, False), part(4, "chip", True, False), part(5, "chip", True, True)],
    }
    [first, second, everything] = weeks_of(days, {7: ["refused"]})
    assert first.notes == ("refused",)
    assert (first.escape[WITHOUT].hits, first.escape[WITH].hits, first.escape[WITH].of) == (2, 0, 2)
    assert (first.false_reject[WITHOUT].hits, first.false_reject[WITH].hits) == (1, 0)
    assert (everything.caught_only_with, everything.caught_only_without) == (2, 1)
    assert (everything.escape[WITH].low, everything.escape[WITH].high) == pytest.approx(clopper_pearson(1, 4))
    assert second.name == "week 2"
    # A week without a defective part has no escape rate.
    [only, _] = weeks_of({1: days[8][:1]}, {})
    assert only.escape[WITH].value is None
    draw([only, only], {1.0: "a mark"}, tmp_path / "drawn.png")
    assert (tmp_path / "drawn.png").exists()


def test_options_that_do_not_go_together_are_one_line() -> None:
    assert "--days is only for --month" in mistake("demo", "--days", 3)
    assert "--minutes is not for --month" in mistake("demo", "--month", "--minutes", 3)
