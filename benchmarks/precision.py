"""``python -m benchmarks.precision``: is training in bfloat16 faster here than in float32, and does it learn as much?

``learning.loop.precision`` takes bfloat16 where the processor says it computes in it. Here the default detector is
trained in both, in turn, for the same steps with the same seeds, and judged on made-up parts, whose defects no flaw
family draws; with ``--data`` on held-out good parts with such defects on their pictures. A test part is never read.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any
from unittest.mock import patch

import torch
from rich.table import Table

from benchmarks import choice
from benchmarks.console import say, show, start
from benchmarks.exam import Exam
from benchmarks.machine import describe_machine
from benchmarks.options import add_exams, check_exams, make_exams
from learning.config import TrainConfig
from learning.loop import precision

_PRECISIONS = ("32-true", "bf16-mixed")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark.

    Args:
        arguments: Of the command line; by default those of the process.
    """
    options = _parse(arguments)
    before = torch.get_num_threads()
    runs = []
    with tempfile.TemporaryDirectory(prefix="flawsmith-benchmark-") as made:
        for exam in make_exams(Path(made), options):
            for threads in options.threads or [before]:
                torch.set_num_threads(threads)
                for seed in options.seeds:
                    for name in _PRECISIONS:
                        runs.append(run(exam, name, seed, options.steps) | {"threads": threads})
                        say(f"{exam.name}: {name}, {threads} threads, seed {seed}: {_text(runs[-1])}")
    torch.set_num_threads(before)
    result = {
        "benchmark": "precision",
        "taken": precision("cpu"),
        "seeds": options.seeds,
        "steps": options.steps,
        "quick": options.quick,
        "summary": summarise(runs),
        "runs": runs,
        "load": list(os.getloadavg()),
        "machine": describe_machine(),
    }
    show(result, table(result), options.json)


def run(exam: Exam, name: str, seed: int, steps: int) -> dict[str, Any]:
    """Train the default detector in one precision, and judge it.

    Returns:
        As ``benchmarks.choice.run``, the precision as ``configuration``; with ``precision``, that the report gives, and
        ``cpu_seconds``, of all cores and threads, synthesis and what is before the first step included.
    """
    began = time.process_time()
    with patch("learning.loop.precision", lambda _device: name):
        detector, report = choice.fit(exam, TrainConfig(), seed, steps, None)
    cpu = time.process_time() - began
    return choice.judge(exam, name, detector, report, seed) | {"precision": report.precision, "cpu_seconds": cpu}


def summarise(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each exam and number of threads: what bfloat16 saves, and what it costs.

    Returns:
        ``exam``, ``threads``, ``faster`` and ``faster_cpu`` (time of float32 over that of bfloat16, wall-clock and of
        all cores; median over the seeds), ``image_auroc`` by precision (means), ``difference`` (bfloat16 less
        float32, mean) and ``difference_std`` (over the seeds; None for one).
    """
    found: dict[tuple[str, int], dict[str, list[dict[str, Any]]]] = {}
    for one in runs:
        found.setdefault((one["exam"], one["threads"]), {}).setdefault(one["configuration"], []).append(one)
    rows = []
    for (exam, threads), by_name in found.items():
        pairs = list(zip(*(by_name[name] for name in _PRECISIONS), strict=True))
        differences = [half["image_auroc"] - whole["image_auroc"] for whole, half in pairs]
        rows.append(
            {
                "exam": exam,
                "threads": threads,
                "faster": median(whole["seconds"] / half["seconds"] for whole, half in pairs),
                "faster_cpu": median(whole["cpu_seconds"] / half["cpu_seconds"] for whole, half in pairs),
                "image_auroc": {name: fmean(one["image_auroc"] for one in by_name[name]) for name in _PRECISIONS},
                "difference": fmean(differences),
                "difference_std": stdev(differences) if len(differences) > 1 else None,
            }
        )
    return rows


def table(result: dict[str, Any]) -> Table:
    """Draw the summary."""
    title = f"{result['steps']} steps, seeds {result['seeds']}; {result['taken']} is taken on this processor"
    drawn = Table(title=title)
    headings = ("parts", "threads", "float32 AUROC", "bfloat16 AUROC", "difference", "times as fast", "by CPU time")
    for heading in headings:
        drawn.add_column(heading, justify="left" if heading == "parts" else "right")
    for row in result["summary"]:
        spread = "" if row["difference_std"] is None else f" ± {row['difference_std']:.3f}"
        drawn.add_row(
            row["exam"],
            str(row["threads"]),
            *(f"{row['image_auroc'][name]:.3f}" for name in _PRECISIONS),
            f"{row['difference']:+.3f}{spread}",
            f"{row['faster']:.2f}",
            f"{row['faster_cpu']:.2f}",
        )
    return drawn


def _text(one: dict[str, Any]) -> str:
    per_step = 1000 / max(1, one["steps"])
    return (
        f"image AUROC {one['image_auroc']:.3f}, {per_step * one['seconds']:.0f} ms a step, "
        f"{per_step * one['cpu_seconds']:.0f} of the processor's"
    )


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.precision",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_exams(parser)
    parser.add_argument("--steps", type=int, default=150, help="of each training")
    parser.add_argument("--threads", type=int, nargs="+", help="of torch; by default as many as it takes by itself")
    options = parser.parse_args(arguments)
    check_exams(parser, options)
    if options.steps < 1 or min(options.threads or [1]) < 1:
        parser.error("--steps and --threads take numbers above 0")
    if options.quick:
        options.steps = 6
    return options


if __name__ == "__main__":
    start(main)
