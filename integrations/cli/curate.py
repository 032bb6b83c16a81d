"""``flawsmith curate``: the ledger in FiftyOne, for the people who look at data."""

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from integrations.cli.console import bar, ends_with_ctrl_c, print_json, say
from integrations.cli.curate_images import COMMANDS
from integrations.cli.curate_import import import_
from integrations.cli.options import (
    DEFAULT_HOME,
    DEFAULT_LEDGER,
    Device,
    HomeOption,
    JsonOption,
    LedgerOption,
    existing_bundle,
    existing_data,
    existing_ledger,
    here,
    resolve_device,
)
from learning.errors import ConfigError

if TYPE_CHECKING:
    from curation.ledger import TagEventRow, TagRow

app = typer.Typer(
    no_args_is_help=True,
    help="See images, maps, scores and verdicts in FiftyOne.\n\nFiftyOne is a window: the ledger has everything, and "
    "what was lost here is made again by [bold]curate sync[/bold].",
)

for _command in COMMANDS:
    app.command()(_command)

app.command("import")(import_)

_FIRST = 5
"""Images that a check names on the terminal; its page has pictures of more."""

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
    who: Annotated[
        str,
        typer.Option(metavar="NAME", help="Who tagged samples in the App since the last sync; it does not know."),
    ] = "FiftyOne",
    as_json: JsonOption = False,
) -> None:
    """Bring FiftyOne up to date with the ledger, and tags that were set or taken away in the App into the ledger.

    It can be repeated: only what changed is written. Of a tag changed on both sides, what was done in the App counts.

    Example: [bold]flawsmith curate sync --ledger line3.db[/bold]
    """
    existing_ledger(ledger)
    if not who.strip():
        msg = "--who takes a name: tags are recorded in somebody's"
        raise ConfigError(msg)
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
        if model is not None and not opened.scores(model_id=model):
            shown = ", ".join(models_in_use(opened)) or "none"
            msg = f"the ledger has no scores of model {model!r}; in use: {shown}"
            raise ConfigError(msg)
        progress(0, 1, "starting FiftyOne")
        report = sync_dataset(opened, name, model, progress, who)
        problem = ""
        try:
            index_similarity(opened, name, model or models_in_use(opened), progress)
        except LedgerError as error:
            problem = str(error)
    if as_json:
        print_json(asdict(report) | {"name": name, "no_similarity": problem or None})
    say(
        f"data set [bold]{escape(name)}[/]: {report.added} added, {report.updated} updated, "
        f"{report.unchanged} unchanged, {report.removed} removed; "
        f"look at it with: flawsmith curate open --name {escape(shlex.quote(name))}{here(DEFAULT_LEDGER, home)}"
    )
    if report.others:
        one = len(report.others) == 1
        say(
            f"[yellow]{escape(name)} was not there and was made anew.[/] {escape(', '.join(report.others))} "
            f"{'shows' if one else 'show'} this ledger too: if {'it' if one else 'one of them'} was given that name in "
            f"the App, its new tags come by flawsmith curate sync --name {escape(shlex.quote(report.others[0]))}"
            f"{here(ledger, home)}"
        )
    if report.tags_set or report.tags_removed:
        changed = f"{report.tags_set} tags set, {report.tags_removed} taken away"
        say(f"from the App: {changed}; flawsmith curate tags{here(ledger, home)}")
    if report.missing:
        first = escape(str(report.missing[0]))
        say(f"[yellow]{len(report.missing)} image files are gone from the disk[/], the first is {first}")
    if problem:
        say(f"[yellow]no search by similarity:[/] {escape(problem)}")


@app.command()
def tags(
    ledger: LedgerOption = DEFAULT_LEDGER,
    tag: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Images with this tag.", show_default="all tags")
    ] = None,
    history: Annotated[
        bool, typer.Option("--history", help="Every time a tag was set or taken away, instead of those that are set.")
    ] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """List images by their tags: what the data team set in FiftyOne, what checks found, sources of flaws.

    Tags of the App are here from the next [bold]curate sync[/bold] on.

    Example: [bold]flawsmith curate tags --tag "look again" --json[/bold]
    """
    existing_ledger(ledger)
    from curation.ledger import Ledger

    known: Sequence[TagRow | TagEventRow]
    with Ledger.open(ledger) as opened:
        paths = {image.image_id: str(image.path) for image in opened.images()}
        known = opened.tag_events() if history else opened.tags()
    rows = [row for row in known if tag in (None, row.tag)]
    if as_json:
        print_json({"tags": [asdict(row) | {"image": paths[row.image_id]} for row in rows]})
        return
    if not rows:
        say("no image has " + (f"the tag {tag}" if tag else "a tag"))
    if not history:
        rows.sort(key=lambda row: (row.tag, paths[row.image_id]))
    for row in rows:
        done = "-" if getattr(row, "event", "set") == "removed" else "+" if history else " "
        said = f"{done} {row.tag}  {paths[row.image_id]}  {row.who}, {row.at:%Y-%m-%d %H:%M} UTC"
        typer.echo(said.strip())
    say(f"tags of the App are here once they were synced: flawsmith curate sync{here(ledger, home)}")


