"""What the App's buttons do, by commands on files: ``flawsmith curate inspect, similar, why, mark`` and so on."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from integrations.cli.console import print_json, say
from integrations.cli.options import (
    DEFAULT_HOME,
    DEFAULT_LEDGER,
    HomeOption,
    JsonOption,
    LedgerOption,
    existing_ledger,
    here,
    known_image,
)

if TYPE_CHECKING:
    from curation.ledger import Ledger


class Said(StrEnum):
    """What can be said of an image."""

    GOOD = "good"
    DEFECT = "defect"
    WITHDRAWN = "withdrawn"


class Badness(StrEnum):
    """How bad a defect is."""

    CRITICAL = "critical"
    NOT_CRITICAL = "not critical"


ImageArgument = Annotated[Path, typer.Argument(metavar="IMAGE", help="An image that was scored.", show_default=False)]
ImagesArgument = Annotated[
    list[Path], typer.Argument(metavar="IMAGE...", help="Images that were scored.", show_default=False)
]
WhoOption = Annotated[str, typer.Option(metavar="NAME", help="Your name.", show_default="the user's")]


def inspect(
    images: ImagesArgument,
    ledger: LedgerOption = DEFAULT_LEDGER,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Send images to the inspectors; [bold]flawsmith review push[/bold] then brings them to Label Studio.

    Chosen by hand, their answers teach, but thresholds promise nothing from them.

    Example: [bold]flawsmith curate inspect line3/today/part_0042.png --ledger line3.db[/bold]
    """
    from curation.actions import send_to_inspection

    with _opened(ledger, images) as (opened, keys):
        sent = send_to_inspection(opened, keys)
    say(
        f"{len(sent.asked)} sent to inspection, {len(sent.waiting)} waiting already, "
        f"{len(sent.unscored)} never scored; next: flawsmith review push{here(ledger, home)}"
    )
    if as_json:
        print_json(asdict(sent))


