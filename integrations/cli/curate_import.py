"""``flawsmith curate import``: labels that somebody made elsewhere become verdicts."""

from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from integrations.cli.console import bar, print_json, say
from integrations.cli.options import (
    DEFAULT_HOME,
    DEFAULT_LEDGER,
    HomeOption,
    JsonOption,
    LedgerOption,
    existing_data,
    is_there,
)
from integrations.formats import Format
from learning.errors import ConfigError, DataError

if TYPE_CHECKING:
    from curation.labels import Found, Imported

_SHOWN = 5


class Unannotated(StrEnum):
    """What an image without any annotation says."""

    SKIP = "skip"
    GOOD = "good"


def import_(
    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help="A file or folder, or a data set in FiftyOne.", show_default=False),
    ],
    kind: Annotated[
        Format,
        typer.Option(
            "--format", help="mvtec is also a folder for each class, or a CSV (image, label, mask, part, lot)."
        ),
    ] = Format.AUTO,
    ledger: LedgerOption = DEFAULT_LEDGER,
    home: HomeOption = DEFAULT_HOME,
    name: Annotated[
        str,
        typer.Option(metavar="NAME", help="Of the data set, for its verdicts' source.", show_default="the source's"),
    ] = "",
    who: Annotated[
        str,
        typer.Option(metavar="NAME", help="Who labelled it, where the labels do not say.", show_default="the data set"),
    ] = "",
    images: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where the pictures lie that a file names.", show_default="beside the file"),
    ] = None,
    good: Annotated[
        list[str] | None,
        typer.Option(
            "--good", metavar="CLASS", help="Class of good parts; repeatable.", show_default="good, ok, normal"
        ),
    ] = None,
    unannotated: Annotated[
        Unannotated, typer.Option(help="Whether an image without any annotation is good, or nobody has looked.")
    ] = Unannotated.SKIP,
    boxes: Annotated[
        bool, typer.Option("--boxes", help="Take boxes as masks; sources of flaws are then cut out by boxes.")
    ] = False,
    field: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Of labels in FiftyOne.", show_default="ground_truth, or the only one"),
    ] = None,
    groups: Annotated[
        str | None,
        typer.Option(metavar="FILE|REGEX", help="Which images belong together, as in train.", show_default=False),
    ] = None,
    random_sample: Annotated[
        bool,
        typer.Option(
            "--random-sample",
            help="The images are a simple random sample of what the line makes: thresholds may count them as one.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write nothing; say what would be taken, and what not.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Take over labels from MVTec AD's layout, COCO, YOLO, Label Studio or FiftyOne, as verdicts with their origin.

    Images are known by content, and added where the ledger does not know them. It can be repeated: what is there
    already is not taken again, and what was labelled anew since is a revision.

    Example: [bold]flawsmith curate import old/annotations.json --images old/pictures --dry-run[/bold]
    """
    if kind not in (Format.FIFTYONE, Format.AUTO):
        existing_data(Path(source))
    if images is not None:
        existing_data(images)
    from curation.labels import Origin, Reading, import_labels
    from curation.labels.label import GOOD_NAMES
    from curation.ledger import Ledger
    from curation.mongo import MongoServer
    from integrations.importing import format_of, name_of, read_labels

    kind = format_of(source) if kind is Format.AUTO else kind
    name = name or name_of(source, kind)
    origin = Origin(kind.value, name, who or name, random_sample)
    reading = Reading(tuple(good or GOOD_NAMES), unannotated is Unannotated.GOOD, boxes)
    with bar("run it again: it goes on from there") as progress, ExitStack() as stack:
        if kind is Format.FIFTYONE:
            progress(0, 1, "starting FiftyOne")
            stack.enter_context(MongoServer(home / "fiftyone"))
        found = read_labels(source, kind, reading, images, field, groups)
        if good and found.labels and not any(label.verdict == "good" for label in found.labels):
            msg = f"no image is of class {', '.join(good)}: --good takes the place of good, ok and normal"
            raise ConfigError(msg)
        if dry_run and not is_there(ledger):
            # Opening a ledger makes it, and nothing is to be written.
            ledger = str(Path(stack.enter_context(TemporaryDirectory())) / "empty.db")
        opened = stack.enter_context(Ledger.open(ledger))
        done = import_labels(opened, found, origin, home / "masks" / "imported", dry_run, progress)
    if as_json:
        print_json(_report(done, origin.source, dry_run))
    _tell(done, name, dry_run)
    if not (done.taken or done.known):
        msg = f"{name} gave no verdict: {_why_none(done, found)}"
        raise DataError(msg)


def _why_none(done: "Imported", found: "Found") -> str:
    if not done.refused:
        return "it holds no labels"
    reason, count = done.reasons.most_common(1)[0]
    return f"none of its {len(found.labels) + len(found.refused)} labels can be taken, {count} as: {reason}"


def _report(done: "Imported", source: str, dry_run: bool) -> dict[str, object]:
    return {
        "dry_run": dry_run,
        "source": source,
        "taken": dict(done.taken),
        "changed": done.changed,
        "known": done.known,
        "twice": done.twice,
        "images_added": done.images_added,
        "other_sources": dict(done.other_sources),
        "masks": dict(done.masks),
        "without_mask": done.without_mask,
        "refused": [{"image": one.what, "reason": one.reason} for one in done.refused],
        "reasons": dict(done.reasons),
    }


def _tell(done: "Imported", name: str, dry_run: bool) -> None:
    taken = ", ".join(f"{count} {verdict}" for verdict, count in sorted(done.taken.items())) or "none"
    would = "would be " if dry_run else ""
    say(
        f"{escape(name)}: verdicts {would}taken: {taken} ({done.changed} of them revise earlier ones); "
        f"{done.known} are in the ledger already, {done.twice} come twice; {done.images_added} images {would}added"
    )
    for shapes, count in sorted(done.masks.items()):
        say(f"{count} masks from {shapes}")
    if done.without_mask:
        say(f"{done.without_mask} defects have no mask: they teach as verdicts, and no flaws are made from them")
    for other, count in done.other_sources.most_common():
        say(
            f"[yellow]{count} of its images have verdicts {escape(other)}[/]: if that is this data set under another "
            "name, give --name as it was; else it counts as one inspector more"
        )
    for reason, count in done.reasons.most_common():
        examples = [one.what for one in done.refused if one.reason == reason][:_SHOWN]
        say(f"[yellow]{count} not taken:[/] {escape(reason)}: {escape(', '.join(examples))}{', …' * (count > _SHOWN)}")
