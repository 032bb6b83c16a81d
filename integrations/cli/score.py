"""``flawsmith score``: decide about images."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from integrations.cli.console import SOME_FAILED, bar, say
from integrations.cli.options import (
    DEFAULT_HOME,
    CameraOption,
    Device,
    HomeOption,
    existing_bundle,
    existing_data,
    resolve_device,
)
from learning.errors import ConfigError, DataError
from learning.writable import check_writable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from curation.ledger import Ledger
    from integrations.recording import ScoredImage
    from learning.bundle import Bundle
    from learning.images.records import ImageRecord

CHAMPION = "champion"
CHALLENGER = "challenger"


def score(
    bundle: Annotated[
        Path,
        typer.Argument(
            metavar="BUNDLE",
            help="Folder that [bold]flawsmith train[/bold] wrote, or [bold]champion[/bold]: the model that the ledger "
            "says decides.",
            show_default=False,
        ),
    ],
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGES...",
            help="Images, folders of images, or a CSV (image, part, lot, camera, time).",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="CSV", help="Table to write.", show_default="stdout")
    ] = None,
    maps: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write anomaly maps as PNG.", show_default=False)
    ] = None,
    ledger: Annotated[
        str | None,
        typer.Option(
            envvar="FLAWSMITH_LEDGER",
            metavar="URL",
            help="Record everything there: a file (SQLite) or postgresql+psycopg://…",
            show_default=False,
        ),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    batch: Annotated[str, typer.Option(metavar="NAME", help="Name of these images in the ledger, e.g. a shift.")] = "",
    groups: Annotated[
        str | None,
        typer.Option(metavar="FILE|REGEX", help="Which images belong together, as in train.", show_default=False),
    ] = None,
    camera: CameraOption = None,
    device: Annotated[Device, typer.Option(help="Where to compute.")] = Device.AUTO,
    shadow: Annotated[
        Path | None,
        typer.Option(
            metavar="BUNDLE",
            help="Score with this model too, and record where it would have decided otherwise; it decides nothing. "
            "[bold]challenger[/bold] is the one that was judged last.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Score images and decide which parts are rejected. A part with several images gets one decision.

    Images that cannot be read, or that a CSV names and that are missing, are listed; the others are scored all the
    same, and the command leaves with 4. With [bold]--ledger[/bold] it can be stopped and run again: images that are
    recorded are not scored twice.

    Example: [bold]flawsmith score runs/bracket line3/today --out today.csv --ledger line3.db[/bold]
    """
    if (str(bundle) == CHAMPION or shadow is not None) and ledger is None:
        msg = "champion, challenger and --shadow are about what a ledger knows: give it with --ledger"
        raise ConfigError(msg)
    if str(bundle) != CHAMPION:
        existing_bundle(bundle)
    if shadow is not None and str(shadow) != CHALLENGER:
        existing_bundle(shadow)
    for path in images:
        existing_data(path)
    if out is not None:
        if out.is_dir():
            msg = f"--out {out} is a folder; give the table a name: {out / 'scores.csv'}"
            raise ConfigError(msg)
        check_writable(out)
    from contextlib import nullcontext

    from curation.ledger import Ledger
    from integrations.recording import score_images
    from learning.images.readers import of_camera

    records = of_camera(_read(images, groups), camera)
    compared = None
    with (
        Ledger.open(ledger) if ledger else nullcontext() as opened,
        bar("run it again: what is in the ledger is not scored twice" if ledger else "run it again") as progress,
    ):
        loaded = _load(bundle, opened, camera, resolve_device(device))
        map_paths = _below(maps, records) if maps else None
        result = score_images(loaded, records, maps=map_paths, ledger=opened, home=home, batch=batch, progress=progress)
        if shadow is not None and opened is not None:
            from integrations.shadow import run_shadow

            other = _load(shadow, opened, camera, resolve_device(device))
            compared = run_shadow(opened, loaded, other, records, result, batch, progress)
    _write(result.scored, out)
    rejected = len({image.part for image in result.scored if image.decision == "reject"})
    parts = len({image.part for image in result.scored})
    say(f"{len(result.scored)} images of {parts} parts: {rejected} rejected ({result.threshold.words})")
    if result.threshold.origins is not None and result.shared:
        by = result.threshold.origins.by
        say(f"{result.shared} images are of no {by} with a value of its own: the shared value decided about them")
    if compared is not None:
        say(f"in the shadow: {compared.text()}")
    review = len({image.part for image in result.scored if image.review})
    if review:
        say(f"{review} of those rejected are for a person to decide ([bold]review[/] in the table)")
    lost = [image for image in result.scored if image.part_found is False]
    if lost:
        say(f"[yellow]no part found in {len(lost)} images[/], which were scored whole; the first is {lost[0].image}")
    for failure in result.failures:
        say(f"[red]not scored:[/] {failure.record.path}: {failure.reason}")
    if result.failures:
        raise typer.Exit(SOME_FAILED)


