"""``python -m benchmarks.scoring``: how fast a trained detector scores on one core, by runtime, and what that costs.

One thread, one image at a time, each way in a process of its own that may use one core; with ``--device cuda``, ways to
score on a GPU instead (``benchmarks.scoring_gpu``). AUROC is of the test part, which chooses nothing.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.table import Table

from benchmarks.console import show
from benchmarks.machine import describe_machine
from integrations.cli.console import bar
from learning.bundle import Bundle
from learning.config import TrainConfig
from learning.detectors import Budget
from learning.export.packages import tool_versions
from learning.export.record import Format, Precision
from learning.export.writing import ExportSettings, export_bundle
from learning.images.image_set import ImageSet
from learning.images.readers import read_data
from learning.images.records import GOOD
from learning.metrics import image_auroc
from learning.training import train_bundle
from synth.parts import KINDS, make_parts

_SIZE = 256
_PARTS = {"good": 120, "test_good": 60, "defective": 90}


@dataclass(frozen=True)
class Way:
    """A way to score.

    Attributes:
        name: In the table.
        export: What to export to; None scores with the bundle itself.
        precision: That torch computes in.
    """

    name: str
    export: ExportSettings | None = None
    precision: str = "fp32"


def ways(mirrored: bool, quick: bool = False) -> list[Way]:
    """All ways, the reference first; those without mirrored images only where the bundle uses them.

    Writing an export takes most of a quick run: there it is torch, and OpenVINO in INT8.
    """
    if quick:
        return [Way("torch fp32"), Way("openvino int8", ExportSettings(Format.OPENVINO, Precision.INT8))]
    found = [Way("torch fp32"), Way("torch bf16", precision="bf16")]
    for mirrors in (True, False)[: 1 + mirrored]:
        suffix = "" if mirrors else ", no mirrors"
        found += [
            Way(f"{runtime} {precision}{suffix}", ExportSettings(runtime, precision, mirrors))
            for runtime, precision in (
                (Format.ONNX, Precision.FP32),
                (Format.OPENVINO, Precision.FP32),
                (Format.OPENVINO, Precision.INT8),
            )
        ]
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark.

    Args:
        arguments: Of the command line; by default those of the process.
    """
    options = _parse(arguments)
    if options.device == "cuda":
        from benchmarks import scoring_gpu

        result = scoring_gpu.measure(options)
        show(result, scoring_gpu.tables(result), options.json)
        return
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="flawsmith-benchmark-") as folder:
        for seed in options.seeds:
            data = options.data or make_parts(Path(folder) / f"data-{seed}", options.kind, seed=seed, **options.parts)
            rows += measure(data, Path(folder) / f"run-{seed}", seed, options)
    result = {
        "benchmark": "scoring",
        "data": options.data.name if options.data else f"parts: {options.kind}",
        "size": _SIZE,
        "detector": options.detector,
        "budget": str(options.budget),
        "seeds": options.seeds,
        "quick": options.quick,
        "load": list(os.getloadavg()),
        "rows": rows,
        "machine": {**describe_machine(), "threads": 1, "export": tool_versions()},
    }
    show(result, table(result), options.json)


