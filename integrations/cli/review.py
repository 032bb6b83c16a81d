"""``flawsmith review``: questions to the inspectors, and their verdicts."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from integrations.cli.console import bar, ends_with_ctrl_c, print_json, say
from integrations.cli.options import (
    DEFAULT_HOME,
    DEFAULT_LEDGER,
    BundleOption,
    HomeOption,
    JsonOption,
    LedgerOption,
    SeedOption,
    existing_ledger,
    here,
)
from learning.errors import ConfigError, DataError

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

app = typer.Typer(
    no_args_is_help=True,
    help="Ask inspectors about borderline parts in Label Studio, and fetch what they say.\n\nA Label Studio of "
    "your own is used if FLAWSMITH_LABEL_STUDIO_URL and FLAWSMITH_LABEL_STUDIO_TOKEN are set; else one runs here, "
    "while [bold]review serve[/bold] is open.",
)

ProjectOption = Annotated[str, typer.Option("--project", metavar="TITLE", help="Project in Label Studio.")]
DEFAULT_PROJECT = "flawsmith"
_WATCHED_EVERY = 2.0
"""Seconds between two looks at whether Label Studio still answers."""
_SHOWN = 10
_AGAIN = "run it again: nothing is lost and nothing is doubled"


@app.command()
def push(
    ledger: LedgerOption = DEFAULT_LEDGER,
    home: HomeOption = DEFAULT_HOME,
    bundle: BundleOption = None,
    budget: Annotated[int, typer.Option(help="Questions that may be open at once.", min=0)] = 40,
    batch: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only images scored under this name.", show_default="all")
    ] = None,
    strategy: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="What is preferred: mix (of all), borderline, diverse, disagreement, change, balance, or random.",
        ),
    ] = "mix",
    per_day: Annotated[
        int | None, typer.Option(metavar="N", help="Answers of one inspector in a day.", min=1, show_default="no limit")
    ] = None,
    inspectors: Annotated[
        int | None, typer.Option(metavar="K", help="How many they are, for --per-day.", min=1, show_default="1")
    ] = None,
    exposures: Annotated[
        bool, typer.Option("--exposures", help="Ask about all exposures of a part, not only the one that decides.")
    ] = False,
    overlap: Annotated[
        int | None,
        typer.Option(
            metavar="K",
            help="How many inspectors answer each question, of all in the project.",
            min=1,
            max=20,
            show_default="as before, at first 1",
        ),
    ] = None,
    gold: Annotated[
        int, typer.Option(help="Images with a known truth to have among the open questions; see review gold.", min=0)
    ] = 0,
    signed_pictures: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Show pictures by signed addresses of [bold]review backend[/bold], which answers at URL.",
            show_default="by Label Studio",
        ),
    ] = None,
    seed: SeedOption = 0,
    project: ProjectOption = DEFAULT_PROJECT,
    as_json: JsonOption = False,
) -> None:
    """Ask about borderline parts, a few clear ones and some at random. It can be repeated.

    What was chosen by hand ([bold]curate inspect[/bold]) and what a customer sent back ([bold]review add[/bold], until
    it is marked) comes first.

    Why each part was chosen and with which probability is written into the ledger first, so that estimates made from
    the answers are fair. Each question is sent once, however often this is run. Parts on which inspectors disagree or
    are unsure are asked about again, without saying who said what; they count nowhere until that settles them.

    With --per-day no more questions are open than the inspectors may still answer today. Label Studio Community assigns
    tasks to nobody, so that one inspector can answer what was meant for another: [bold]review status[/bold] shows who
    did.

    Example: [bold]flawsmith review push --budget 40 --per-day 30 --inspectors 2[/bold]
    """
    existing_ledger(ledger)
    if inspectors is not None and per_day is None:
        msg = "--inspectors says how many share --per-day; give that too, or leave both out"
        raise ConfigError(msg)
    from curation.defect_classes import known_classes
    from curation.gold import open_gold
    from curation.ledger import Ledger
    from curation.second_looks import open_second_looks
    from integrations.asking import Asking, top_up_each
    from integrations.daily import DailyBudget
    from integrations.label_studio.gallery import SignedPictures
    from integrations.label_studio.project import ensure_project, inspectors_of
    from integrations.label_studio.push import push as push_asks
    from integrations.label_studio.server import label_studio
    from integrations.recording import load_bundles

    with Ledger.open(ledger) as opened:
        signed = SignedPictures.of(opened.place, home, signed_pictures) if signed_pictures else None
        bundles = load_bundles(opened, bundle)
        daily = None if per_day is None else DailyBudget(per_day, inspectors or 1)
        # Before a server is started: a draw that cannot be made is a mistake.
        new = top_up_each(opened, bundles, Asking(budget, seed, batch, strategy, daily, exposures))
        with bar(_AGAIN) as progress, label_studio(*folders(home), progress) as client:
            number = ensure_project(client, project, overlap, known_classes(opened))
            again = open_second_looks(opened, inspectors_of(client, number))
            tests, missing = open_gold(opened, gold, seed)
            report = push_asks(opened, client, number, folders(home)[1], progress, signed=signed)
            address = _address(client, number)
    say(f"{new} new questions, {again} second looks, {len(tests)} gold items")
    if missing:
        say(f"[yellow]{missing} gold items are missing[/]: flawsmith review gold IMAGE --truth good|defect names more")
    say(f"{report.pushed} questions sent, {report.adopted} were there already; inspectors answer at [bold]{address}[/]")
    for line in report.unreadable:
        say(f"[yellow]not sent:[/] {line}")
    _hint_to_serve(home)
    if as_json:
        counts = {"questions": new, "second_looks": again, "gold": len(tests), "gold_missing": missing}
        print_json(counts | asdict(report) | {"address": address})


@app.command()
def pull(
    ledger: LedgerOption = DEFAULT_LEDGER,
    home: HomeOption = DEFAULT_HOME,
    project: ProjectOption = DEFAULT_PROJECT,
    everything: Annotated[bool, typer.Option("--everything", help="Read all answers, not only the new ones.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Fetch the verdicts that are new since the last time. It can be repeated.

    An answer that was changed in Label Studio becomes a new verdict; the old one stays on record.

    Example: [bold]flawsmith review pull[/bold]
    """
    existing_ledger(ledger)
    from curation.ledger import Ledger
    from integrations.label_studio.project import ensure_project
    from integrations.label_studio.pull import pull as pull_verdicts
    from integrations.label_studio.server import label_studio

    with (
        Ledger.open(ledger) as opened,
        bar(_AGAIN) as progress,
        label_studio(*folders(home), progress) as client,
    ):
        number = ensure_project(client, project)
        report = pull_verdicts(opened, client, number, home / "masks", progress, everything=everything)
    say(
        f"{report.new} new verdicts, {report.changed} changed, {report.withdrawn} withdrawn, {report.skipped} of them "
        f"skipped; next: flawsmith retrain{here(ledger)}"
    )
    for line in report.unreadable:
        say(f"[yellow]outline left out, its verdict kept[/]: {line}")
    if report.without_verdict:
        shown = ", ".join(str(task) for task in report.without_verdict[:_SHOWN])
        say(
            f"[yellow]{len(report.without_verdict)} answers name no verdict[/], as on a page that somebody changed, "
            f"and were left out; the page is as it was, answer them again: task {shown}"
        )
    if as_json:
        print_json(asdict(report))


