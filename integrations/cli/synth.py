"""``flawsmith synth``: flaws on good parts, with exact masks."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from integrations.cli.console import USER_MISTAKE, bar, say
from integrations.cli.options import BundleOption, SeedOption, existing_data
from integrations.cli.synth_report import (
    ReportConfirmedOption,
    ReportLedgerOption,
    ReportOption,
    find_real,
    write_report,
)
from learning.errors import DataError


class Format(StrEnum):
    """How the data set is laid out."""

    MVTEC = "mvtec"
    COCO = "coco"
    YOLO = "yolo"


def synth(
    images: Annotated[
        list[Path] | None,
        typer.Argument(metavar="IMAGES...", help="Good parts: images or folders of images.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Folder to write.", show_default=False)
    ] = None,
    n: Annotated[int, typer.Option("--n", "-n", help="Flawed images to make.", min=1)] = 100,
    layout: Annotated[
        Format,
        typer.Option(
            "--format",
            help="mvtec: test/ and ground_truth/ by family; coco: annotations.json; yolo: labels/ with polygons. "
            "images/, masks/ and manifest.parquet are always there.",
        ),
    ] = Format.MVTEC,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="YAML",
            help="Families with their ranges, severity, regions and sources; see configs/synthesis.yaml.",
            show_default=False,
        ),
    ] = None,
    families: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Flaw families, by commas.", show_default="all")
    ] = None,
    defects: Annotated[
        str | None,
        typer.Option(
            metavar="BANK|LEDGER",
            help="Confirmed defects to make flaws from: a bank that [bold]flawsmith defects[/bold] wrote, or a ledger.",
            show_default="none",
        ),
    ] = None,
    seed: SeedOption = 0,
    workers: Annotated[
        int | None,
        typer.Option(help="Images worked on at once; it changes no pixel.", min=1, show_default="processors, up to 4"),
    ] = None,
    verify: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Compare a set with its checksums; nothing is made.", show_default=False),
    ] = None,
    report: ReportOption = None,
    bundle: BundleOption = None,
    ledger: ReportLedgerOption = None,
    confirmed: ReportConfirmedOption = None,
) -> None:
    """Make flawed images from good ones, with the exact mask of every flaw and a manifest that replays them.

    A run that was stopped goes on with the same command, and a greater --n adds to what is there.

    Example: [bold]flawsmith synth photos/good --n 200 --out data/flawed --families scratch,blob[/bold]
    """
    if verify is not None:
        _verify(existing_data(verify))
        return
    if not images or out is None:
        msg = "name good parts and a folder: flawsmith synth IMAGES... --out DIR (or --verify DIR)"
        raise DataError(msg)
    for path in images:
        existing_data(path)
    if report is None and (bundle or confirmed):
        msg = f"{'--bundle' if bundle else '--confirmed'} is for the report; say where to write it with --report FILE"
        raise DataError(msg)
    from integrations.defects import defect_bank
    from learning.images.readers import find_images
    from synth.checking import CHECKSUMS
    from synth.configuration import read_config
    from synth.dataset import OVERVIEW, write_dataset
    from synth.settings import SynthesisSettings

    settings = read_config(config, SynthesisSettings) if config else SynthesisSettings()
    if families is not None:
        settings = settings.only([name.strip() for name in families.split(",") if name.strip()])
    for path in images:
        _refuse_mixed(path, out)
    real = find_real(report, bundle, ledger, confirmed) if report is not None else None
    place = defects or settings.sources.defects
    settings = settings.model_copy(update={"sources": settings.sources.model_copy(update={"defects": place})})
    bank, reasons = defect_bank(place) if place else (None, ())
    for reason in reasons:
        say(f"[yellow]left out[/]: {reason}")
    with bar("the same command goes on from there") as progress:
        made = write_dataset(
            find_images(images),
            out,
            count=n,
            settings=settings,
            defects=bank,
            seed=seed,
            format=layout.value,
            workers=workers,
            progress=progress,
        )
    if made.renewed:
        say(f"[yellow]lost or damaged[/]: {made.renewed} of the set's images, which were made anew as they had been")
    say(
        f"{made.images} flawed images with {made.flaws} flaws are in [green]{out}[/] ({layout.value}); "
        f"look at {OVERVIEW}, and check {CHECKSUMS} with: flawsmith synth --verify {out}"
    )
    if settings.foreground and made.whole:
        say(
            f"[yellow]on {made.whole} of {made.images} no part could be told from its background[/], so that flaws "
            "lie anywhere on them that regions allow; to confine them, set regions in --config"
        )
    if report is not None and real is not None:
        write_report(out, report, real, seed)


def _refuse_mixed(images: Path, out: Path) -> None:
    """Refuse a folder below which defective parts, or the flaws that are made, would pass for good parts.

    Raises:
        DataError: If it holds a data set with defects, or ``out``.
    """
    for good in (images / "train" / "good", images / "good"):
        if good.is_dir():
            msg = f"{images} is a data set, and may hold defective parts; name its good ones: {good}"
            raise DataError(msg)
    if images.is_dir() and images.resolve() in (out.resolve(), *out.resolve().parents):
        msg = f"{out} lies in {images}, where the next run would take flawed images for good parts; name another folder"
        raise DataError(msg)


def _verify(folder: Path) -> None:
    from synth.checking import verify_dataset

    problems = verify_dataset(folder)
    for problem in problems:
        say(f"[red]{problem}[/]")
    if problems:
        files = "1 file of the set is" if len(problems) == 1 else f"{len(problems)} files of the set are"
        say(f"{files} not as written: {folder}")
        raise typer.Exit(USER_MISTAKE)
    say(f"[green]{folder}[/] is as it was written")
