"""``flawsmith synth``: flaws on good parts, with exact masks."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from integrations.cli.console import bar, say
from integrations.cli.options import BundleOption, SeedOption, existing_data
from integrations.cli.synth_report import ReportConfirmedOption, ReportLedgerOption, ReportOption, write_report


class Layout(StrEnum):
    """How the data set is laid out."""

    MVTEC = "mvtec"


def synth(
    images: Annotated[
        list[Path],
        typer.Argument(metavar="IMAGES...", help="Good parts: images or folders of images.", show_default=False),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder to write.", show_default=False)],
    n: Annotated[int, typer.Option("--n", "-n", help="Flawed images to make.", min=1)] = 100,
    layout: Annotated[Layout, typer.Option("--format", help="Layout of the data set.")] = Layout.MVTEC,
    families: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Flaw families, by commas.", show_default="all")
    ] = None,
    seed: SeedOption = 0,
    report: ReportOption = None,
    bundle: BundleOption = None,
    ledger: ReportLedgerOption = None,
    confirmed: ReportConfirmedOption = None,
) -> None:
    """Make flawed images from good ones, with the exact mask of every flaw and a manifest that replays them.

    Example: [bold]flawsmith synth photos/good --n 200 --out data/flawed --families scratch,blob[/bold]
    """
    for path in images:
        existing_data(path)
    from learning.images.readers import find_images
    from synth.dataset import write_dataset

    with bar("the same command goes on from there") as progress:
        write_dataset(
            find_images(images),
            out,
            count=n,
            seed=seed,
            format=layout.value,
            families=families.split(",") if families else None,
            progress=progress,
        )
    say(f"{n} flawed images are in [green]{out}[/] ({layout.value})")
    if report is not None:
        write_report(out, report, bundle, ledger, confirmed, seed)
