"""``python -m benchmarks.detectors``: train and evaluate detectors, seed by seed, as ``flawsmith`` does it.

Figures on a data set's test part are reported, never selected on.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe_machine
from integrations.cli.console import bar
from learning.bundle import Bundle
from learning.config import TrainConfig
from learning.detectors import DETECTORS, Budget
from learning.evaluation import evaluate
from learning.images.readers import read_data
from learning.training import train_bundle

_QUICK_MINUTES = 0.6
"""Of training, for all detectors of a quick run together; the rest of its two minutes goes into measuring."""
_COLUMNS = ("image_auroc", "pixel_auroc", "aupro", "false_reject_rate", "escape_rate", "ms_per_image")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark.

    Args:
        arguments: Of the command line; by default those of the process.
    """
    options = _parse(arguments)
    runs = []
    for detector in options.detectors:
        for seed in options.seeds:
            runs.append(run(options.data, detector, seed, options.minutes))
            _say(f"{detector}, seed {seed}: image AUROC {_shown(runs[-1]['image_auroc'])}")
    result = {
        "benchmark": "detectors",
        "data": options.data.name,
        "minutes": options.minutes,
        "seeds": options.seeds,
        "quick": options.quick,
        "summary": [summarise(detector, runs) for detector in options.detectors],
        "runs": runs,
        "machine": describe_machine(),
    }
    Console(stderr=options.json).print(table(result))
    if options.json:
        sys.stdout.write(json.dumps(result, default=str) + "\n")


def run(data: Path, detector: str, seed: int, minutes: float, device: str = "cpu") -> dict[str, Any]:
    """Train one detector with one seed and measure it on the test part.

    Args:
        data: Data set with a labelled test part.
        detector: Its name.
        seed: Of the split and of the training.
        minutes: Of training, calibration included.
        device: ``cpu`` or ``cuda``.

    Returns:
        What ``learning.evaluation.evaluate`` measures, with ``detector``, ``seed``, ``steps`` and ``seconds``.
    """
    with tempfile.TemporaryDirectory(prefix="flawsmith-benchmark-") as folder:
        out = Path(folder) / "bundle"
        started = time.monotonic()
        with bar("benchmarks are not continued: run it again") as progress:
            train_bundle(
                data,
                out,
                config=TrainConfig(detector=detector),
                budget=Budget(minutes=minutes),
                seed=seed,
                device=device,
                progress=progress,
            )
            seconds = time.monotonic() - started
            # Loaded again, so that what is measured is what lies on disk.
            bundle = Bundle.load(out, device=device)
            figures = evaluate(bundle, read_data(data, seed=seed), progress=progress)
        return {"detector": detector, "seed": seed, "steps": bundle.manifest.steps, "seconds": seconds, **figures}


def summarise(detector: str, runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation over the seeds.

    Args:
        detector: Whose runs.
        runs: All runs.

    Returns:
        ``detector`` and, for each figure, ``{"mean", "std"}``; the deviation of a single run is None.
    """
    own = [entry for entry in runs if entry["detector"] == detector]
    summary: dict[str, Any] = {"detector": detector, "runs": len(own)}
    for column in _COLUMNS:
        values = [entry[column] for entry in own if entry.get(column) is not None]
        if values:
            spread = statistics.stdev(values) if len(values) > 1 else None
            summary[column] = {"mean": statistics.fmean(values), "std": spread}
    return summary


def table(result: dict[str, Any]) -> Table:
    """Draw the summary."""
    drawn = Table(title=f"{result['data']}, {result['minutes']:g} minutes, seeds {result['seeds']}")
    for heading in ("detector", *_COLUMNS):
        drawn.add_column(heading.replace("_", " "), justify="left" if heading == "detector" else "right")
    for summary in result["summary"]:
        drawn.add_row(summary["detector"], *(_cell(summary.get(column)) for column in _COLUMNS))
    return drawn


def _cell(figure: dict[str, float | None] | None) -> str:
    if figure is None:
        return "–"
    return _shown(figure["mean"]) + (f" ± {_shown(figure['std'])}" if figure["std"] is not None else "")


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _say(text: str) -> None:
    Console(stderr=True).print(text, highlight=False)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detectors", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data set with a labelled test part")
    parser.add_argument("--detectors", type=lambda text: text.split(","), default=["segment"], help="names, by commas")
    parser.add_argument("--minutes", type=float, default=10.0, help="of training, for each run")
    parser.add_argument("--seeds", type=lambda text: [int(seed) for seed in text.split(",")], default=[0, 1, 2])
    parser.add_argument("--json", action="store_true", help="print one object as the last line of stdout")
    parser.add_argument("--quick", action="store_true", help="one seed, half a minute: the same code, other figures")
    options = parser.parse_args(arguments)
    for name in options.detectors:
        if name not in DETECTORS:
            parser.error(f"no detector is called {name!r}; there are: {', '.join(sorted(DETECTORS))}")
    if not options.data.exists():
        parser.error(f"{options.data} does not exist")
    if options.quick:
        options.minutes = min(options.minutes, _QUICK_MINUTES / len(options.detectors))
        options.seeds = options.seeds[:1]
    return options


if __name__ == "__main__":
    main()