def _load(bundle: Path, ledger: "Ledger | None", camera: str | None, device: str) -> "Bundle":
    """A bundle by its folder, or the champion or challenger that a ledger knows."""
    from integrations.succession import latest_challenger, load_model, no_champion
    from learning.bundle import Bundle

    if ledger is None or str(bundle) not in (CHAMPION, CHALLENGER):
        return Bundle.load(bundle, device=device)
    if str(bundle) == CHALLENGER:
        return latest_challenger(ledger, camera or "", device)
    row = ledger.champion(camera or "") or ledger.champion()
    if row is None:
        raise DataError(no_champion(camera or "", {one.camera for one in ledger.champions()}))
    return load_model(ledger, row.model_id, device)


def _read(images: list[Path], groups: str | None) -> list["ImageRecord"]:
    """Records of all images, in folders of any layout; a table says what else is known of them.

    Raises:
        DataError: If there are none, or a table or what belongs together is wrong.
    """
    from learning.images.groups import apply_groups
    from learning.images.readers import find_images, images_below, read_data
    from learning.images.records import GOOD, ImageRecord
    from learning.images.tables import list_table

    records: dict[Path, ImageRecord] = {}
    empty: list[Path] = []
    for path in images:
        # A camera that had nothing to take pictures of must not keep those of others from being scored.
        below = images_below(path) if path.is_dir() else [path]
        if not below:
            empty.append(path)
            continue
        if path.suffix.lower() == ".csv":
            # A file that is gone by now is listed as not scored, as one that cannot be read.
            found = apply_groups(list_table(path), path.parent, groups, by_itself=False)
        elif (path / "train" / GOOD).is_dir():  # a data set, its masks aside
            found = read_data(path, groups=groups)
        else:
            # Any folders will do: what is scored has no classes, and its folders may be lots, or days.
            found = [ImageRecord(path=image) for image in below]
            if path.is_dir():
                found = apply_groups(found, path, groups)
        records |= {record.path: record for record in found}
    if not records:
        find_images(images)  # says what it looked for
    for path in empty:
        say(f"[yellow]no images in[/] {path}")
    return list(records.values())


def _below(folder: Path, records: "Sequence[ImageRecord]") -> dict[Path, Path]:
    """A map for each image, below ``folder`` as the images are below the folder that they share."""
    absolute = [record.path.absolute() for record in records]
    shared = Path(os.path.commonpath([path.parent for path in absolute])) if absolute else Path()
    targets = [folder.absolute() / path.relative_to(shared).with_suffix(".png") for path in absolute]
    if len(set(targets)) < len(targets):  # a.png and a.jpg
        targets = [target.with_name(f"{path.name}.png") for target, path in zip(targets, absolute, strict=True)]
    return {record.path: target for record, target in zip(records, targets, strict=True)}


def _write(scored: "Sequence[ScoredImage]", out: Path | None) -> None:
    import csv
    import sys
    from contextlib import nullcontext
    from dataclasses import asdict, fields

    from integrations.recording import ScoredImage

    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", newline="") if out else nullcontext(sys.stdout) as stream:
        table = csv.DictWriter(stream, [field.name for field in fields(ScoredImage)])
        table.writeheader()
        table.writerows(asdict(image) for image in scored)
