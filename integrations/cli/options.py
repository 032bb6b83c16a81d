"""Arguments and options that several commands share."""

import shlex
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from learning.errors import BundleError, DataError

if TYPE_CHECKING:
    from curation.ledger import Ledger


class Device(StrEnum):
    """Where to compute; ``auto`` takes the GPU where there is one."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


BundleArgument = Annotated[
    Path, typer.Argument(metavar="BUNDLE", help="Folder that [bold]flawsmith train[/bold] wrote.", show_default=False)
]
BundleOption = Annotated[
    Path | None,
    typer.Option(
        "--bundle",
        metavar="BUNDLE",
        help="The model.",
        show_default="the champion, or the one that scored last, by the ledger",
    ),
]
LedgerOption = Annotated[
    str,
    typer.Option(
        "--ledger",
        envvar="FLAWSMITH_LEDGER",
        metavar="URL",
        help="The record of images, scores and verdicts: a file (SQLite) or postgresql+psycopg://…",
    ),
]
HomeOption = Annotated[
    Path,
    typer.Option(
        "--home", envvar="FLAWSMITH_HOME", metavar="DIR", help="Where FiftyOne's and Label Studio's data are kept."
    ),
]
CameraOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Only images of this camera, by the column camera of a CSV: a station, a bundle.",
        show_default=False,
    ),
]
SeedOption = Annotated[int, typer.Option(help="Every random choice follows from it.", min=0)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else there.")]

DEFAULT_LEDGER = "flawsmith.db"
DEFAULT_HOME = Path("runs/home")


def here(ledger: str, home: Path = DEFAULT_HOME) -> str:
    """What a command that is suggested takes, to be about the same ledger and home folder; in Rich markup.

    Args:
        ledger: As it was given.
        home: Left at its default for commands that take none.
    """
    options = [("--ledger", ledger)] if ledger != DEFAULT_LEDGER else []
    options += [("--home", str(home))] if home != DEFAULT_HOME else []
    return escape("".join(f" {name} {shlex.quote(value)}" for name, value in options))


def existing_data(path: Path) -> Path:
    """Refuse a path that does not exist.

    Raises:
        DataError: If there is nothing at ``path``.
    """
    if not path.exists():
        msg = f"{path}: no such file or folder"
        raise DataError(msg)
    return path


def existing_bundle(path: Path) -> Path:
    """Refuse a folder that is no bundle.

    Raises:
        BundleError: If ``path`` does not hold a bundle.
    """
    if not (path / "bundle.json").is_file():
        msg = f"{path}: not a bundle (no bundle.json); make one with: flawsmith train DATA --out {path}"
        raise BundleError(msg)
    return path


def existing_ledger(url: str) -> str:
    """Refuse a ledger file that does not exist, rather than make an empty one.

    Raises:
        DataError: If ``url`` names a file and there is none.
    """
    if not is_there(url):
        plain = url.removeprefix("sqlite:///")
        msg = f"{plain}: no ledger there; make one with: flawsmith score BUNDLE IMAGES --ledger {plain}"
        raise DataError(msg)
    return url


def is_there(url: str) -> bool:
    """Whether there is a ledger; of a server it is taken for granted."""
    plain = url.removeprefix("sqlite:///")
    return "://" in plain or Path(plain).is_file()


def absolute_ledger(url: str) -> str:
    """The same ledger from whatever folder it is opened; of a server it is as it was."""
    plain = url.removeprefix("sqlite:///")
    return url if "://" in plain else str(Path(plain).resolve())


def resolve_device(device: Device) -> str:
    """Turn ``auto`` into what this machine has.

    Raises:
        DataError: If CUDA is asked for where there is none.
    """
    import torch

    if device is Device.CUDA and not torch.cuda.is_available():
        msg = "--device cuda: no CUDA device is available here; use --device cpu or auto"
        raise DataError(msg)
    if device is Device.AUTO:
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device.value


def known_image(ledger: "Ledger", image: Path, name: str) -> str:
    """What a ledger calls a file: by its content, or, where the file is gone, by where it was last seen.

    Args:
        ledger: Opened.
        image: The file.
        name: What the ledger is called on the command line.

    Raises:
        DataError: If the ledger does not know it.
    """
    from curation.ledger import LedgerError, image_id_of

    if not image.exists():
        row = ledger.find(image)
        if row is None:
            msg = f"{image}: no such file, and {name} has seen none there"
            raise DataError(msg)
        return row.image_id
    key = image_id_of(image)
    try:
        ledger.image(key)
    except LedgerError as error:
        msg = f"{image} is not in {name}: flawsmith score BUNDLE {image} --ledger {name}"
        raise DataError(msg) from error
    return key