@app.command()
def add(
    image: Annotated[
        Path, typer.Argument(metavar="IMAGE", help="Picture of a part that got through.", show_default=False)
    ],
    ledger: LedgerOption = DEFAULT_LEDGER,
    home: HomeOption = DEFAULT_HOME,
    mask: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where the defect is, white on black; it then is a source of flaws.",
            show_default=False,
        ),
    ] = None,
    defect: Annotated[str | None, typer.Option(metavar="KIND", help="Kind of defect.", show_default=False)] = None,
    who: Annotated[str, typer.Option(metavar="NAME", help="Who says that it is defective.")] = "customer",
    note: Annotated[str, typer.Option(help="Kept in the ledger: complaint, order.")] = "",
    part: Annotated[str | None, typer.Option(metavar="NAME", help="The part.", show_default="the picture")] = None,
    group: Annotated[
        str | None, typer.Option(metavar="NAME", help="What is not independent of it: a lot.", show_default="the part")
    ] = None,
    camera: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which camera took it.", show_default=False)
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Take it back: it is no case any more.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Add a defect that got through to a customer: every later challenger must reject it.

    It becomes a verdict, with a mask a source of flaws for the next training, and a regression case. The picture is
    copied into the home folder. Cases are kept apart from the estimates: they are no sample of what the line makes.

    Example: [bold]flawsmith review add complaint-17.png --mask complaint-17-mask.png --defect crack[/bold]
    """
    import shutil

    from curation.frozen import held_back_groups
    from curation.ledger import ImageEntry, Ledger, image_id_of
    from curation.ledger.files import sha256_of
    from curation.regressions import add_returned, withdraw_returned
    from learning.images.pixels import read_image, read_mask
    from learning.images.records import GOOD
    from learning.whole import whole

    pixels = read_image(image)
    if defect is not None and defect.strip().casefold() in ("", GOOD):
        msg = f"--defect {defect!r} is no kind of defect: leave it out where the kind is not known"
        raise ConfigError(msg)
    if mask is not None:
        marked = read_mask(mask, (pixels.shape[-2], pixels.shape[-1]))
        if marked.all():
            msg = f"mask {mask} marks all of the picture: the part that is good has to be black"
            raise DataError(msg)
        if not marked.any():
            say(f"[yellow]mask {mask} is empty[/]: nobody says where the defect is, as if there were no --mask")
            mask = None
    key = image_id_of(image)
    with Ledger.open(ledger) as opened:
        if undo:
            taken = withdraw_returned(opened, key)
            say(f"{image} is no case any more" if taken else f"{image} was no case: nothing was changed")
            if as_json:
                print_json({"image": str(image), "case": False, "changed": taken})
            return
        # Under its own name too: a challenger that misses it is refused by that.
        name = image.stem if image.stem.endswith(key[:8]) else f"{image.stem}-{key[:8]}"
        kept = home / "returned" / f"{name}{image.suffix.lower()}"
        copies = [(image, kept)]
        if mask is not None:
            # Another mask of the same picture must not take the place of one that a verdict names.
            drawn = kept.with_name(f"{key}-{sha256_of(mask)[:8]}_mask{mask.suffix.lower()}")
            copies.append((mask, drawn))
        for source, target in copies:
            # What is there may be a case already, by which challengers are judged meanwhile.
            if not (target.is_file() and sha256_of(target) == sha256_of(source)):
                with whole(target) as fresh:
                    shutil.copyfile(source, fresh)
        known = key in {row.image_id for row in opened.images()}
        entry = ImageEntry(kept, part or str(image), group or part or str(image), camera=camera)
        row = add_returned(opened, entry, who, None if mask is None else copies[1][1], defect, note)
        state = next(one.state for one in opened.resolved() if one.image_id == key)
        held = row.group in held_back_groups(opened)
    say(f"[green]{image}[/] is a regression case: every later challenger has to reject it")
    if known:
        say(f"the ledger knew the picture, as part {row.part} of group {row.group}")
    if state == "unresolved":
        say("[yellow]inspectors said otherwise[/]: until they agree it trains nothing; it is a case all the same")
    elif held:
        say("its group is held back for judging, so that it is no source of flaws")
    elif mask is None:
        say("without --mask it is no source of flaws for the next training")
    if as_json:
        print_json({"image": str(image), "case": True, "kept": str(kept), "known": known, "state": state, "held": held})


@app.command()
def serve(home: HomeOption = DEFAULT_HOME) -> None:
    """Keep Label Studio open on this machine until Ctrl-C, for inspectors to answer.

    Example: [bold]flawsmith review serve[/bold] in one terminal, push and pull in another.
    """
    import time

    from integrations.label_studio.server import LabelStudioServer

    ends_with_ctrl_c()
    server = LabelStudioServer(*folders(home))
    with bar("Label Studio was not up yet; the same command starts it") as progress:
        server.start(progress)
    with server:
        server.take_over()
        say(f"Label Studio: [bold]{server.url}[/], log in as {server.email} with {server.password} (Ctrl-C ends it)")
        try:
            while True:
                time.sleep(_WATCHED_EVERY)
                if not server.answers():
                    say("[yellow]Label Studio does not answer any more[/]; starting it again")
                    with bar() as progress:
                        server.start(progress)
                    say(f"Label Studio: [bold]{server.url}[/]")
        except KeyboardInterrupt:
            say("closed; answers that were not pulled yet are kept and pulled the next time")


def folders(home: Path) -> tuple[Path, Path]:
    """Data of our own Label Studio server, and the pictures that it shows."""
    return home / "label-studio", home / "pictures"


def _address(client: "LabelStudio", project: int) -> str:
    from integrations.label_studio.client import url_of

    return f"{url_of(client)}/projects/{project}"


def _hint_to_serve(home: Path) -> None:
    from integrations.label_studio.client import external_server

    if external_server() is None:
        say(f"it runs as long as this is open: [bold]flawsmith review serve --home {home}[/]")
