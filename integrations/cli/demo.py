"""``flawsmith demo``: the whole loop on a production line that is made up for it."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from integrations.cli.console import bar, page
from integrations.cli.options import SeedOption
from integrations.endings import INTERRUPTED
from learning.errors import ConfigError


class Inspector(StrEnum):
    """Who answers the questions."""

    SCRIPTED = "scripted"
    ME = "me"


def demo(
    inspector: Annotated[
        Inspector,
        typer.Option(help="scripted: answered through Label Studio's API; me: it waits until you have answered."),
    ] = Inspector.SCRIPTED,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="Folder for everything.", show_default="runs/demo, runs/month"),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Budget of the training.", min=0.05, show_default="5, of about 8 in all")
    ] = None,
    seed: SeedOption = 0,
    keep: Annotated[bool, typer.Option("--keep", help="Leave FiftyOne and Label Studio open until Ctrl-C.")] = False,
    month: Annotated[
        bool, typer.Option("--month", help="Simulate a month of production, with the loop and without.")
    ] = False,
    days: Annotated[int | None, typer.Option(help="Of the month.", min=1, max=99, show_default="28")] = None,
    steps: Annotated[int | None, typer.Option(help="Of each training in the month.", min=1, show_default="250")] = None,
) -> None:
    """Run the whole loop on made-up parts: learn, score, ask, answer, improve. Seven to nine minutes on two cores.

    A detector learns from good parts alone and scores a stream; the borderline parts go to an inspector in Label
    Studio; the answers move the threshold and train a fallback; a second stream, about which nobody was asked, shows
    what came of it. The servers listen on this machine only and are ended at the end.

    With --month no server is started: weeks of production, in which the light drifts and a new kind of defect appears,
    are decided on with the loop and without, and inspectors who err answer in the ledger.

    Example: [bold]flawsmith demo --inspector me[/bold], [bold]flawsmith demo --month[/bold]
    """
    own = {"--inspector": inspector is not Inspector.SCRIPTED, "--minutes": minutes is not None, "--keep": keep}
    wrong = own if month else {"--days": days is not None, "--steps": steps is not None}
    if given := [name for name, is_given in wrong.items() if is_given]:
        msg = f"{given[0]} is {'not for' if month else 'only for'} --month; leave it out"
        raise ConfigError(msg)
    from integrations.demo import run_demo
    from integrations.demo.month import MonthSettings, run_month

    with bar() as progress:
        try:
            if month:
                told = {"seed": seed, "days": days, "steps": steps}
                settings = MonthSettings.model_validate(
                    {key: value for key, value in told.items() if value is not None}
                )
                run_month(out or Path("runs/month"), settings, progress, page())
            else:
                run_demo(out or Path("runs/demo"), inspector.value, minutes, seed, progress, page(), keep=keep)
        except KeyboardInterrupt:
            # It has said itself how to go on.
            raise typer.Exit(INTERRUPTED) from None
