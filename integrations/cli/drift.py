"""``flawsmith drift``: whether production still looks like what the model was calibrated on."""

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from integrations.cli.console import DRIFTING, bar, print_json, say
from integrations.cli.options import DEFAULT_LEDGER, CameraOption, JsonOption, LedgerOption, existing_ledger
from learning.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from curation.drift.states import CameraState

_LOTS_SHOWN = 3


class UnitOption(StrEnum):
    """What counts once."""

    PART = "part"
    LOT = "lot"


def drift(
    ledger: LedgerOption = DEFAULT_LEDGER,
    camera: CameraOption = None,
    lot: Annotated[
        str | None, typer.Option(metavar="NAME", help="Say how this lot looks, too.", show_default=False)
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Begin to watch there, e.g. after a repair: 2026-03-01 or 2026-03-01T06:00.",
            show_default="the first picture",
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="What would have been said then.", show_default="now"),
    ] = None,
    unit: Annotated[
        UnitOption,
        typer.Option(help="What counts once: [bold]lot[/bold] where lots ordinarily differ, which takes longer."),
    ] = UnitOption.PART,
    reference: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Compare with the first N parts (or lots) of each camera.",
            min=3,
            show_default="the parts that the model was calibrated on, where they can be compared",
        ),
    ] = None,
    false_alarms: Annotated[
        float,
        typer.Option(help="How likely it is, at most, that there is ever an alarm although nothing drifts."),
    ] = 0.05,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page with pictures.", show_default=False)
    ] = None,
    tag: Annotated[
        bool, typer.Option("--tag", help="Tag the pictures that show an alarm best, for FiftyOne's saved view.")
    ] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help=f"Leave with {DRIFTING} where there is an alarm, for schedulers.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Say of each camera and lot whether production still looks like what the model was calibrated on.

    Watched are brightness, contrast, sharpness, noise, colour, scores, embeddings, rejections and unsure answers. The
    rate of false alarms holds over all of them, all cameras and all times it is run: run it as often as you like.

    Example: [bold]flawsmith drift --ledger line3.db --report drift.html[/bold]
    """
    existing_ledger(ledger)
    if not 0 < false_alarms < 1:
        msg = f"--false-alarms is a probability between 0 and 1; got {false_alarms:g}"
        raise ConfigError(msg)
    begin, end = _time(since, "--since"), _time(until, "--until")
    if begin is not None and end is not None and begin >= end:
        msg = "--since is not before --until: nothing lies between"
        raise ConfigError(msg)
    from curation.drift.cameras import Rules
    from curation.drift.watch import watch_ledger
    from curation.ledger import Ledger

    if report:
        from integrations.report.place import check_page

        check_page(report)
    rules = Rules(false_alarms, "lot" if unit is UnitOption.LOT else "group", reference, begin)
    with Ledger.open(ledger) as opened, bar("run it again: what was measured is kept") as progress:
        states = watch_ledger(opened, rules, camera=camera, until=end, progress=progress)
        if tag:
            from curation.drift.tags import tag_pictures

            tagged = tag_pictures(opened, states)
    if lot is not None:
        _check_lot(lot, states)
    if report:
        from integrations.report.drift import write_drift_report

        write_drift_report(states, report, rules)
        say(f"report: {escape(str(report))}")
    if as_json:
        print_json(as_data(states, lot))
    else:
        _tell(states, lot)
    if tag and not as_json:
        show = f"flawsmith curate sync --ledger {escape(ledger)}"
        say(f"{tagged} pictures are tagged; bring them into FiftyOne with: {show}")
    if exit_code and any(state.drifting for state in states):
        raise typer.Exit(DRIFTING)


def as_data(states: "Sequence[CameraState]", lot: str | None = None) -> dict[str, Any]:
    """What is said, as plain data; without the curves."""
    from dataclasses import asdict

    return {
        "drift": any(state.drifting for state in states),
        "cameras": [
            {
                "camera": state.camera,
                "drift": state.drifting,
                "text": state.text,
                "advice": state.advice,
                "model": state.model_id,
                "unit": state.kind,
                "units": state.units,
                "reference": state.reference,
                "false_alarms": state.rate,
                "alarms": [asdict(found) for found in state.findings],
                "statistics": [
                    {
                        "statistic": one.statistic,
                        "values": one.count,
                        "reference": one.reference,
                        "evidence": one.evidence,
                        "before": _number(one.before),
                        "now": _number(one.now),
                        "fewest_until_alarm": one.fewest,
                    }
                    for one in state.states
                ],
                "lots": [asdict(one) for one in state.lots if lot is None or one.lot == lot],
                "notes": list(state.notes),
            }
            for state in states
        ],
    }


def _number(value: float) -> float | None:
    """JSON knows no NaN."""
    return value if value == value else None


def _tell(states: "Sequence[CameraState]", lot: str | None) -> None:
    for state in states:
        color = "bold red" if state.drifting else "yellow" if "not enough" in state.text else "green"
        say(f"[{color}]{escape(state.text)}[/]")
        for found in state.findings:
            by = f"{found.raised_at:%Y-%m-%d %H:%M} by {escape(found.raised_by)}"
            say(f"  {escape(found.statistic)}: raised {by}; shown best by:")
            for path in found.paths[:_LOTS_SHOWN]:
                say(f"    {escape(str(path))}")
        if state.advice:
            say(f"  [bold]to do:[/] {escape(state.advice)}")
        say(f"  compared with {escape(state.reference)}; at most {100 * state.rate:.3g} % false alarms, ever")
        for note in state.notes:
            say(f"  [yellow]note:[/] {escape(note)}")
        for one in state.lots:
            if one.lot == lot or (lot is None and one.drifting):
                moved = ", ".join(f"{name} {by:+.1f}" for name, by in one.moved.items())
                say(f"  lot {escape(one.lot)}: {one.units} parts, in standard deviations: {moved}")


def _check_lot(lot: str, states: "Sequence[CameraState]") -> None:
    known = {one.lot for state in states for one in state.lots}
    if lot not in known:
        shown = ", ".join(sorted(known)[:_LOTS_SHOWN]) + (", …" if len(known) > _LOTS_SHOWN else "") or "none is known"
        msg = f"no scored part is of lot {lot!r}; lots there are: {shown}"
        raise ConfigError(msg)


def _time(text: str | None, option: str) -> datetime | None:
    from curation.ledger.times import utc

    if text is None:
        return None
    try:
        return utc(text)
    except ValueError:
        msg = f"{option} {text}: write it as 2026-03-01 or 2026-03-01T06:00 (UTC, or with an offset)"
        raise ConfigError(msg) from None
