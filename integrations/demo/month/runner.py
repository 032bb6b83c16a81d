"""A month of production, with the loop and without, from the first good part to a figure."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from integrations.demo.month.figures import PartOfADay, Week, draw, table_of, weeks_of
from integrations.demo.month.settings import DAYS_OF_A_WEEK, MonthSettings
from integrations.demo.state import DemoState
from learning.progress import Progress, silent

FIGURE, RESULT = "month.png", "month.json"


def run_month(
    folder: Path, settings: MonthSettings, progress: Progress = silent, console: Console | None = None
) -> list[Week]:
    """Run it; interrupted at any moment, the next call goes on from there.

    Every part is decided on twice: by what the loop has come to by that day, and by the first model with its first
    threshold, which decides all month without it.

    Args:
        folder: For everything.
        settings: What it is like.
        progress: Told how far each step is.
        console: Where people read.

    Returns:
        The weeks, and all of them together. They are in ``month.json`` too, and drawn in ``month.png``.

    Raises:
        UserError: If the folder holds something else.
    """
    folder = folder.resolve()
    console = console or Console()
    state = DemoState.open(folder, settings)

    from curation.ledger import Ledger
    from integrations.demo.month.days import Plant, begin, learn, work

    def step(name: str, run: Callable[[], dict[str, Any]], tell: Callable[[dict[str, Any]], str]) -> None:
        if not state.done(name):
            with state.step(name) as result:
                result.update(run())
            said = f"{name}: {tell(state.result(name))} [dim]({state.steps[name].seconds:.0f} s)[/]"
            console.print(said, highlight=False, soft_wrap=True)

    try:
        with Ledger.open(folder / "ledger.db") as ledger:
            plant = Plant(folder, settings, ledger, progress)
            step("begin", lambda: begin(plant), lambda found: str(found["promise"]))
            for day in range(1, settings.days + 1):
                step(f"day {day}", lambda today=day: work(plant, today), _tell_day)  # type: ignore[misc]
                # At the end of the last week it would change nothing that is measured.
                if day % DAYS_OF_A_WEEK == 0 and day < settings.days:
                    step(f"end of day {day}", lambda: learn(plant), _tell_week)
    except KeyboardInterrupt:
        console.print("\n[yellow]stopped[/]; the same command goes on from here")
        raise
    weeks = _weeks(state, settings)
    marks = {float(settings.drift_day): "the light changes", float(settings.new_day): f"first {settings.new_defect}"}
    draw(weeks, {day: text for day, text in marks.items() if day <= settings.days}, folder / FIGURE)
    (folder / RESULT).write_text(json.dumps([week.model_dump() for week in weeks], indent=2) + "\n")
    console.print(table_of(weeks))
    console.print(f"Figure: [bold]{folder / FIGURE}[/]", highlight=False, soft_wrap=True)
    return weeks


def _weeks(state: DemoState[MonthSettings], settings: MonthSettings) -> list[Week]:
    days = range(1, settings.days + 1)
    parts = {day: [PartOfADay.model_validate(one) for one in state.result(f"day {day}")["parts"]] for day in days}
    notes = {day: _notes(state.result(f"end of day {day}")) for day in days if state.done(f"end of day {day}")}
    return weeks_of(parts, notes)


def _notes(found: dict[str, Any]) -> Sequence[str]:
    drift = [f"drift: {'; '.join(found['drift'])}"] if found["drift"] else []
    return [*drift, f"challenger: {found['challenger']}", f"threshold: {found['threshold']}"]


def _tell_day(found: dict[str, Any]) -> str:
    parts = [PartOfADay.model_validate(one) for one in found["parts"]]
    bad = [part for part in parts if part.label != "good"]
    good = len(parts) - len(bad)
    return (
        f"{len(bad)} of {len(parts)} defective; escaped {sum(not one.with_loop for one in bad)} with, "
        f"{sum(not one.without for one in bad)} without; rejected of {good} good "
        f"{sum(one.with_loop for one in parts if one.label == 'good')} with, "
        f"{sum(one.without for one in parts if one.label == 'good')} without; {found['answered']} answers"
    )


def _tell_week(found: dict[str, Any]) -> str:
    return "; ".join(_notes(found))
