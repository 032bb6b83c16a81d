"""``python -m benchmarks.detectors``: train and evaluate detectors, seed by seed, as ``flawsmith`` does it.

On a data set (``--data``), whose test part is reported and never selected on, or on parts that are made up on the fly
(``--parts tile,label``), whose defects are drawn by other code than the flaws that detectors learn from.
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
from synth.parts import KINDS, make_parts

_QUICK_MINUTES = 0.6
"""Of training, for all detectors of a quick run together; the rest of its two minutes goes into measuring."""
_PARTS = {"good": 120, "test_good": 40, "defective": 60, "seed": 7}
_COLUMNS = ("image_auroc", "pixel_auroc", "aupro", "false_reject_rate", "escape_rate", "ms_per_image")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark.

    Args:
        arguments: Of the command line; by default those of the process.
    """
    options = _parse(arguments)
    with tempfile.TemporaryDirectory(prefix="flawsmith-benchmark-") as folder:
        data = [options.data] if options.data else [_make(Path(folder) / kind, kind) for kind in options.parts]
        runs = []
        for place in data:
            for detector in options.detectors:
                for seed in options.seeds:
                    runs.append(run(place, detector, seed, options.minutes))
                    _say(f"{detector} on {place.name}, seed {seed}: image AUROC {_shown_auroc(runs[-1])}")
    result = {
        "benchmark": "detectors",
        "data": [place.name for place in data],
        "made_up": _PARTS if options.parts else None,
        "minutes": options.minutes,
        "seeds": options.seeds,
        "quick": options.quick,
        "summary": [summarise(detector, runs, place.name) for place in data for detector in options.detectors],
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
        What ``learning.evaluation.evaluate`` measures, with ``data``, ``detector``, ``seed``, ``steps``, ``seconds``,
        and ``weights``: where the weights came from that training started from.
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
        known = {"data": data.name, "detector": detector, "seed": seed, "weights": bundle.manifest.weights}
        return {**known, "steps": bundle.manifest.steps, "seconds": seconds, **figures}


def summarise(detector: str, runs: Sequence[dict[str, Any]], data: str) -> dict[str, Any]:
    """Mean and standard deviation over the seeds.

    Args:
        detector: Whose runs.
        runs: All runs.
        data: On which data.

    Returns:
        ``data``, ``detector`` and, for each figure, ``{"mean", "std"}``; the deviation of a single run is None.
        ``lowest`` is the lower end of the image AUROC's interval, the lowest of all seeds.
    """
    own = [entry for entry in runs if (entry["detector"], entry["data"]) == (detector, data)]
    ends = [entry["image_auroc_interval"] for entry in own if entry.get("image_auroc_interval")]
    summary: dict[str, Any] = {"data": data, "detector": detector, "runs": len(own)}
    summary["weights"] = own[0]["weights"]
    summary["lowest"] = min((low for low, _ in ends if low is not None), default=None)
    for column in _COLUMNS:
        values = [entry[column] for entry in own if entry.get(column) is not None]
        if values:
            spread = statistics.stdev(values) if len(values) > 1 else None
            summary[column] = {"mean": statistics.fmean(values), "std": spread}
    return summary


def table(result: dict[str, Any]) -> Table:
    """Draw the summary."""
    drawn = Table(title=f"{', '.join(result['data'])}, {result['minutes']:g} minutes, seeds {result['seeds']}")
    for heading in ("data", "detector", "weights"):
        # Of what is too wide for a terminal, figures are cut first.
        drawn.add_column(heading, no_wrap=True, min_width=6)
    for heading in ("interval from", *_COLUMNS):
        drawn.add_column(heading.replace("_", " "), justify="right")
    for summary in result["summary"]:
        known = (summary["data"], summary["detector"], summary["weights"], _shown(summary["lowest"]))
        drawn.add_row(*known, *(_cell(summary.get(column)) for column in _COLUMNS))
    return drawn


def _make(folder: Path, kind: str) -> Path:
    return make_parts(folder, kind, **_PARTS)  # type: ignore[arg-type]


def _shown_auroc(figures: dict[str, Any]) -> str:
    low, high = figures.get("image_auroc_interval") or (None, None)
    return f"{_shown(figures['image_auroc'])} ({_shown(low)} to {_shown(high)})"


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
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--data", type=Path, help="data set with a labelled test part")
    where.add_argument("--parts", type=lambda text: text.split(","), default=[], help="kinds of made-up parts")
    parser.add_argument("--detectors", type=lambda text: text.split(","), default=["segment"], help="names, by commas")
    parser.add_argument("--minutes", type=float, default=10.0, help="of training, for each run")
    parser.add_argument("--seeds", type=lambda text: [int(seed) for seed in text.split(",")], default=[0, 1, 2])
    parser.add_argument("--json", action="store_true", help="print one object as the last line of stdout")
    parser.add_argument("--quick", action="store_true", help="one seed, half a minute: the same code, other figures")
    options = parser.parse_args(arguments)
    for name in options.detectors:
        if name not in DETECTORS:
            parser.error(f"no detector is called {name!r}; there are: {', '.join(sorted(DETECTORS))}")
    for kind in options.parts:
        if kind not in KINDS:
            parser.error(f"there are no parts of kind {kind!r}; there are: {', '.join(sorted(KINDS))}")
    if options.data and not options.data.exists():
        parser.error(f"{options.data} does not exist")
    if options.quick:
        runs = len(options.detectors) * max(1, len(options.parts))
        options.minutes = min(options.minutes, _QUICK_MINUTES / runs)
        options.seeds = options.seeds[:1]
    return options


if __name__ == "__main__":
    main()
