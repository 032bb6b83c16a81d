"""``python -m benchmarks.tuning``: what answers teach a challenger, and what it would have learnt without them.

A champion is trained on made-up good parts. A simulated inspector answers from the truth about a stream, 6 % of which
are defective, questions being drawn as the product draws them. Then challengers are trained for as many steps as the
champion, and all are measured on parts that nobody was asked about:

``scratch``: anew, on the champion's good parts and the answers.
``no answers``: from the champion's weights, on its own good parts: more training, and nothing else.
``good parts``: from the champion's weights, with the good parts that were confirmed.
``answers``: from the champion's weights, with the defects that were confirmed, too.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.answering import Floats, Rows, Stage, replay, stage
from benchmarks.console import say, start
from benchmarks.label_efficiency import rare_halves
from benchmarks.label_efficiency_figures import measure
from benchmarks.machine import describe_machine
from integrations.cli.console import bar
from learning.bundle import Bundle
from learning.config import TrainConfig
from learning.defects import cut_from_files
from learning.detectors import Budget, Detector
from learning.images.readers import read_data
from learning.images.records import ImageRecord
from learning.training import train_bundle, train_on_records
from synth.parts import KINDS, make_parts
from synth.sources.defects import bank_of

CHAMPION, SCRATCH, NOTHING, GOOD_PARTS, ANSWERS = "champion", "scratch", "no answers", "good parts", "answers"

_SHARES: dict[Any, float] = {"train": 0.4, "selection": 0.1, "calibration": 0.5}
_FALSE_REJECT = 0.05
_BATCH = 16


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark.

    Args:
        arguments: Of the command line; by default those of the process.
    """
    options = _parse(arguments)
    started, cpu = time.perf_counter(), time.process_time()
    rows: list[dict[str, Any]] = []
    for seed in options.seeds:
        with tempfile.TemporaryDirectory(prefix="flawsmith-benchmark-") as temporary:
            rows += _line(Path(temporary), seed, options)
    result = {
        "benchmark": "tuning",
        "line": options.line,
        "defective": options.defective,
        "steps": options.steps,
        "rows": rows,
        "change": changes(rows),
        "quick": options.quick,
        "machine": describe_machine(),
        "seconds": round(time.perf_counter() - started, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
    }
    Console(stderr=options.json, width=None if sys.stdout.isatty() else 120).print(_table(rows))
    if options.json:
        sys.stdout.write(json.dumps(result) + "\n")


def changes(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """Mean change over seeds against the champion of the same line, by challenger and number of answers."""
    before = {row["seed"]: row for row in rows if row["model"] == CHAMPION}
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name, answers in dict.fromkeys((row["model"], row["answers"]) for row in rows if row["model"] != CHAMPION):
        own = [row for row in rows if (row["model"], row["answers"]) == (name, answers)]
        found.setdefault(name, {})[str(answers)] = {
            figure: float(np.mean([row[figure] - before[row["seed"]][figure] for row in own]))
            for figure in ("image_auroc", "escape")
        }
    return found


def _line(folder: Path, seed: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Champion and challengers of one line, measured."""
    good, tested, defective = (40, 150, 30) if options.quick else (200, 1100, 160)
    size = 64 if options.quick else 128
    data = make_parts(
        folder / "line", options.line, good=good, test_good=tested, defective=defective, size=size, seed=seed
    )
    config = TrainConfig(shares=_SHARES, size=size)
    budget = Budget(steps=options.steps)
    with bar() as progress:
        champion = train_bundle(data, folder / "champion", config=config, budget=budget, seed=seed, progress=progress)
    every = read_data(data)
    rows = []
    with stage(champion.folder, [one for one in every if one.split == "test"]) as at:
        stream, measured = rare_halves(at, seed, options.defective)
        asked = [now.asked for now in replay(at, stream, "mix", options.answers, seed)]

        def add(name: str, scores: Floats, answers: Rows) -> None:
            figures = measure(at, scores, measured, _FALSE_REJECT)
            defects = int(at.defective[answers].sum())
            rows.append({"model": name, "seed": seed, "answers": len(answers), "defects": defects} | figures)
            say(f"{options.line} {seed}: {name}, {len(answers)} answers: {figures}")

        add(CHAMPION, at.scores, np.empty(0, dtype=np.int64))
        for answers in (np.empty(0, dtype=np.int64), *asked):
            for name in (SCRATCH, GOOD_PARTS, ANSWERS) if len(answers) else (NOTHING,):
                out = folder / f"{name}-{len(answers)}"
                own = _train(champion, every, [at.records[row] for row in answers], name, out, options)
                add(name, _scores(own.detector, at, measured), answers)
    return rows


def _train(
    champion: Bundle,
    every: Sequence[ImageRecord],
    answered: Sequence[ImageRecord],
    name: str,
    out: Path,
    options: argparse.Namespace,
) -> Bundle:
    """A challenger, as the product trains it."""
    defects = [one for one in answered if one.defective] if name != GOOD_PARTS else []
    cuts = [cut_from_files(one.path, one.mask, name=one.path.stem, group=one.group) for one in defects if one.mask]
    with bar() as progress:
        return train_on_records(
            [one for one in every if one.split == "train"],
            out,
            config=champion.manifest.config,
            budget=Budget(steps=options.steps),
            seed=champion.manifest.seed + 1,
            confirmed_good=[one for one in answered if not one.defective],
            defects=bank_of(cuts),
            pictures=[] if name == SCRATCH else defects,
            start=None if name == SCRATCH else champion,
            progress=progress,
        )


def _scores(detector: Detector, at: Stage, measured: Rows) -> Floats:
    """``[N]``: of the measured rows; the others are not looked at."""
    scores = np.zeros(len(at.records))
    for first in range(0, len(measured), _BATCH):
        rows = measured[first : first + _BATCH]
        scores[rows] = detector.predict(at.images.batch(rows.tolist())).scores.double().numpy()
    return scores


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table("model", "answers", "defects among them", "image AUROC", "escapes at 5 % false rejects")
    for name, answers in dict.fromkeys((row["model"], row["answers"]) for row in rows):
        own = [row for row in rows if (row["model"], row["answers"]) == (name, answers)]
        defects, auroc, escape = (
            " ".join(text.format(row[figure]) for row in own)
            for figure, text in (("defects", "{}"), ("image_auroc", "{:.3f}"), ("escape", "{:.3f}"))
        )
        table.add_row(name, str(answers), defects, auroc, escape)
    return table


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.tuning",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--line", choices=sorted(KINDS), default="label", help="kind of the parts")
    parser.add_argument("--seeds", type=int, nargs="+", default=[21, 22, 23], help="a line and a champion each")
    parser.add_argument("--defective", type=float, default=0.06, help="share of the stream; all others are measured")
    parser.add_argument("--answers", type=int, nargs="+", default=[20, 40, 80], help="after which they are trained")
    parser.add_argument("--steps", type=int, default=250, help="of each training")
    parser.add_argument("--json", action="store_true", help="print one object as the last line of stdout")
    parser.add_argument("--quick", action="store_true", help="under two minutes: one small line, a few steps")
    options = parser.parse_args(arguments)
    if sorted(set(options.answers)) != options.answers or options.answers[0] < 1:
        parser.error("--answers ascend, from 1 or more")
    if not 0 < options.defective < 0.1:
        parser.error("--defective is above 0 and below 0.1, or hardly any are left to be measured")
    if options.quick:
        options.seeds, options.answers, options.steps = options.seeds[:1], options.answers[:1], 5
    return options


if __name__ == "__main__":
    start(main)
