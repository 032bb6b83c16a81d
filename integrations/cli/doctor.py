"""``flawsmith doctor``: what is installed, which weights there are, which servers answer."""

import os
import platform
import shutil
import sys
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import typer

from integrations.cli.console import SOME_FAILED, print_json
from integrations.cli.options import DEFAULT_HOME, DEFAULT_LEDGER, HomeOption, JsonOption, LedgerOption
from learning.machine import available_cores

_PACKAGES = ("flawsmith", "torch", "torchvision", "timm", "kornia", "lightning", "faiss-cpu", "fiftyone", "sqlalchemy")
_PACKAGES_OF_SERVERS = ("label-studio-sdk", "psycopg")
_GIGABYTE = 1e9
_FREE_GIGABYTES_NEEDED = 2.0


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        area: What it belongs to: ``python``, ``compute``, ``export``, ``weights``, ``servers``, ``disk``.
        name: What was looked at.
        ok: True if it is as it should be, False if something will not work, None if it is only worth knowing.
        text: What was found and, if something is missing, what to do.
    """

    area: str
    name: str
    ok: bool | None
    text: str


def doctor(
    ledger: LedgerOption = DEFAULT_LEDGER,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Look at the installation: packages, weights, servers, disk.

    Leaves with 4 if something that the loop needs is missing.

    Example: [bold]flawsmith doctor --json[/bold]
    """
    findings = [*_python(), *_compute(), *_export(), *_weights(), *_servers(), *_storage(ledger, home)]
    if as_json:
        print_json({"ok": all(f.ok is not False for f in findings), "findings": [asdict(f) for f in findings]})
    else:
        _print_table(findings)
    if any(finding.ok is False for finding in findings):
        raise typer.Exit(SOME_FAILED)


def _python() -> list[Finding]:
    findings = [Finding("python", "python", sys.version_info >= (3, 11), platform.python_version())]
    for package in _PACKAGES + _PACKAGES_OF_SERVERS:
        try:
            findings.append(Finding("python", package, True, metadata.version(package)))
        except metadata.PackageNotFoundError:
            optional = package == "psycopg"
            text = "only needed for a ledger in PostgreSQL" if optional else "missing: run make env"
            findings.append(Finding("python", package, None if optional else False, text))
    return findings


def _compute() -> list[Finding]:
    import torch

    cores = available_cores()
    if torch.cuda.is_available():
        gpu = Finding("compute", "gpu", True, torch.cuda.get_device_name(0))
    else:
        gpu = Finding("compute", "gpu", None, "none; everything runs on the CPU")
    return [Finding("compute", "cpu", True, f"{cores} cores, {torch.get_num_threads()} threads used"), gpu]


def _export() -> list[Finding]:
    """What exported models are made with and run by; an optional part of the installation."""
    from learning.export.packages import PACKAGES, has_tensorrt, tool_versions

    versions = tool_versions()
    findings = [
        Finding("export", name, True, versions[name])
        if name in versions
        else Finding("export", name, None, "not installed; only needed for flawsmith export: make env")
        for name in PACKAGES
    ]
    text = "found by ONNX Runtime" if has_tensorrt() else "none here; models are exported to ONNX and OpenVINO"
    return [*findings, Finding("export", "tensorrt", True if has_tensorrt() else None, text)]


def _weights() -> list[Finding]:
    """Look for pretrained weights on disk; nothing is ever fetched."""
    hub = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface")) / "hub"
    folders = (hub, Path(os.environ.get("TORCH_HOME", Path.home() / ".cache" / "torch")) / "hub" / "checkpoints")
    found = [
        path.name for folder in folders if folder.is_dir() for path in folder.iterdir() if not path.name.startswith(".")
    ]
    if found:
        return [Finding("weights", "pretrained", True, ", ".join(sorted(found)[:5]))]
    text = "none on this machine; detector 'segment' needs none, 'glass' starts at random or from weights: FILE"
    return [Finding("weights", "pretrained", None, text)]


def _servers() -> list[Finding]:
    return [_mongod(), *_label_studio()]


def _label_studio() -> list[Finding]:
    """The server that the environment names, or the program that starts one."""
    from integrations.errors import ServerError
    from integrations.label_studio.client import connect, external_server
    from integrations.label_studio.server import find_program

    try:
        external = external_server()
        if external is None:
            return [Finding("servers", "label studio", True, f"{find_program()}, started when it is needed")]
        connect(*external)
    except ServerError as error:
        return [Finding("servers", "label studio", False, str(error))]
    return [Finding("servers", "label studio", True, f"{external[0]} answers")]


def _mongod() -> Finding:
    """Start the database behind FiftyOne in a folder that is thrown away, or ask the one that is named."""
    import pymongo

    from curation.errors import DatabaseError
    from curation.mongo import EXTERNAL_URI, MongoServer

    try:
        with TemporaryDirectory(prefix="flawsmith-doctor-") as folder, MongoServer(Path(folder)) as server:
            with pymongo.MongoClient[dict[str, Any]](server.uri) as client:
                version = client.server_info()["version"]
            whose = f"at {server.uri}" if os.environ.get(EXTERNAL_URI) else "of this installation starts and answers"
            return Finding("servers", "mongod", True, f"{version} {whose}")
    except DatabaseError as error:
        return Finding("servers", "mongod", False, str(error))


def _storage(ledger: str, home: Path) -> list[Finding]:
    there = home
    while not there.exists():
        there = there.absolute().parent
    free = shutil.disk_usage(there).free / _GIGABYTE
    disk = Finding("disk", "free space", free > _FREE_GIGABYTES_NEEDED, f"{free:.1f} GB free for {home}")
    plain = ledger.removeprefix("sqlite:///")
    if "://" in plain or Path(plain).is_file():
        text = plain
    else:
        text = f"{plain} does not exist yet; flawsmith score --ledger {plain} makes it"
    return [disk, Finding("disk", "ledger", None, text)]


def _print_table(findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.table import Table

    marks = {True: "[green]✓[/]", False: "[red]✗[/]", None: "[dim]·[/]"}
    table = Table(box=None, show_header=False, pad_edge=False)
    area = ""
    for finding in findings:
        table.add_row(
            "" if finding.area == area else f"[bold]{finding.area}[/]", marks[finding.ok], finding.name, finding.text
        )
        area = finding.area
    Console().print(table, highlight=False)
