"""``python -m benchmarks.short_runs``: what a few minutes of training reach, by how many good images there are.

On made-up parts, or with ``--data`` on a data set, whose test part is reported and never selected on. The images of
fewer are among those of more. Held-out and calibration parts count as good images, as users count them.
"""

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from rich.table import Table

from benchmarks.console import say, show, start
from benchmarks.machine import describe_machine
from integrations.cli.console import bar
from learning.bundle import Bundle
from learning.config import TrainConfig
from learning.detectors import DETECTORS, Budget
from learning.errors import DataError
from learning.evaluation import evaluate
from learning.images.readers import read_data
from learning.images.records import ImageRecord
from learning.training import good_records, train_on_records
from synth.parts import KINDS, make_parts

_TESTED = {"test_good": 60, "defective": 90, "seed": 7}
_QUICK = {"test_good": 10, "defective": 12, "seed": 7}
_KEPT = ("image_auroc", "image_auroc_interval", "pixel_auroc", "false_reject_rate", "escape_rate")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark.

    Args:
        arguments: Of the command line; by default those of the process.
    """
    options = _parse(arguments)
    runs = []
    with tempfile.TemporaryDirectory(prefix="flawsmith-benchmark-") as folder:
        made = [
            make_parts(Path(folder) / kind, kind, good=max(options.images), **options.made) for kind in options.parts
        ]
        for data in [options.data] if options.data else made:
            for seed in options.seeds:
                records = read_data(data, seed=seed)
                for count in options.images:
                    found = run(few(records, count, seed), options.detector, seed, options.budget)
                    runs.append({"data": data.name, "good": count, "seed": seed, **found})
                    say(f"{data.name}, {count} good, seed {seed}: {_shown(runs[-1])}, {found['steps']} steps")
    result = {
        "benchmark": "short_runs",
        "detector": options.detector,
        "budget": str(options.budget),
        "quick": options.quick,
        "runs": runs,
        "load": list(os.getloadavg()),
        "machine": describe_machine(),
    }
    show(result, table(result), options.json)
    if options.plot:
        draw(result, options.plot)


def few(records: Sequence[ImageRecord], count: int, seed: int) -> list[ImageRecord]:
    """So many of the good images, taken by whole groups in an order drawn by the seed, and all that test.

    The last group is cut where it would be too many.

    Raises:
        DataError: If there are not so many.
    """
    good = good_records(records)
    groups = np.random.default_rng(seed).permutation(sorted({record.group for record in good})).tolist()
    place = {group: i for i, group in enumerate(groups)}
    ordered = sorted(good, key=lambda record: (place[record.group], record.path))
    if len(ordered) < count:
        msg = f"there are {len(ordered)} good images to train on, and not {count}: --images takes fewer"
        raise DataError(msg)
    return [*ordered[:count], *(record for record in records if record.split == "test")]


def run(records: Sequence[ImageRecord], detector: str, seed: int, budget: Budget) -> dict[str, Any]:
    """Train on the good ones of records and measure on those that test.

    Returns:
        ``steps``, ``train_images`` (of which the network learns), and figures of ``learning.evaluation.evaluate``.
    """
    with tempfile.TemporaryDirectory(prefix="flawsmith-benchmark-") as folder:
        out = Path(folder) / "bundle"
        with bar("benchmarks are not continued: run it again") as progress:
            train_on_records(
                records,
                out,
                config=TrainConfig(detector=detector),
                budget=budget,
                seed=seed,
                progress=progress,
            )
            bundle = Bundle.load(out)
            figures = evaluate(bundle, records, progress=progress)
        known = {"steps": bundle.manifest.steps, "train_images": bundle.manifest.images["train"]}
        return known | {name: figures[name] for name in _KEPT}


def table(result: dict[str, Any]) -> Table:
    """A row for each number of images, a column for the runs of each data set."""
    names = list(dict.fromkeys(one["data"] for one in result["runs"]))
    drawn = Table(title=f"{result['detector']}, {result['budget']}: image AUROC")
    drawn.add_column("good images", justify="right")
    for name in names:
        drawn.add_column(name, justify="right")
    for count in sorted({one["good"] for one in result["runs"]}):
        cells = [
            "\n".join(
                f"{_shown(one)}, {one['steps']} steps"
                for one in result["runs"]
                if (one["good"], one["data"]) == (count, name)
            )
            for name in names
        ]
        drawn.add_row(str(count), *cells)
    return drawn


def draw(result: dict[str, Any], file: Path) -> None:
    """Draw image AUROC, the mean over the seeds, over the number of good images; bars are the widest intervals."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6.4, 3.8), layout="constrained")
    counts = sorted({one["good"] for one in result["runs"]})
    for name in dict.fromkeys(one["data"] for one in result["runs"]):
        cells = [[one for one in result["runs"] if (one["data"], one["good"]) == (name, count)] for count in counts]
        mean = np.array([np.mean([one["image_auroc"] for one in cell]) for cell in cells])
        low = np.array([min(one["image_auroc_interval"][0] for one in cell) for cell in cells])
        high = np.array([max(one["image_auroc_interval"][1] for one in cell) for cell in cells])
        axes.errorbar(counts, mean, yerr=[mean - low, high - mean], marker="o", capsize=3, label=name)
    axes.set_xscale("log")
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.minorticks_off()
    axes.set_xlabel("good images")
    axes.set_ylabel("image AUROC, 95 %")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=130)
    pyplot.close(figure)


def _shown(one: dict[str, Any]) -> str:
    low, high = one["image_auroc_interval"]
    return f"{one['image_auroc']:.3f} ({low:.3f} to {high:.3f})"


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.short_runs",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, help="data set with a labelled test part, in place of made-up parts")
    parser.add_argument("--parts", nargs="+", choices=sorted(KINDS), default=["tile", "label", "fastener"])
    parser.add_argument("--images", type=int, nargs="+", default=[20, 50, 100, 571], help="good ones, of each run")
    parser.add_argument("--detector", choices=sorted(DETECTORS), default="segment")
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--minutes", type=float, default=2.0, help="of training, for each run")
    budget.add_argument("--steps", type=int, help="instead: a machine that is not free takes as many")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--plot", type=Path, help="picture to draw")
    parser.add_argument("--json", action="store_true", help="print one object as the last line of stdout")
    parser.add_argument("--quick", action="store_true", help="under two minutes: one kind, 20 and 30 images")
    options = parser.parse_args(arguments)
    if options.data and not options.data.exists():
        parser.error(f"{options.data} does not exist")
    if min(options.minutes, *options.images, options.steps or 1) <= 0:
        parser.error("--minutes, --steps and --images take numbers above 0")
    options.made = _TESTED
    if options.quick:
        options.parts, options.images, options.steps = options.parts[:1], [20, 30], options.steps or 5
        options.seeds, options.made = options.seeds[:1], _QUICK
    options.budget = Budget(steps=options.steps) if options.steps else Budget(minutes=options.minutes)
    return options


if __name__ == "__main__":
    start(main)
