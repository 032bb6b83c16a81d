"""``flawsmith demo``: the whole loop on a production line that is made up for it."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from integrations.cli.console import INTERRUPTED, bar
from integrations.cli.options import SeedOption


class Inspector(StrEnum):
    """Who answers the questions."""

    SCRIPTED = "scripted"
    ME = "me"


def demo(
    inspector: Annotated[
        Inspector,
        typer.Option(help="scripted: answered through Label Studio's API; me: it waits until you have answered."),
    ] = Inspector.SCRIPTED,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for everything.")] = Path("runs/demo"),
    minutes: Annotated[
        float | None, typer.Option(help="Budget of the training.", min=0.05, show_default="5.7, of about 7 in all")
    ] = None,
    seed: SeedOption = 0,
    keep: Annotated[bool, typer.Option("--keep", help="Leave FiftyOne and Label Studio open until Ctrl-C.")] = False,
) -> None:
    """Run the whole loop on made-up parts: learn, score, ask, answer, improve. About seven minutes on two cores.

    A detector learns from good parts alone and scores a stream; the borderline parts go to an inspector in Label
    Studio; the answers move the threshold and train a fallback; a second stream, about which nobody was asked, shows
    what came of it. The servers listen on this machine only and are ended at the end.

    Example: [bold]flawsmith demo --inspector me[/bold]
    """
    from integrations.demo import run_demo

    with bar() as progress:
        try:
            run_demo(out, inspector.value, minutes, seed, progress, keep=keep)
        except KeyboardInterrupt:
            # It has said itself how to go on.
            raise typer.Exit(INTERRUPTED) from None
