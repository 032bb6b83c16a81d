"""``python -m benchmarks.choice``: which of several configurations is the better one, by good parts alone?

Every configuration is trained with every seed on the same good parts, for the same number of steps or minutes. It is
judged on made-up parts, whose defects no flaw family draws, and, with ``--data``, on good parts that were held out,
with such defects on their pictures. A data set's test part is never looked at.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from benchmarks.console import say, show, start
from benchmarks.exam import TEST, Exam
from benchmarks.machine import describe_machine
from benchmarks.options import add_budget, add_exams, check_exams, make_exams
from learning.config import TrainConfig, load_config
from learning.detectors import Budget, Detector, create
from learning.detectors.base import FitReport
from learning.images.image_set import ImageSet
from learning.images.records import GOOD
from learning.metrics import image_auroc

_SELECTION = 8


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark.

    Args:
        arguments: Of the command line; by default those of the process.
    """
    options = _parse(arguments)
    configs = {"default": TrainConfig()} | {path.stem: load_config(path) for path in options.configs}
    runs = []
    with tempfile.TemporaryDirectory(prefix="flawsmith-benchmark-") as made:
        for exam in make_exams(Path(made), options):
            for seed in options.seeds:
                for name, config in configs.items():
                    runs.append(run(exam, name, config, seed, options.steps, options.minutes))
                    say(f"{exam.name}: {name}, seed {seed}: image AUROC {runs[-1]['image_auroc']:.3f}")
    result = {
        "benchmark": "choice",
        "seeds": options.seeds,
        "quick": options.quick,
        "summary": summarise(runs),
        "runs": runs,
        "machine": describe_machine(),
    }
    show(result, table(result["summary"]), options.json)


def run(
    exam: Exam, name: str, config: TrainConfig, seed: int, steps: int | None, minutes: float | None
) -> dict[str, Any]:
    """Train one configuration with one seed, and judge it."""
    return judge(exam, name, *fit(exam, config, seed, steps, minutes), seed)


def fit(
    exam: Exam, config: TrainConfig, seed: int, steps: int | None, minutes: float | None
) -> tuple[Detector, FitReport]:
    """Train one configuration with one seed, an eighth of the parts held out to set scales by.

    Minutes, where they are given, go before steps.
    """
    preprocessing, paths = exam.train.preprocessing, exam.train.paths
    train = ImageSet([path for i, path in enumerate(paths) if i % _SELECTION], preprocessing)
    selection = ImageSet(paths[::_SELECTION], preprocessing)
    detector = create(config.detector, config.detector_config, preprocessing)
    report = detector.fit(train, selection, seed, Budget(minutes=minutes, steps=None if minutes else steps))
    return detector, report


def judge(exam: Exam, name: str, detector: Detector, report: FitReport, seed: int) -> dict[str, Any]:
    """Judge a trained detector.

    Returns:
        ``exam``, ``configuration``, ``seed``, ``steps``, ``seconds``, ``image_auroc``, and ``by_defect``.
    """
    # The flaws of the families on held-out parts, which the ablation judges by, have nothing to say here.
    judged = exam.section(TEST)
    scores = np.array(judged.scores(detector))
    labels = np.array([row.label for row in judged.rows])
    kinds = sorted(set(labels) - {GOOD})
    return {
        "exam": exam.name,
        "configuration": name,
        "seed": seed,
        "steps": report.steps,
        "seconds": report.seconds,
        "image_auroc": image_auroc(scores, labels != GOOD),
        "by_defect": {
            kind: image_auroc(scores[np.isin(labels, [GOOD, kind])], labels[np.isin(labels, [GOOD, kind])] == kind)
            for kind in kinds
        },
    }


def summarise(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean and standard deviation over the seeds, for each exam and configuration; the deviation of one run is None."""
    found: dict[tuple[str, str], list[float]] = {}
    for one in runs:
        found.setdefault((one["exam"], one["configuration"]), []).append(one["image_auroc"])
    return [
        {
            "exam": exam,
            "configuration": name,
            "mean": float(np.mean(values)),
            "std": float(np.std(values, ddof=1)) if len(values) > 1 else None,
            "seeds": len(values),
        }
        for (exam, name), values in found.items()
    ]


def table(summary: Sequence[dict[str, Any]]) -> Table:
    """Draw the summary."""
    drawn = Table(title="image AUROC on defects that no flaw family draws")
    for heading in ("parts", "configuration", "AUROC", "seeds"):
        drawn.add_column(heading, justify="left" if heading in ("parts", "configuration") else "right")
    for row in summary:
        spread = "" if row["std"] is None else f" ± {row['std']:.3f}"
        drawn.add_row(row["exam"], row["configuration"], f"{row['mean']:.3f}{spread}", str(row["seeds"]))
    return drawn


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.choice", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("configs", type=Path, nargs="*", metavar="CONFIG", help="as for flawsmith train --config")
    add_exams(parser)
    add_budget(parser, steps=300)
    options = parser.parse_args(arguments)
    check_exams(parser, options)
    if options.steps < 1 or (options.minutes is not None and options.minutes <= 0):
        parser.error("--steps and --minutes take numbers above 0")
    if options.quick:
        options.steps, options.minutes = 10, None
    return options


if __name__ == "__main__":
    start(main)
