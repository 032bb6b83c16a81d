"""``python -m benchmarks.supervision``: supervised or not, by how many confirmed defects the supervised one has had?

The table of Viberg et al. ("A Case for Unsupervised Defect Detection in Manufacturing"): precision, recall and image
AUROC of a supervised U-Net and of models of good parts alone. Half of the groups of the test part give confirmed
defects with their masks, the other half is measured; for each seed, other halves.

``segment``, ``flow``: good parts alone.
``supervised``: the U-Net of Viberg et al., on so many confirmed defects.
``segment, taught``: goes on from ``segment`` with the same defects, as ``flawsmith retrain challenger`` does.

A part is rejected above the score that 5 % of the calibration parts exceed, which chose nothing else. By default the
parts are made up; with ``--data`` they are a data set's, which is reported and never chosen by.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from benchmarks.answering import Floats, Rows, Stage, stage
from benchmarks.console import say, show, start
from benchmarks.label_efficiency import halves
from benchmarks.machine import describe_machine
from integrations.cli.console import bar
from learning.bundle import Bundle
from learning.config import TrainConfig
from learning.defects import cut_from_files
from learning.detectors import Budget
from learning.fusion import weighted_threshold
from learning.images.image_set import ImageSet
from learning.images.readers import read_data
from learning.images.records import ImageRecord
from learning.metrics import image_auroc
from learning.training import train_on_records
from synth.parts import KINDS, make_parts
from synth.sources.defects import bank_of

UNSUPERVISED = ("segment", "flow")
SUPERVISED, TAUGHT = "supervised", "segment, taught"
_FALSE_REJECT = 0.05
_BATCH = 16


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark.

    Args:
        arguments: Of the command line; by default those of the process.
    """
    options = _parse(arguments)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="flawsmith-benchmark-") as temporary:
        folder = Path(temporary)
        data = options.data or _made_up(folder, options)
        rows = _run(data, folder, options)
    result = {
        "benchmark": "supervision",
        "parts": options.data.name if options.data else options.line,
        "minutes": options.minutes,
        "steps": options.steps,
        "size": options.size,
        "rows": rows,
        "quick": options.quick,
        "machine": describe_machine(),
        "seconds": round(time.perf_counter() - started, 1),
    }
    show(result, _table(rows), options.json)


def figures(scores: Floats, defective: np.ndarray, threshold: float) -> dict[str, float]:
    """Precision, recall and image AUROC.

    Args:
        scores: ``[N]``.
        defective: ``[N]`` bool.
        threshold: Parts above it are rejected.

    Returns:
        ``precision`` (1 where nothing is rejected: nothing was rejected in vain), ``recall``, ``false_reject``,
        ``image_auroc``.
    """
    rejected = scores > threshold
    hits = int((rejected & defective).sum())
    return {
        "precision": hits / int(rejected.sum()) if rejected.any() else 1.0,
        "recall": hits / int(defective.sum()),
        "false_reject": float(rejected[~defective].mean()),
        "image_auroc": image_auroc(scores, defective),
    }


def _made_up(folder: Path, options: argparse.Namespace) -> Path:
    good, tested, defective = (24, 20, 24) if options.quick else (160, 160, 200)
    return make_parts(folder / "line", options.line, good=good, test_good=tested, defective=defective, size=256, seed=7)