def similar(
    image: ImageArgument,
    ledger: LedgerOption = DEFAULT_LEDGER,
    count: Annotated[int, typer.Option("--count", "-n", help="How many.", min=1)] = 25,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Find the images most like one, among all that its model has scored.

    Example: [bold]flawsmith curate similar part_0042.png -n 10[/bold]
    """
    from curation.lookalikes import find_more

    with _opened(ledger, [image]) as (opened, keys):
        found = find_more(opened, keys[0], count)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    for one in found:
        known = one.verdict or (one.decision and f"{one.decision} by the model") or "nothing known"
        typer.echo(f"{one.distance:.4f}  {one.path}  {known}")
    say(f"to have inspectors look at some of them: flawsmith curate inspect IMAGE...{here(ledger, home)}")


def why(
    image: ImageArgument,
    ledger: LedgerOption = DEFAULT_LEDGER,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Say why an image was rejected or accepted, with the nearest good part and the nearest confirmed defect.

    Example: [bold]flawsmith curate why part_0042.png[/bold]
    """
    from curation.lookalikes import why_decided

    with _opened(ledger, [image]) as (opened, keys):
        reasons = why_decided(opened, keys[0])
    if as_json:
        print_json(asdict(reasons))
    else:
        typer.echo(reasons.text)
        say(f"if it is otherwise: flawsmith curate mark good|defect {_named(image)}{here(ledger, home)}")


def mark(
    verdict: Annotated[Said, typer.Argument(help="withdrawn takes back what you marked.", show_default=False)],
    images: ImagesArgument,
    ledger: LedgerOption = DEFAULT_LEDGER,
    who: WhoOption = "",
    defect_class: Annotated[
        str | None, typer.Option("--kind", metavar="TEXT", help="Kind of defect.", show_default=False)
    ] = None,
    severity: Annotated[Badness | None, typer.Option(help="How bad it is.", show_default=False)] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Mark images as good or defect without being asked; it can be repeated, and taken back.

    Example: [bold]flawsmith curate mark defect part_0042.png --kind scratch --severity critical[/bold]
    """
    from curation.actions import mark as mark_images

    who = who or getuser()
    with _opened(ledger, images) as (opened, keys):
        count = mark_images(opened, keys, verdict.value, who, defect_class, severity.value if severity else None)
    say(escape(f"{count} marked as {verdict} by {who}, {len(set(keys)) - count} were so already"))
    say(f"the ledger has it; flawsmith curate sync{here(ledger, home)} brings it into FiftyOne")
    if as_json:
        print_json({"verdict": verdict.value, "who": who, "marked": count, "were_so": len(set(keys)) - count})


def spread(
    images: ImagesArgument,
    ledger: LedgerOption = DEFAULT_LEDGER,
    count: Annotated[int, typer.Option("--count", "-n", help="At most so many.", min=1)] = 200,
    distance: Annotated[
        float | None,
        typer.Option(
            help="How near, 0 to 2.", min=0.0, max=2.0, show_default="learnt from verdicts and unrelated images"
        ),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    r"""Propose to give the verdict of images to their near twins without one. Nothing is written.

    Look at them, and confirm with [bold]flawsmith curate mark[/bold]; paths go to stdout for it.

    Example: [bold]flawsmith curate spread part_0042.png | xargs -d '\n' flawsmith curate mark defect[/bold]
    """
    from curation.spreading import propose_twins

    with _opened(ledger, images) as (opened, keys):
        proposal = propose_twins(opened, keys, count, distance)
    if as_json:
        print_json(asdict(proposal))
        return
    for one in proposal.twins:
        typer.echo(one.path)
    say(escape(proposal.text))
    if proposal.twins:
        say(f"look at them, then: flawsmith curate mark {proposal.verdict} IMAGE...{here(ledger, home)}")


def version(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the version.", show_default=False)],
    images: Annotated[
        list[Path] | None, typer.Argument(metavar="IMAGE...", help="Which images.", show_default="all")
    ] = None,
    ledger: LedgerOption = DEFAULT_LEDGER,
    tag: Annotated[str | None, typer.Option(metavar="TEXT", help="Images with this tag.", show_default=False)] = None,
    assume_good: Annotated[
        bool, typer.Option("--assume-good", help="Take images about which nobody has said anything as good.")
    ] = False,
    who: WhoOption = "",
    note: Annotated[str, typer.Option(metavar="TEXT", help="What it is for; kept with it.")] = "",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Store a named list of images and what is confirmed of them, to train on. It never changes.

    [bold]flawsmith retrain sets[/bold] lists versions, [bold]retrain compare[/bold] says how two differ,
    [bold]retrain version[/bold] trains a model on one.

    Example: [bold]flawsmith curate version spring --tag "look again" --note "without lot 7"[/bold]
    """
    from curation.by_choice import make_version

    with _opened(ledger, images or []) as (opened, keys):
        wanted: set[str] | None = set(keys) if images else None
        if tag is not None:
            tagged = {row.image_id for row in opened.tags() if row.tag == tag}
            wanted = tagged if wanted is None else wanted & tagged
        chosen_by = " and ".join([f"tag {tag}"] * (tag is not None) + ["named one by one"] * bool(images)) or "all"
        chosen = make_version(opened, name, wanted, chosen_by, assume_good, who or getuser(), note)
    if as_json:
        print_json(asdict(chosen))
    say(escape(chosen.text))
    if chosen.unjudged:
        say(f"to have inspectors asked about those without a verdict: flawsmith review push{here(ledger, home)}")
    say(f"train on it: flawsmith retrain version {_named(name)} --out BUNDLE{here(ledger)}")


def source(
    images: ImagesArgument,
    ledger: LedgerOption = DEFAULT_LEDGER,
    who: WhoOption = "",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Choose images whose confirmed defects new flaws are made from, by [bold]flawsmith defects --chosen[/bold].

    What has no defect that inspectors agree about and marked is left out, and it says why.

    Example: [bold]flawsmith curate source part_0042.png[/bold]
    """
    from curation.actions import use_as_source

    with _opened(ledger, images) as (opened, keys):
        chosen = use_as_source(opened, keys, who or getuser())
    paths = dict(zip(keys, images, strict=True))
    for key, reason in chosen.left_out.items():
        say(f"[yellow]left out[/]: {escape(f'{paths[key]}: {reason}')}")
    say(escape(chosen.text))
    if chosen.taken:
        say(
            f"next: flawsmith defects --chosen --out BANK{here(ledger)}; "
            f"flawsmith curate sync{here(ledger, home)} shows the tag in FiftyOne"
        )
    if as_json:
        left_out = [{"image": str(paths[key]), "reason": reason} for key, reason in chosen.left_out.items()]
        print_json({"taken": [str(paths[key]) for key in chosen.taken], "left_out": left_out})


def kinds(
    ledger: LedgerOption = DEFAULT_LEDGER,
    tag: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Among images with this tag.", show_default="all")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Count confirmed defects by kind, the most frequent first (Pareto), and how many of each are critical.

    Example: [bold]flawsmith curate kinds --ledger line3.db[/bold]
    """
    from curation.defect_classes import kinds_of_defects

    with _opened(ledger, []) as (opened, _):
        tagged = None if tag is None else {row.image_id for row in opened.tags() if row.tag == tag}
        found = kinds_of_defects(opened, tagged)
    if as_json:
        print_json({"kinds": [asdict(one) | {"not_judged": one.not_judged} for one in found]})
        return
    if not found:
        say(f"no confirmed defect yet: flawsmith curate mark defect IMAGE{here(ledger)}")
    for one in found:
        judged = f"{one.critical} critical, {one.not_critical} not critical, {one.not_judged} not judged"
        typer.echo(f"{one.count:>6}  up to here {100 * one.cumulative:3.0f} %  {one.name}: {judged}")
    say(f"answers that were not fetched yet are not among them: flawsmith review pull{here(ledger, home)}")


def _named(argument: Path | str) -> str:
    return escape(shlex.quote(str(argument)))


@contextmanager
def _opened(ledger: str, images: list[Path]) -> Iterator[tuple["Ledger", list[str]]]:
    """The ledger, and what it calls these files."""
    existing_ledger(ledger)
    from curation.ledger import Ledger

    with Ledger.open(ledger) as opened:
        keys = [known_image(opened, image, ledger) for image in images]
        yield opened, keys


COMMANDS = (inspect, similar, why, mark, kinds, source, spread, version)
