"""``flawsmith evaluate``: how good a bundle is on parts whose truth is known."""

from pathlib import Path
from typing import Annotated, Any

import typer

from integrations.cli.console import bar, print_json
from integrations.cli.options import BundleArgument, Device, JsonOption, existing_bundle, existing_data, resolve_device


def evaluate(
    bundle: BundleArgument,
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="Labelled images: the test part of an MVTec layout, class folders, or a CSV.",
            show_default=False,
        ),
    ],
    as_json: JsonOption = False,
    groups: Annotated[
        str | None,
        typer.Option(metavar="FILE|REGEX", help="Which images belong together, as in train.", show_default=False),
    ] = None,
    device: Annotated[Device, typer.Option(help="Where to compute.")] = Device.AUTO,
) -> None:
    """Measure a bundle: how well it tells good from bad, and what its threshold does.

    The false-reject rate (good parts thrown away) and the escape rate (bad parts let through) are counted at the
    bundle's threshold, with 95 % intervals by group. Nothing is chosen on these images.

    Example: [bold]flawsmith evaluate runs/bracket data/bracket --json[/bold]
    """
    existing_bundle(bundle)
    existing_data(data)
    from learning.bundle import Bundle
    from learning.evaluation import evaluate as measure
    from learning.images.readers import read_data

    loaded = Bundle.load(bundle, device=resolve_device(device))
    # The bundle's seed draws the same split as in training, so that no training image is ever measured on.
    records = read_data(data, groups=groups, seed=loaded.manifest.seed)
    with bar() as progress:
        figures = measure(loaded, records, progress=progress)
    if as_json:
        print_json(figures)
    else:
        _print_table(figures)


def _print_table(figures: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in figures.items():
        table.add_row(name.replace("_", " "), _shown(value))
    Console().print(table, highlight=False)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(entry)}" for name, entry in value.items())
    if isinstance(value, list | tuple):
        return " – ".join(_shown(entry) for entry in value)
    return str(value)
