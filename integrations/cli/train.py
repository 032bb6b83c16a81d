"""``flawsmith train``: from good parts to a bundle."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from integrations.cli.console import bar, say
from integrations.cli.options import CameraOption, Device, SeedOption, existing_data, resolve_device
from learning.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from learning.cleaning import Cleaned
    from learning.images.records import ImageRecord

DEFAULT_MINUTES = 10.0
_COARSE = 3.0
"""Pixels of a picture, along a side, for one that is seen, from which on a word is said."""
_SHOWN = 10
"""Suspected pictures that are named at the terminal."""


def train(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="Good parts: a folder of images, a folder of class folders with one called good, a folder laid out as "
            "MVTec AD, or a CSV (image, label, part, lot, camera, time).",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="BUNDLE", help="Folder to write.", show_default=False)],
    config: Annotated[
        Path | None, typer.Option(metavar="YAML", help="Configuration, as in configs/.", show_default=False)
    ] = None,
    detector: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="One of those in docs/detectors.md, or auto: candidates are tried, the best is taken.",
            show_default="segment",
        ),
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="Stop by itself within this time.", show_default="10")] = None,
    steps: Annotated[
        int | None,
        typer.Option(help="Train this many steps instead; the same seed then gives the same weights.", min=1),
    ] = None,
    seed: SeedOption = 0,
    device: Annotated[Device, typer.Option(help="Where to compute.")] = Device.AUTO,
    defects: Annotated[
        str | None,
        typer.Option(
            metavar="BANK|LEDGER",
            help="Confirmed defects to make flaws from: a bank that [bold]flawsmith defects[/bold] wrote, or a ledger.",
            show_default="none",
        ),
    ] = None,
    groups: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|REGEX",
            help="Which images belong together (exposures of one part, a lot): a CSV (image, group), its images "
            "named from DATA or from its own folder, or a pattern whose first bracket is the group. DATA/groups.csv is "
            "read by itself.",
            show_default=False,
        ),
    ] = None,
    camera: CameraOption = None,
    clean: Annotated[
        bool,
        typer.Option(
            "--clean",
            help="First look for defects hidden among the good parts, in 30 % of the time, and leave them out; they "
            "are listed in BUNDLE/card.md.",
        ),
    ] = False,
) -> None:
    """Learn what good parts look like. Only good training images are ever read, and confirmed defects if you give them.

    Some good parts are held back: they set the threshold, and what it promises is printed at the end.

    Example: [bold]flawsmith train photos/good --out runs/bracket --minutes 10[/bold]
    """
    from learning.calibration import far_above
    from learning.card import VIEWS
    from learning.config import AUTO, Clean, TrainConfig, load_config
    from learning.detectors import Budget, detector_class

    if minutes is not None and steps is not None:
        msg = "--minutes and --steps exclude each other: give one of them"
        raise ConfigError(msg)
    if minutes is not None and minutes <= 0:
        msg = f"--minutes must be above 0; got {minutes:g}"
        raise ConfigError(msg)
    existing_data(data)
    settings = load_config(config) if config else TrainConfig()
    if detector and detector != settings.detector:
        if detector != AUTO:
            detector_class(detector)
        settings = settings.model_copy(update={"detector": detector, "detector_config": {}})
    if clean and settings.clean is None:
        settings = settings.model_copy(update={"clean": Clean()})
    budget = Budget(steps=steps) if steps else Budget(minutes=minutes or DEFAULT_MINUTES)

    from integrations.defects import defect_bank
    from learning.bundle import MANIFEST
    from learning.images.copies import find_copies
    from learning.images.pixels import read_image
    from learning.images.readers import cameras_of, of_camera, read_data
    from learning.training import few_steps, good_records, train_bundle
    from synth.pictures import size_of

    records = read_data(data, groups=groups, seed=seed)
    cameras = cameras_of(records) if data.is_file() and camera is None else []
    if len(cameras) > 1:
        say(
            f"[yellow]{data} has {len(cameras)} cameras[/] ({', '.join(cameras)}): they get one model and one "
            f"threshold; a model for each is usually better: --camera {cameras[0]}"
        )
    good = good_records(of_camera(records, camera))
    _say_copies(find_copies(good))
    place = defects or settings.sources.defects
    settings = settings.model_copy(update={"sources": settings.sources.model_copy(update={"defects": place})})
    bank, reasons = defect_bank(place) if place else (None, ())
    for reason in reasons:
        say(f"[yellow]left out[/]: {reason}")
    if (out / MANIFEST).is_file():
        say(f"[yellow]{out} will be replaced[/] by a new bundle, its thresholds and fallbacks with it")
    with bar("the same command goes on from where training was") as progress:
        bundle = train_bundle(
            data,
            out,
            config=settings,
            budget=budget,
            seed=seed,
            device=resolve_device(device),
            groups=groups,
            camera=camera,
            defects=bank,
            progress=progress,
        )
    if bundle.manifest.cleaned:
        _say_suspects(bundle.manifest.cleaned, out)
    if bundle.manifest.auto:
        for line in bundle.manifest.auto.lines():
            say(line)
    few = few_steps(bundle.manifest)
    if few and steps is None:
        say(f"[yellow]{few}[/]; give more --minutes, or a computer with nothing beside it")
    shape = bundle.preprocessing
    say(f"each picture is seen as {VIEWS[shape.view]}, {shape.width} × {shape.height} pixels")
    pitch = shape.pitch(size_of(good[0].path))
    if pitch >= _COARSE and "window" not in settings.detector_config:
        say(
            f"[yellow]one of these stands for {pitch:.1f} × {pitch:.1f} of a picture[/]: a defect of less than some "
            f"{3 * pitch:.0f} pixels may not show; a larger size sees more (docs/small-defects.md)"
        )
    say(f"[green]{out}[/]: {bundle.thresholds.current().promise.text}")
    for image in far_above(bundle.calibration):
        lost = "" if shape.look(read_image(Path(image))).part_found else "no part was found in it, and "
        say(
            f"[yellow]look at[/] {image}: {lost}it scores far above the other good parts that were held back, so that "
            "defects may escape below it; if it is not good, or not as parts are photographed, take it out and train "
            "again"
        )


def _say_copies(families: "Sequence[Sequence[ImageRecord]]") -> None:
    if families:
        first, other = (record.path.name for record in families[0][:2])
        copies = sum(len(family) - 1 for family in families)
        say(
            f"[yellow]{copies} of the good images are exact copies[/] of others, as {other} is of {first}: what is "
            "promised counts each picture once; the same in other formats: flawsmith curate check"
        )


def _say_suspects(cleaned: "Cleaned", out: Path) -> None:
    say(cleaned.text())
    for one in cleaned.suspects[:_SHOWN]:
        say(f"  [yellow]look at[/] {one.image}: score {one.score:.4g}, usual is up to {one.limit:.4g}")
    if len(cleaned.suspects) > _SHOWN:
        say(f"  and {len(cleaned.suspects) - _SHOWN} more, listed in {out / 'card.md'}")