@app.command()
def synthetic(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A set that flawsmith synth wrote.", show_default=False)
    ],
    home: HomeOption = DEFAULT_HOME,
    name: NameOption = "flawsmith-synthetic",
    as_json: JsonOption = False,
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
        f"data set [bold]{escape(name)}[/]: {report.added} added, {report.unchanged} unchanged, "
        f"{report.removed} removed; look at it with: flawsmith curate open --name {escape(shlex.quote(name))}"
        f"{here(DEFAULT_LEDGER, home)}"
    )
    if as_json:
        print_json(asdict(report) | {"name": name})


@app.command()
def check(
    data: Annotated[
        Path, typer.Argument(metavar="DATA", help="Anything that train and score read.", show_default=False)
    ],
    bundle: Annotated[
        Path | None,
        typer.Option(
            metavar="BUNDLE",
            help="Its scores tell suspected defects, its embeddings near duplicates.",
            show_default="simple features",
        ),
    ] = None,
    groups: Annotated[
        str | None,
        typer.Option(metavar="FILE|REGEX", help="Which images belong together, as in train.", show_default=False),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="HTML", help="The report.")] = Path("quality.html"),
    ledger: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Tag the images there that have findings, as check:<kind>.",
            show_default=False,
        ),
    ] = None,
    false_alarms: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            help="How many ordinary pictures may be found, for each kind of finding.",
            min=1e-6,
            max=0.05,
        ),
    ] = 0.001,
    home: HomeOption = DEFAULT_HOME,
    device: Annotated[Device, typer.Option(help="For the bundle.")] = Device.AUTO,
    as_json: JsonOption = False,
) -> None:
    """Look for what is wrong with a data set before training. Nothing is moved, changed or deleted.

    Blur, exposure, damaged files, other sizes, duplicates, leaks between splits, imbalance, and suspected defects among
    the good. Stopped, it goes on where it was.

    Example: [bold]flawsmith curate check data/bracket --out quality.html[/bold]
    """
    existing_data(data)
    if bundle is not None:
        existing_bundle(bundle)
    if ledger is not None:
        existing_ledger(ledger)
    from curation.quality import KINDS, Cache, check_quality
    from integrations.report.place import check_page
    from integrations.report.quality import write_quality_report
    from learning.images.readers import list_data

    check_page(out)
    records = list_data(data, groups)
    loaded = None
    if bundle is not None:
        from learning.bundle import Bundle

        loaded = Bundle.load(bundle, device=resolve_device(device))
    with bar("run it again: it goes on from there") as progress, Cache(home / "quality.db") as cache:
        report = check_quality(records, cache, loaded, false_alarms, progress)
        progress(0, 1, "writing the report")
        write_quality_report(report, out, f"Quality of {data.resolve().name}")
    content = report.to_json() | {"data": str(data), "report": str(out)}
    if ledger is not None:
        from curation.ledger import Ledger
        from curation.quality.ledger_tags import tag_findings

        with Ledger.open(ledger) as opened:
            tagged = tag_findings(opened, report)
        content["ledger"] = {"tagged": tagged.tagged, "cleared": tagged.cleared, "unknown": tagged.unknown}
        say(f"ledger: {tagged.tagged} images tagged, {tagged.unknown} with findings are not in it")
    for kind, found in report.findings.items():
        say(f"{len(found):6d}  {KINDS[kind][0]}")
    if len(report.ranking) > 1:
        first = ", ".join(records[place].path.name for place in report.ranking[:_FIRST])
        say(f"        look at these first, they are least like the others: {escape(first)}")
    say(f"{len(records)} images looked at, nothing was changed; look at [bold]{escape(str(out))}[/]")
    if as_json:
        print_json(content)


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

    ends_with_ctrl_c()
    say("starting FiftyOne: half a minute, or minutes where the machine is busy")

    def tell(text: str) -> None:
        say(escape(text))

    with MongoServer(home / "fiftyone") as server:
        with bar() as progress:
            running = open_app(name, port, progress=progress)
        with server.kept_alive(tell), running:
            say(f"FiftyOne: [bold]{running.url}[/] (Ctrl-C ends it)")
            try:
                running.wait(tell)
            except KeyboardInterrupt:
                say("closed; nothing is lost")
