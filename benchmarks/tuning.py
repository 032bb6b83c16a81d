"""``python -m benchmarks.tuning``: what answers teach a challenger, and what it would have learnt without them.

A champion is trained on good parts alone. A simulated inspector answers from the truth about a stream, questions being
drawn as the product draws them. Then challengers are trained for some steps, and all are measured on parts that nobody
was asked about:

``scratch``: anew, on the champion's good parts and the answers.
``no answers``: from the champion's weights, on its own good parts: more training, and nothing else.
``good parts``: from the champion's weights, with the good parts that were confirmed.
``verdicts``: from the champion's weights, with the defects that were confirmed, too, but not where they are.
``answers``: the same, with the masks that inspectors drew.

By default the parts are made up, and 6 % of the stream is defective. With ``--data`` they are a data set's: its good
parts train, half of the groups of its test part are the stream, and the other half is measured. It is reported there,
and never chosen by.
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from benchmarks.answering import Floats, Rows, Stage, replay, stage
from benchmarks.challenged import scores_of, train_challenger
from benchmarks.console import Clock, say, show, start
from benchmarks.label_efficiency import halves, rare_halves
from benchmarks.label_efficiency_figures import measure
from integrations.cli.console import bar
from learning.bundle import Bundle
from learning.config import TrainConfig
from learning.detectors import Budget
from learning.images.readers import read_data
from learning.images.records import ImageRecord
from learning.training import train_bundle
from synth.parts import KINDS, make_parts

CHAMPION, SCRATCH, NOTHING = "champion", "scratch", "no answers"
GOOD_PARTS, VERDICTS, ANSWERS = "good parts", "verdicts", "answers"
TAUGHT = (SCRATCH, GOOD_PARTS, VERDICTS, ANSWERS)
"""Those that the answers teach something."""

_SHARES: dict[Any, float] = {"train": 0.4, "selection": 0.1, "calibration": 0.5}
_FALSE_REJECT = 0.05


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark.

    Args:
        arguments: Of the command line; by default those of the process.
    """
    options = _parse(arguments)
    clock = Clock()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="flawsmith-benchmark-") as temporary:
        if options.data:
            rows = _on_data(Path(temporary), options)
        else:
            for seed in options.seeds:
                rows += _line(Path(temporary) / str(seed), seed, options)
    result = {
        "benchmark": "tuning",
        "parts": options.data.name if options.data else options.line,
        "defective": None if options.data else options.defective,
        "steps": options.steps,
        "rows": rows,
        "change": changes(rows),
        "quick": options.quick,
    } | clock.read()
    show(result, _table(rows), options.json)


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
    with stage(champion.folder, [one for one in every if one.split == "test"]) as at:
        return _measured(champion, at, every, rare_halves(at, seed, options.defective), seed, folder, options)


def _on_data(folder: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """One champion of a data set, and for each seed the challengers of other halves of its test part, measured."""
    if options.bundle:
        champion = Bundle.load(options.bundle)
    else:
        config, budget = TrainConfig(size=64 if options.quick else 128), Budget(steps=options.steps)
        with bar() as progress:
            champion = train_bundle(options.data, folder / "champion", config=config, budget=budget, progress=progress)
    every = read_data(options.data)
    with stage(champion.folder, [one for one in every if one.split == "test"]) as at:
        return [
            row
            for seed in options.seeds
            for row in _measured(champion, at, every, halves(at, seed), seed, folder / str(seed), options)
        ]


def _measured(
    champion: Bundle,
    at: Stage,
    every: Sequence[ImageRecord],
    parts: tuple[Rows, Rows],
    seed: int,
    folder: Path,
    options: argparse.Namespace,
) -> list[dict[str, Any]]:
    """Figures of champion and challengers, from stream and measured rows."""
    stream, measured = parts
    asked = [now.asked for now in replay(at, stream, "mix", options.answers, seed)]
    rows: list[dict[str, Any]] = []

    def add(name: str, scores: Floats, answers: Rows) -> None:
        figures = measure(at, scores, measured, _FALSE_REJECT)
        defects = int(at.defective[answers].sum())
        rows.append({"model": name, "seed": seed, "answers": len(answers), "defects": defects} | figures)
        say(f"{seed}: {name}, {len(answers)} answers: {figures}")

    add(CHAMPION, at.scores, np.empty(0, dtype=np.int64))
    for answers in (np.empty(0, dtype=np.int64), *asked):
        for name in options.models:
            if (name == NOTHING) == bool(len(answers)):
                continue
            out = folder / f"{name}-{len(answers)}"
            own = _train(champion, every, [at.records[row] for row in answers], name, out, options)
            add(name, scores_of(own, at, measured), answers)
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
    taught = [one for one in answered if name != GOOD_PARTS or not one.defective]
    if name == VERDICTS:
        taught = [replace(one, mask=None) for one in taught]
    start = None if name == SCRATCH else champion
    return train_challenger(champion, every, taught, out, options.steps, start)


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
    parser.add_argument("--line", choices=sorted(KINDS), default="label", help="kind of the made-up parts")
    parser.add_argument("--data", type=Path, help="a data set with a labelled test part, instead of made-up parts")
    parser.add_argument("--bundle", type=Path, help="the champion of --data; by default one is trained, at 128 x 128")
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[21, 22, 23], help="a line and a champion each; of --data, halves"
    )
    parser.add_argument(
        "--models", nargs="+", choices=(NOTHING, *TAUGHT), default=(NOTHING, *TAUGHT), help="challengers to train"
    )
    parser.add_argument("--defective", type=float, default=0.06, help="share of the stream; all others are measured")
    parser.add_argument("--answers", type=int, nargs="+", default=[20, 40, 80], help="after which they are trained")
    parser.add_argument("--steps", type=int, default=250, help="of each training")
    parser.add_argument("--json", action="store_true", help="print one object as the last line of stdout")
    parser.add_argument("--quick", action="store_true", help="under two minutes: one small line, a few steps")
    options = parser.parse_args(arguments)
    if options.data and not options.data.exists():
        parser.error(f"{options.data} does not exist")
    if options.bundle and not options.data:
        parser.error("--bundle is the champion of --data")
    if sorted(set(options.answers)) != options.answers or options.answers[0] < 1:
        parser.error("--answers ascend, from 1 or more")
    if not 0 < options.defective < 0.1:
        parser.error("--defective is above 0 and below 0.1, or hardly any are left to be measured")
    if options.quick:
        options.seeds, options.answers, options.steps = options.seeds[:1], options.answers[:1], 5
    return options


if __name__ == "__main__":
    start(main)
