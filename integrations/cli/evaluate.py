"""``flawsmith evaluate``: how good a bundle is on parts whose truth is known."""

from pathlib import Path
from typing import Annotated, Any

import typer

from integrations.cli.console import bar, print_json, say
from integrations.cli.options import (
    BundleArgument,
    CameraOption,
    Device,
    JsonOption,
    existing_bundle,
    existing_data,
    resolve_device,
)
from learning.writable import check_writable


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
    camera: CameraOption = None,
    everything: Annotated[
        bool,
        typer.Option(
            "--all",
            help="Measure all of class folders or a CSV, where the bundle learnt from none of them. By default those "
            "are left out that would have trained it.",
        ),
    ] = False,
    pictures: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write a PNG or JPEG of each class: the highest and the lowest scores, with mask and map.",
            show_default=False,
        ),
    ] = None,
    device: Annotated[Device, typer.Option(help="Where to compute.")] = Device.AUTO,
) -> None:
    """Measure a bundle: how well it tells good from bad, and what its threshold does.

    The false-reject rate (good parts thrown away) and the escape rate (bad parts let through) are counted at the
    bundle's threshold, with 95 % intervals by group. Nothing is chosen on these images.

    Example: [bold]flawsmith evaluate runs/bracket data/bracket --pictures bracket.png[/bold]
    """
    existing_bundle(bundle)
    existing_data(data)
    if pictures is not None:
        check_writable(pictures)
    from learning.bundle import Bundle
    from learning.evaluation import evaluate as measure
    from learning.examples import Examples
    from learning.images.copies import join_copies
    from learning.images.readers import is_undivided, list_data, of_camera, with_split

    loaded = Bundle.load(bundle, device=resolve_device(device))
    listed = list_data(data, groups)
    undivided = is_undivided(listed)
    # The bundle's seed draws the same split as in training, so that no training image is ever measured on.
    records = join_copies(listed) if everything and undivided else with_split(listed, loaded.manifest.seed)
    records = of_camera(records, camera)
    left_out = sum(record.split == "train" for record in records) if undivided else 0
    if left_out:
        say(
            f"[yellow]left out:[/] {left_out} of {len(records)} images, which trained this bundle if it learnt from "
            f"{data}; --all measures all of one that it learnt nothing from"
        )
    examples = Examples(loaded.manifest.map_range) if pictures else None
    with bar() as progress:
        figures = measure(loaded, records, progress=progress, examples=examples) | {"n_left_out": left_out}
    if pictures and examples:
        examples.write(pictures, loaded.thresholds.current().value)
        say(f"pictures and maps: {pictures}")
    if as_json:
        print_json(figures)
    else:
        _print_table(figures)


def _print_table(figures: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row("images", f"{figures['n_good']} good, {figures['n_defective']} defective")
    table.add_row("image AUROC", _with_interval(figures, "image_auroc"))
    for name, value in figures["image_auroc_by_class"].items():
        escapes = figures["escape_rate_by_class"][name]["value"]
        table.add_row(f"  {name}", f"{_shown(value)}, escape rate {_shown(escapes)}")
    table.add_row("pixel AUROC", _shown(figures["pixel_auroc"]))
    table.add_row("AUPRO", _shown(figures["aupro"]))
    table.add_row("false-reject rate", _with_interval(figures, "false_reject_rate"))
    table.add_row("escape rate", _with_interval(figures, "escape_rate"))
    threshold = figures["threshold"]
    table.add_row("threshold", f"version {threshold['version']}, {_shown(threshold['value'])}: {threshold['promise']}")
    for row in figures.get("origins", []):
        name = f"  {threshold['by']} {row['name']}" if row["name"] else f"  no {threshold['by']} with its own"
        rates = ", ".join(
            f"{word} {_shown(row[rate]['value'])}"
            for word, rate in (("false-reject rate", "false_reject_rate"), ("escape rate", "escape_rate"))
        )
        table.add_row(name, f"{_shown(row['value'])}, {rates}: {row['promise']}")
    table.add_row("time", f"{_shown(figures['ms_per_image'])} ms an image")
    table.add_row("model", f"{figures['model']}, weights {figures['weights']}")
    Console().print(table, highlight=False)
    for failure in figures["failed"]:
        say(f"[red]not scored:[/] {failure['image']}: {failure['reason']}")


def _with_interval(figures: dict[str, Any], name: str) -> str:
    low, high = figures[f"{name}_interval"]
    return f"{_shown(figures[name])} (95 %: {_shown(low)} to {_shown(high)})"


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