def _run(data: Path, folder: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    every = read_data(data)
    good = [one for one in every if one.split == "train"]
    tested = [one for one in every if one.split == "test"]
    rows: list[dict[str, Any]] = []
    unseen = {name: _train(good, folder / name, name, (), None, options) for name in options.unsupervised}
    champion = unseen.get("segment") or _train(good, folder / "segment", "segment", (), None, options)
    with stage(champion.folder, tested) as at:
        for seed in options.seeds:
            stream, measured = halves(at, seed)

            def add(name: str, bundle: Bundle, count: int, seed: int = seed, measured: Rows = measured) -> None:
                found = _measure(bundle, at, measured)
                rows.append({"model": name, "defects": count, "seed": seed, "steps": bundle.manifest.steps} | found)
                say(f"{seed}: {name}, {count} defects: {rows[-1]}")

            for name, bundle in unseen.items():
                add(name, bundle, 0)
            marked = [row for row in stream if at.records[row].defective and at.records[row].mask]
            drawn = np.random.default_rng(seed).permutation(marked)
            for count in options.defects:
                # All of them, where there are not so many.
                confirmed = [at.records[row] for row in drawn[: count or None]]
                out = folder / f"{seed}-{count}"
                add(SUPERVISED, _train(good, out / "s", SUPERVISED, confirmed, None, options), len(confirmed))
                if TAUGHT in options.models:
                    add(TAUGHT, _train(good, out / "t", "segment", confirmed, champion, options), len(confirmed))
                if len(confirmed) == len(marked):
                    break
    return rows


def _train(
    good: Sequence[ImageRecord],
    out: Path,
    detector: str,
    confirmed: Sequence[ImageRecord],
    champion: Bundle | None,
    options: argparse.Namespace,
) -> Bundle:
    cuts = [cut_from_files(one.path, one.mask, name=one.path.stem, group=one.group) for one in confirmed if one.mask]
    config = champion.manifest.config if champion else TrainConfig(detector=detector, size=options.size)
    with bar() as progress:
        return train_on_records(
            good,
            out,
            config=config,
            budget=Budget(steps=options.steps) if options.steps else Budget(minutes=options.minutes),
            seed=0 if champion is None else champion.manifest.seed + 1,
            defects=bank_of(cuts),
            pictures=confirmed if champion else [],
            start=champion,
            progress=progress,
        )


def _measure(bundle: Bundle, at: Stage, measured: Rows) -> dict[str, float]:
    images = ImageSet([at.records[row] for row in measured], bundle.preprocessing)
    batches = [range(first, min(first + _BATCH, len(images))) for first in range(0, len(images), _BATCH)]
    scores = [bundle.detector.predict(images.batch(some)).scores.double().numpy() for some in batches]
    calibration = bundle.calibration["score"].to_numpy()
    threshold = weighted_threshold(calibration, np.ones(len(calibration)), _FALSE_REJECT)
    return figures(np.concatenate(scores), at.defective[measured], threshold)


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table("model", "confirmed defects", "precision", "recall", "false rejects", "image AUROC")
    for name, count in dict.fromkeys((row["model"], row["defects"]) for row in rows):
        own = [row for row in rows if (row["model"], row["defects"]) == (name, count)]
        shown = ("precision", "recall", "false_reject", "image_auroc")
        texts = [f"{np.mean([row[key] for row in own]):.3f}" for key in shown]
        table.add_row(name, str(count), *texts)
    return table


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.supervision",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--line", choices=sorted(KINDS), default="label", help="kind of the made-up parts")
    parser.add_argument("--data", type=Path, help="a data set with a labelled test part with masks")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the halves")
    parser.add_argument(
        "--defects",
        type=int,
        nargs="+",
        default=[5, 20, 0],
        help="confirmed ones; 0 is all of the half, and comes last",
    )
    parser.add_argument("--unsupervised", nargs="+", choices=UNSUPERVISED, default=UNSUPERVISED)
    parser.add_argument("--models", nargs="+", choices=(SUPERVISED, TAUGHT), default=(SUPERVISED, TAUGHT))
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--minutes", type=float, default=2.0, help="of each training")
    budget.add_argument("--steps", type=int, help="of each training, instead of minutes")
    parser.add_argument("--size", type=int, help="of the pictures; by default each detector's own")
    parser.add_argument("--json", action="store_true", help="print one object as the last line of stdout")
    parser.add_argument("--quick", action="store_true", help="under two minutes: few and small parts, a few steps")
    options = parser.parse_args(arguments)
    if options.data and not options.data.exists():
        parser.error(f"{options.data} does not exist")
    if any(count < 0 for count in options.defects):
        parser.error("--defects takes numbers from 1, or 0 for all")
    options.defects = sorted(set(options.defects), key=lambda count: count or sys.maxsize)
    if options.quick:
        options.seeds, options.defects, options.steps, options.size = options.seeds[:1], [5], 5, 64
    return options


if __name__ == "__main__":
    start(main)