def measure(data: Path, folder: Path, seed: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Train one bundle, and score its test part in every way: a row for each."""
    with bar("benchmarks are not continued: run it again") as progress:
        bundle = options.bundle and Bundle.load(options.bundle)
        if bundle is None:
            config = TrainConfig(detector=options.detector, size=_SIZE)
            bundle = train_bundle(
                data, folder / "bundle", config=config, budget=options.budget, seed=seed, progress=progress
            )
        records = [
            one for one in read_data(data, seed=seed) if one.split == "test" and (one.label == GOOD or one.defective)
        ]
        images = ImageSet(records, bundle.preprocessing)
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "images.npy", images.batch(range(len(images))).numpy())
        defective = np.array([record.defective for record in records])
        rows: list[dict[str, Any]] = []
        reference: NDArray[np.float64] = np.empty(0)
        compared = ways(_mirrored(bundle), options.quick)
        for way in compared:
            target = bundle.folder
            if way.export is not None:
                target = folder / way.name.replace(" ", "-").replace(",", "")
                export_bundle(bundle, target, way.export, progress=progress)
            found = _score(target, folder / "images.npy", way.precision, options.timed)
            scores = np.array(found.pop("scores"))
            reference = scores if not rows else reference
            rows.append(
                {
                    "way": way.name,
                    "seed": seed,
                    "images": len(scores),
                    "shape": [bundle.preprocessing.channels, bundle.preprocessing.height, bundle.preprocessing.width],
                    "choices": bundle.manifest.choices,
                    **found,
                    "auroc": image_auroc(scores, defective),
                    "largest_score_difference": float(np.abs(scores - reference).max()),
                    "mean_score_difference": float(np.abs(scores - reference).mean()),
                    "model_mb": _model_bytes(target) / 1e6,
                }
            )
            progress(len(rows), len(compared), "measuring")
    return rows


def table(result: dict[str, Any]) -> Table:
    """Draw every row."""
    drawn = Table(title=f"{result['data']}, {result['size']} px, one core, one image at a time")
    headings = ("way", "seed", "p50 ms", "p99 ms", "CPU p50 ms", "AUROC", "largest Δ score", "peak MB", "model MB")
    for heading in headings:
        drawn.add_column(heading, justify="left" if heading == "way" else "right")
    for row in result["rows"]:
        drawn.add_row(
            row["way"],
            str(row["seed"]),
            *(f"{row[name]:.1f}" for name in ("ms_p50", "ms_p99", "cpu_ms_p50")),
            f"{row['auroc']:.4f}",
            f"{row['largest_score_difference']:.2g}",
            "–" if row["peak_mb"] is None else f"{row['peak_mb']:.0f}",
            f"{row['model_mb']:.2f}",
        )
    return drawn


def _mirrored(bundle: Bundle) -> bool:
    """Whether the detector averages over mirrored images: then leaving them out is another model."""
    shape = bundle.preprocessing
    image = torch.rand(1, shape.channels, shape.height, shape.width, generator=torch.Generator().manual_seed(0))
    scores = [bundle.detector.exportable(mirrors)(image)[0] for mirrors in (True, False)]
    return not torch.equal(*scores)


def _score(bundle: Path, images: Path, precision: str, timed: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.workers.scoring", str(bundle), str(images)]
    done = subprocess.run(
        [*command, "--precision", precision, "--timed", str(timed)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    if done.returncode:
        msg = f"scoring with {bundle.name} failed: {done.stderr.strip().splitlines()[-1]}"
        raise RuntimeError(msg)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _model_bytes(folder: Path) -> int:
    """Weights and graph, without what else a bundle keeps."""
    return sum(file.stat().st_size for file in folder.iterdir() if file.name.startswith(("model.", "weights.")))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scoring", description=__doc__)
    parser.add_argument("--data", type=Path, help="data set with a labelled test part; by default made-up parts")
    parser.add_argument("--bundle", type=Path, help="trained on --data: measured instead of training one")
    parser.add_argument("--kind", choices=sorted(KINDS), default="tile", help="of made-up parts")
    parser.add_argument("--detector", default="segment")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="cuda: ways to score on a GPU")
    parser.add_argument("--minutes", type=float, help="of training, for each seed: by default 5, on a GPU 0.2")
    parser.add_argument("--steps", type=int, help="of training, in place of minutes: a busy machine takes as many")
    parser.add_argument("--seeds", type=lambda text: [int(seed) for seed in text.split(",")], default=[0])
    parser.add_argument("--timed", type=int, default=300, help="images that each way is timed on")
    parser.add_argument("--compile-seconds", type=float, default=25.0, help="on a GPU: no more compiling after these")
    parser.add_argument("--json", action="store_true", help="print one object as the last line of stdout")
    parser.add_argument(
        "--quick", action="store_true", help="one seed, fewer parts, torch and INT8 alone: the same code, other figures"
    )
    options = parser.parse_args(arguments)
    for path in (options.data, options.bundle):
        if path is not None and not path.exists():
            parser.error(f"{path} does not exist")
    if options.bundle and not options.data:
        parser.error("--bundle takes the --data that it was trained on")
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: no CUDA device is available here")
    options.minutes = options.minutes or (0.2 if options.device == "cuda" else 5.0)
    options.parts = _PARTS
    if options.quick:
        options.minutes, options.timed = min(options.minutes, 0.2), 20
        options.seeds = options.seeds[:1]
        options.parts = {"good": 24, "test_good": 6, "defective": 8}
    options.budget = Budget(steps=options.steps) if options.steps else Budget(minutes=options.minutes)
    return options


if __name__ == "__main__":
    main()
