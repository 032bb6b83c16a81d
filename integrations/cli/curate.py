"""``flawsmith curate``: the ledger in FiftyOne, for the people who look at data."""

from pathlib import Path
from typing import Annotated

import typer

from integrations.cli.console import bar, say
from integrations.cli.options import (
    DEFAULT_HOME,
    DEFAULT_LEDGER,
    HomeOption,
    LedgerOption,
    existing_data,
    existing_ledger,
)

app = typer.Typer(
    no_args_is_help=True,
    help="See images, maps, scores and verdicts in FiftyOne.\n\nFiftyOne is a window: the ledger has everything, and "
    "what was lost here is made again by [bold]curate sync[/bold].",
)

NameOption = Annotated[str, typer.Option(metavar="NAME", help="Name of the data set in FiftyOne.")]


@app.command()
def sync(
    ledger: LedgerOption = DEFAULT_LEDGER,
    home: HomeOption = DEFAULT_HOME,
    name: NameOption = "flawsmith",
    model: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Whose scores to show.", show_default="each image's latest"),
    ] = None,
) -> None:
    """Bring FiftyOne up to date with the ledger. It can be repeated: only what changed is written.

    Example: [bold]flawsmith curate sync --ledger line3.db[/bold]
    """
    existing_ledger(ledger)
    from curation.dataset import index_similarity
    from curation.dataset import sync as sync_dataset
    from curation.errors import LedgerError
    from curation.ledger import Ledger
    from curation.mongo import MongoServer
    from integrations.recording import models_in_use

    with (
        bar("run it again: it goes on from there") as progress,
        Ledger.open(ledger) as opened,
        MongoServer(home / "fiftyone"),
    ):
        progress(0, 1, "starting FiftyOne")
        report = sync_dataset(opened, name, model, progress)
        problem = ""
        try:
            index_similarity(opened, name, model or models_in_use(opened), progress)
        except LedgerError as error:
            problem = str(error)
    say(
        f"data set [bold]{name}[/]: {report.added} added, {report.updated} updated, {report.unchanged} unchanged, "
        f"{report.removed} removed; look at it with: flawsmith curate open --name {name}"
    )
    if report.missing:
        say(f"[yellow]{len(report.missing)} image files are gone from the disk[/], the first is {report.missing[0]}")
    if problem:
        say(f"[yellow]no search by similarity:[/] {problem}")


@app.command()
def synthetic(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A set that flawsmith synth wrote.", show_default=False)
    ],
    home: HomeOption = DEFAULT_HOME,
    name: NameOption = "flawsmith-synthetic",
) -> None:
    """Show a synthetic data set in FiftyOne, with family, severity and contrast of every flaw. It can be repeated.

    Example: [bold]flawsmith curate synthetic data/flawed[/bold]
    """
    existing_data(folder)
    from curation.mongo import MongoServer
    from curation.synthetic import import_synthetic

    with bar("run it again: it goes on from there") as progress, MongoServer(home / "fiftyone"):
        progress(0, 1, "starting FiftyOne")
        report = import_synthetic(folder, name, progress)
    say(
        f"data set [bold]{name}[/]: {report.added} added, {report.unchanged} unchanged, {report.removed} removed; "
        f"look at it with: flawsmith curate open --name {name}"
    )


@app.command("open")
def open_(
    home: HomeOption = DEFAULT_HOME,
    name: NameOption = "flawsmith",
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.", min=1024, max=65535)] = 5151,
) -> None:
    """Open FiftyOne on this machine until Ctrl-C.

    Example: [bold]flawsmith curate open[/bold], then http://127.0.0.1:5151 in a browser.
    """
    from curation.dataset import open_app
    from curation.mongo import MongoServer

    with MongoServer(home / "fiftyone"):
        with bar() as progress:
            progress(0, 1, "starting FiftyOne")
            running = open_app(name, port)
        with running:
            say(f"FiftyOne: [bold]{running.url}[/] (Ctrl-C ends it)")
            try:
                running.wait()
            except KeyboardInterrupt:
                say("closed; nothing is lost")
