"""Anomalib's detectors beside flawsmith's: the same images, minutes and threads, each in a process of its own.

Peers see whole pictures at one size, as anomalib shows them; flawsmith's detectors choose their view. Nothing is
downloaded: where a peer wants weights it starts from random ones, and the row says so.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from rich.table import Table

from benchmarks.peers import ROOT, peer_python
from benchmarks.synthesis import good_pictures, write_textures
from learning.images.readers import read_data
from learning.images.records import GOOD
from learning.intervals import group_bootstrap
from learning.metrics import image_auroc

PEERS: dict[str, str] = {
    "patchcore": "wide_resnet50_2 with random weights",
    "padim": "resnet18 with random weights",
    "efficient_ad": "a teacher with random weights; made-up parts in the place of ImageNet's pictures",
    "draem": "none needed; made-up parts in the place of DTD's textures",
    "glass": "wide_resnet50_2 from random weights, trained along; made-up parts in the place of DTD's textures",
}
"""Anomalib's detectors by name, and what each starts from here."""

_GRACE_S = 300.0
"""On top of thrice the minutes: what libraries take to load, and a method that cannot be stopped in the middle."""

_LOOK_S = 0.2

_COLUMNS = ("image_auroc", "interval", "steps", "minutes", "ms_per_image", "peak_mb", "size_mb", "weights")


@dataclass(frozen=True)
class Terms:
    """What is the same for all.

    Attributes:
        minutes: Of training, for flawsmith's detectors.
        peer_minutes: The same for peers.
        size: Side of the pictures that peers see.
        threads: Of torch, for each process.
        memory_gb: That a peer's process may take; one that needs more fails, and its row says so.
    """

    minutes: float
    peer_minutes: float
    size: int
    threads: int
    memory_gb: float


