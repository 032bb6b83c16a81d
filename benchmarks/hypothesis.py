"""``python -m benchmarks.hypothesis``: which hypothesis held-out good parts choose, and which made the better detector.

On made-up parts ``glass`` is trained under the manifold and under the hypersphere hypothesis, from the same seed, and
asked for the parts' own defects, which other code draws than the flaw families. What the choice is made by, the
separation under either hypothesis, is measured on the same parts, without any defect.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.table import Table

from benchmarks.console import say, show, start
from benchmarks.machine import describe_machine
from learning.detectors import Budget, create
from learning.images.image_set import ImageSet
from learning.images.preprocessing import Preprocessing
from learning.images.readers import read_data
from learning.metrics import image_auroc
from learning.splits import split_groups
from synth.feature_level import Hypothesis
from synth.parts import LINE, make_parts

_BATCH = 20
_HELD_OUT = 0.25


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark.

    Args:
        arguments: Of the command line; by default those of the process.
    """
    options = _parse(arguments)
    torch.set_num_threads(1)
    runs = []
    with tempfile.TemporaryDirectory(prefix="flawsmith-benchmark-") as folder:
        for kind in options.parts:
            data = Path(folder) / kind
            make_parts(data, kind, good=options.good, test_good=options.test, defective=options.test)
            for seed in options.seeds:
                runs.append(run(data, kind, seed, options))
                say(json.dumps(runs[-1]))
    result = {
        "benchmark": "hypothesis",
        "steps": options.steps,
        "seeds": options.seeds,
        "quick": options.quick,
        "summary": [summarise(kind, [one for one in runs if one["kind"] == kind]) for kind in options.parts],
        "runs": runs,
        "machine": describe_machine(),
    }
    show(result, table(result), options.json)


def run(data: Path, kind: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Train under what the good parts choose and under the other hypothesis.

    Args:
        data: What ``make_parts`` wrote.
        kind: Of the parts.
        seed: Of the split, of what the choice is made on, and of training.
        options: Size and steps.

    Returns:
        ``chosen``, the hypothesis; ``separation`` (AUROC, 0..1) and ``image_auroc`` by hypothesis.
    """
    records = read_data(data, seed=seed)
    good = [record for record in records if record.split == "train"]
    preprocessing = Preprocessing.for_images([record.path for record in good], options.size)
    parts = split_groups(good, {"train": 1 - _HELD_OUT, "selection": _HELD_OUT}, seed)
    train, held = (ImageSet(parts[name], preprocessing) for name in ("train", "selection"))
    tested = [record for record in records if record.split == "test"]
    images = ImageSet(tested, preprocessing).batch(range(len(tested)))
    found: dict[str, Any] = {"kind": kind, "seed": seed, "image_auroc": {}}
    for hypothesis in (None, *Hypothesis):
        if str(hypothesis) == found.get("chosen"):
            continue
        detector = create("glass", {"hypothesis": hypothesis}, preprocessing)
        report = detector.fit(train, held, seed, Budget(steps=options.steps))
        if hypothesis is None:
            found["chosen"] = report.choices["hypothesis"]
            names = {str(one): f"separation under the {one} hypothesis" for one in Hypothesis}
            found["separation"] = {one: report.selection[name] for one, name in names.items()}
        scores = [score for some in images.split(_BATCH) for score in detector.predict(some).scores.tolist()]
        of = found["chosen"] if hypothesis is None else str(hypothesis)
        found["image_auroc"][of] = image_auroc(scores, [record.defective for record in tested])
    return found


def summarise(kind: str, runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How often each hypothesis was chosen, and means over the seeds.

    Args:
        kind: Of the parts.
        runs: Of this kind.

    Returns:
        ``chosen`` (number of seeds), ``separation`` and ``image_auroc`` by hypothesis; ``gain``, the mean of the
        chosen one's image AUROC less the other's, and its ``spread`` (standard deviation; None for one seed).
    """
    gains = [2 * one["image_auroc"][one["chosen"]] - sum(one["image_auroc"].values()) for one in runs]
    return {
        "kind": kind,
        "chosen": {str(h): sum(one["chosen"] == h for one in runs) for h in Hypothesis},
        **{
            figure: {str(h): statistics.fmean(one[figure][h] for one in runs) for h in Hypothesis}
            for figure in ("separation", "image_auroc")
        },
        "gain": statistics.fmean(gains),
        "spread": statistics.stdev(gains) if len(gains) > 1 else None,
    }


def table(result: dict[str, Any]) -> Table:
    """Draw the summary."""
    drawn = Table(title=f"glass after {result['steps']} steps, seeds {result['seeds']}; manifold : hypersphere")
    for column in ("parts", "separation", "chosen", "image AUROC", "the chosen one's gain"):
        drawn.add_column(column, justify="left" if column == "parts" else "right")
    for row in result["summary"]:
        spread = "" if row["spread"] is None else f" ± {row['spread']:.3f}"
        pairs = [" : ".join(f"{row[name][h]:.3f}" for h in Hypothesis) for name in ("separation", "image_auroc")]
        chosen = " : ".join(str(row["chosen"][h]) for h in Hypothesis)
        drawn.add_row(row["kind"], pairs[0], chosen, pairs[1], f"{row['gain']:+.3f}{spread}")
    return drawn


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hypothesis", description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=LINE, default=list(LINE), metavar="KIND", help="of made-up parts")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--steps", type=int, default=150, help="of each training")
    parser.add_argument("--good", type=int, default=80, help="made-up good parts, a quarter held out")
    parser.add_argument("--test", type=int, default=40, help="good and as many defective ones to test on")
    parser.add_argument("--size", type=int, default=128, help="side of the images in pixels")
    parser.add_argument("--json", action="store_true", help="print one object as the last line of stdout")
    parser.add_argument("--quick", action="store_true", help="one seed, few steps: the same code, other figures")
    options = parser.parse_args(arguments)
    if options.quick:
        options.seeds, options.steps, options.good, options.test, options.size = options.seeds[:1], 4, 16, 8, 64
    return options


if __name__ == "__main__":
    start(main)