def compare(
    data: Path, detectors: Sequence[str], peers: Sequence[str], seed: int, terms: Terms, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Train and measure flawsmith's detectors and peers on one data set, one after another.

    Args:
        data: With ``train/good`` and a labelled test part.
        detectors: Flawsmith's.
        peers: Anomalib's, of ``PEERS``.
        seed: Of all of them.
        terms: What is the same for all.
        say: Told what has been measured.

    Returns:
        For each: ``data``, ``who``, ``detector``, ``seed``, ``image_auroc``, its ``interval``, ``steps``,
        ``minutes`` of training, ``ms_per_image``, ``peak_mb`` of the process, ``size_mb`` on disk, ``train_images`` and
        ``weights``;
        ``failed`` with the reason where there is no result.
    """
    python = peer_python()
    rows = []
    for name in detectors:
        rows.append(_own(data, name, seed, terms))
        say(_line(rows[-1]))
    with tempfile.TemporaryDirectory(prefix="flawsmith-peers-") as folder:
        textures = Path(folder) / "textures"
        textures.mkdir()
        write_textures(textures / "parts", good_pictures(terms.size, seed), seed)
        for name in peers:
            rows.append(_peer(python, data, name, seed, terms, textures))
            say(_line(rows[-1]))
    return rows


def peer_table(rows: Sequence[dict[str, Any]]) -> Table:
    """Draw the rows."""
    drawn = Table(title="flawsmith beside anomalib: the same images, minutes and threads; nothing downloaded")
    for heading in ("data", "detector", *_COLUMNS):
        text = heading in ("data", "detector", "weights")
        drawn.add_column(heading.replace("_", " "), justify="left" if text else "right")
    for row in rows:
        name = f"{row['who']} {row['detector']}"
        if row.get("failed"):
            drawn.add_row(row["data"], name, *["–"] * (len(_COLUMNS) - 1), row["failed"])
        else:
            drawn.add_row(row["data"], name, *(_cell(column, row[column]) for column in _COLUMNS))
    return drawn


def _line(row: dict[str, Any]) -> str:
    found = row.get("failed") or f"image AUROC {row['image_auroc']:.3f} ({_cell('interval', row['interval'])})"
    return f"{row['who']} {row['detector']} on {row['data']}, seed {row['seed']}: {found}"


def _cell(column: str, value: Any) -> str:
    if column == "interval":
        return f"{value[0]:.3f} to {value[1]:.3f}"
    if isinstance(value, float):
        return f"{value:.3f}" if column == "image_auroc" else f"{value:.1f}"
    return str(value)


def _own(data: Path, name: str, seed: int, terms: Terms) -> dict[str, Any]:
    known = {"data": data.name, "who": "flawsmith", "detector": name, "seed": seed}
    command = [sys.executable, "-m", "benchmarks.detectors", "--data", str(data), "--detectors", name, "--json"]
    command += ["--seeds", str(seed), "--minutes", str(terms.minutes)]
    done = _run(command, terms, terms.minutes)
    if isinstance(done, str):
        return {**known, "failed": done}
    answer, peak = done
    run = next(one for one in answer["runs"] if one["detector"] == name)
    return {
        **known,
        "image_auroc": run["image_auroc"],
        "interval": run["image_auroc_interval"],
        "steps": run["steps"],
        "minutes": run["seconds"] / 60,
        "ms_per_image": run["ms_per_image"],
        "peak_mb": peak,
        "size_mb": run["size_mb"],
        "train_images": run["train_images"],
        "weights": run["weights"],
    }


def _peer(python: Path, data: Path, name: str, seed: int, terms: Terms, textures: Path) -> dict[str, Any]:
    known = {"data": data.name, "who": "anomalib", "detector": name, "seed": seed, "weights": PEERS[name]}
    tested = [one for one in read_data(data) if one.split == "test" and (one.label == GOOD or one.defective)]
    job = {
        "detector": name,
        "data": str(data.resolve()),
        "test": [str(one.path.resolve()) for one in tested],
        "textures": str(textures),
        "size": terms.size,
        "minutes": terms.peer_minutes,
        "seed": seed,
        "threads": terms.threads,
        "memory_gb": terms.memory_gb,
    }
    file = textures.with_name(f"{name}.json")
    file.write_text(json.dumps(job))
    done = _run([str(python), "-m", "benchmarks.workers.anomalib_detectors", str(file)], terms, terms.peer_minutes)
    if isinstance(done, str):
        return {**known, "failed": done}
    answer, peak = done
    scores, defective = np.array(answer.pop("scores")), np.array([one.defective for one in tested])
    groups = [one.group for one in tested]
    return {
        **known,
        "image_auroc": image_auroc(scores, defective),
        "interval": list(group_bootstrap(lambda i: image_auroc(scores[i], defective[i]), groups, seed=seed)),
        "minutes": answer.pop("seconds") / 60,
        "peak_mb": peak,
        **answer,
    }


def _run(command: Sequence[str], terms: Terms, minutes: float) -> tuple[dict[str, Any], float] | str:
    """Run a process: the object that its last line is, and its highest memory in MB; or why there is none."""
    threads = str(terms.threads)
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "HF_HUB_OFFLINE": "1"}
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as answered:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=answered, stderr=said)
        ended = _wait(process, 3 * 60 * minutes + _GRACE_S, terms.memory_gb)
        if ended:
            return ended
        answered.seek(0)
        said.seek(0)
        lines, complaint = answered.read().splitlines(), said.read()
    if process.returncode or not lines:
        return f"failed: {(complaint.strip().splitlines() or ['without a word'])[-1][:200]}"
    answer = json.loads(lines[-1])
    return answer, answer["peak_mb"]


def _wait(process: subprocess.Popen[bytes], seconds: float, memory_gb: float) -> str:
    """Wait for a process; end one that takes too long or too much memory, and say so."""
    watched, deadline = psutil.Process(process.pid), time.monotonic() + seconds
    while process.poll() is None:
        with contextlib.suppress(psutil.NoSuchProcess):
            if watched.memory_info().rss > memory_gb * 1e9:
                return _end(process, f"needs more than {memory_gb:g} GB")
        if time.monotonic() > deadline:
            return _end(process, f"stopped after {seconds / 60:.0f} minutes")
        time.sleep(_LOOK_S)
    return ""


def _end(process: subprocess.Popen[bytes], why: str) -> str:
    process.kill()
    process.wait()
    return why
