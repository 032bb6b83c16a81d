"""``python -m benchmarks.label_efficiency``: what an inspector's answers bring, by how the questions are chosen.

A simulated inspector answers from the ground truth, defects with their masks, about a stream: half of the labelled
images, by group. All is measured on the other half, over and over with other halves. One answer is one image. The
detector is trained once, on good parts alone; after every wave the product learns as ``flawsmith retrain`` does, and
what is measured is what it would then decide by. After some waves a challenger is trained on the answers from the
detector's weights, as ``flawsmith retrain challenger`` does, and measured too: all answers teach it, and no gate keeps
it out.

Two places: a data set (``--data``), whose test part is reported and never chosen by, and a procedural line of which 2 %
are defective. Its measured half holds more defective parts than that, which changes neither of the rates.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.answering import PEERS, Rows, Stage, replay, stage
from benchmarks.challenged import Tuner
from benchmarks.console import Clock, say, show, start
from benchmarks.label_efficiency_figures import (
    Curves,
    answers_ratio,
    draw,
    left_out_change,
    measure,
    recall,
    summarise,
    tables,
)
from integrations.cli.console import bar
from learning.bundle import Bundle
from learning.config import TrainConfig
from learning.detectors import Budget
from learning.images.readers import read_data
from learning.images.records import GOOD, ImageRecord
from learning.training import train_bundle
from synth.parts import KINDS, make_parts

Figures = dict[str, Any]

DEFAULT, BORDERLINE, RANDOM = "mix", "borderline", "random"
STRATEGIES = (DEFAULT, BORDERLINE, RANDOM, *PEERS)

_AFTER = 40
"""Answers that the bars are about."""
NO_ANSWERS = "as many steps, no answers"
_WAVES = (10, 20, 40, 80)
_QUICK_WAVES = (10, 20, 40)
_DEFECTIVE = 0.02
_FALSE_REJECT = 0.05


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark.

    Args:
        arguments: Of the command line; by default those of the process.
    """
    options = _parse(arguments)
    clock = Clock()
    with tempfile.TemporaryDirectory(prefix="flawsmith-benchmark-") as temporary:
        line = None if options.skip_line else _line(Path(temporary), options)
        data = _data(Path(temporary), options) if options.data else None
    result: dict[str, Any] = {
        "benchmark": "label_efficiency",
        **_bars(line and line["challenger"], data and data["challenger"]),
        **{f"{name}_without_tuning": value for name, value in _bars(line, data).items()},
        "line": line,
        "data": data,
        "splits": options.splits,
        "quick": options.quick,
        **clock.read(),
    }
    show(result, tables(result), options.json, width=140)
    if options.plot:
        draw(result, options.plot)


def _bars(line: Figures | None, data: Figures | None) -> Figures:
    """The figures that the bars are about."""
    return {
        "answers_ratio_to_random": line["answers_to_random"]["ratio"] if line else None,
        "auroc_after_40": data["image_auroc"][DEFAULT][str(_AFTER)]["mean"] if data else None,
        "auroc_by_answers": data["image_auroc"] if data else None,
        "left_out_recall_change": data["left_out_recall_change"] if data else None,
    }


def _data(temporary: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Curves on the test part of a data set, and what becomes of a kind of defect that was never answered about."""
    bundle = options.bundle
    if bundle is None:
        bundle = temporary / "data"
        _train(options.data, bundle, Budget(minutes=options.minutes), TrainConfig(size=options.size))
    every = read_data(options.data)
    records = [one for one in every if one.split == "test" and (one.defective or one.label == GOOD)]
    if options.no_masks:
        records = [replace(one, mask=None) for one in records]
    if options.quick:
        records = records[:: max(1, len(records) // 96)]
    with _looked_at(bundle, records, options.data.name) as at:
        splits = [halves(at, seed) for seed in range(options.splits)]
        curves = run(at, splits, STRATEGIES, options.answers)
        left_out = left_out_recalls(at, splits)
        tuner = Tuner(Bundle.load(bundle), every, options.challenger_steps)
        challenger = None
        if tuner.steps:
            tuned = run_tuned(at, splits, {DEFAULT: options.challenger_after}, options.answers, tuner)
            without = left_out_recalls(at, splits[: options.left_out_splits], tuner)
            challenger = _summarised(tuned, tuner) | {"left_out_recall_change": left_out_change(without)}
    return summarise(curves) | {
        "name": options.data.name,
        "left_out_recall_change": left_out_change(left_out),
        "challenger": challenger,
    }


def _line(temporary: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Curves on a procedural line, and how many answers the default takes for what random ones bring."""
    good, tested, defective = (40, 150, 30) if options.quick else (160, 1400, 140)
    folder = make_parts(
        temporary / "line", options.line, good=good, test_good=tested, defective=defective, seed=options.seed
    )
    bundle = temporary / "line-bundle"
    budget = Budget(steps=10 if options.quick else options.line_steps)
    _train(folder, bundle, budget, TrainConfig(size=64 if options.quick else 128))
    every = read_data(folder)
    with _looked_at(bundle, [one for one in every if one.split == "test"], options.line) as at:
        splits = [rare_halves(at, seed) for seed in range(options.splits)]
        curves = run(at, splits, STRATEGIES, options.answers)
        tuner = Tuner(Bundle.load(bundle), every, options.challenger_steps)
        challenger = None
        if tuner.steps:
            asking = {DEFAULT: options.challenger_after, RANDOM: [_AFTER]}
            tuned = run_tuned(at, splits, asking, options.answers, tuner)
            ratio = answers_ratio(tuned, DEFAULT, RANDOM, _AFTER)
            challenger = _summarised(tuned, tuner) | {"answers_to_random": ratio}
    return summarise(curves) | {
        "name": options.line,
        "defective": _DEFECTIVE,
        "answers_to_random": answers_ratio(curves, DEFAULT, RANDOM, _AFTER),
        "challenger": challenger,
    }


def _summarised(tuned: Curves, tuner: Tuner) -> dict[str, Any]:
    trainings = {
        "steps": tuner.steps,
        "trainings": len(tuner.seconds),
        "cpu_seconds_each": float(np.median(tuner.seconds)),
    }
    return summarise(tuned) | trainings


def run(at: Stage, splits: Sequence[tuple[Rows, Rows]], strategies: Sequence[str], answers: Sequence[int]) -> Curves:
    """Replay every strategy on every split.

    Returns:
        For each strategy, number of answers and split: ``image_auroc``, ``escape`` at 5 % false rejects, ``fallback``
        (1 where it was on) and ``defects`` (confirmed ones), of the measured half.
    """
    curves: Curves = {}
    for seed, (stream, measured) in enumerate(splits):
        before = measure(at, at.scores, measured, _FALSE_REJECT)
        for strategy in strategies:
            found = curves.setdefault(strategy, {})
            found.setdefault(0, []).append(before | {"fallback": 0.0, "defects": 0.0})
            for wanted, now in zip(answers, replay(at, stream, strategy, answers, seed), strict=True):
                found.setdefault(wanted, []).append(
                    measure(at, now.scores, measured, _FALSE_REJECT)
                    | {"fallback": float(bool(now.parts)), "defects": float(at.defective[now.asked].sum())}
                )
        say(f"split {seed + 1} of {len(splits)} done")
    return curves


def run_tuned(
    at: Stage,
    splits: Sequence[tuple[Rows, Rows]],
    strategies: Mapping[str, Sequence[int]],
    answers: Sequence[int],
    tuner: Tuner,
) -> Curves:
    """Train challengers on every split.

    Args:
        at: All images.
        splits: Stream and measured rows of each.
        strategies: After which numbers of answers, for each strategy.
        answers: As for ``run``: the same is asked about, as no challenger decides before it has won.
        tuner: Trains them.

    Returns:
        As ``run``, without ``fallback``; and once, for each split, a challenger of as many steps without any answer.
    """
    nobody = np.empty(0, dtype=np.int64)
    every = np.arange(len(at.records))
    alone = tuner.scores(at, nobody, every)
    curves: Curves = {NO_ANSWERS: {0: []}}
    for seed, (stream, measured) in enumerate(splits):
        before = measure(at, at.scores, measured, _FALSE_REJECT) | {"defects": 0.0}
        curves[NO_ANSWERS][0].append(measure(at, alone, measured, _FALSE_REJECT) | {"defects": 0.0})
        for strategy, after in strategies.items():
            found = curves.setdefault(strategy, {})
            found.setdefault(0, []).append(before)
            waves = [wanted for wanted in answers if wanted <= max(after)]
            for wanted, now in zip(waves, replay(at, stream, strategy, waves, seed), strict=True):
                if wanted in after:
                    figures = measure(at, tuner.scores(at, now.asked, measured), measured, _FALSE_REJECT)
                    found.setdefault(wanted, []).append(figures | {"defects": float(at.defective[now.asked].sum())})
        say(f"split {seed + 1} of {len(splits)}: challengers done")
    return curves


def left_out_recalls(
    at: Stage, splits: Sequence[tuple[Rows, Rows]], tuner: Tuner | None = None
) -> list[dict[str, Any]]:
    """Recall of a kind of defect that nobody was asked about, with what was learnt from the others and without.

    Args:
        at: All images.
        splits: Stream and measured rows of each.
        tuner: Measure a challenger, instead of threshold and fallback.

    Returns:
        For each split, kind and group: ``kind``, ``group``, ``change`` (in recall at 5 % false rejects) and ``images``.
    """
    kinds = sorted(set(at.labels) - {GOOD})
    rows: list[dict[str, Any]] = []
    for seed, (stream, measured) in enumerate(splits):
        for kind in kinds:
            left = measured[at.labels[measured] == kind]
            others = stream[at.labels[stream] != kind]
            if not len(left):
                continue
            # In one wave: what is asked about hardly depends on it, and time does.
            (now,) = replay(at, others, DEFAULT, (_AFTER,), seed)
            found = tuner.scores(at, now.asked, measured) if tuner else now.scores
            learnt, alone = (recall(at, scores, left, measured, _FALSE_REJECT) for scores in (found, at.scores))
            change = learnt - alone
            rows += [
                {"kind": kind, "group": str(group), "change": float(own.mean()), "images": len(own)}
                for group in np.unique(at.groups[left])
                if len(own := change[at.groups[left] == group])
            ]
        say(f"split {seed + 1} of {len(splits)}: each kind left out")
    return rows


def halves(at: Stage, seed: int) -> tuple[Rows, Rows]:
    """Stream and measured rows: half of the groups of each kind each, odd ones by chance."""
    generator = np.random.default_rng(seed)
    groups, labels = at.groups, at.labels
    # Of a group with several kinds, the first one says where it goes.
    kind = {str(group): str(sorted(labels[groups == group])[0]) for group in np.unique(groups)}
    stream: list[str] = []
    for one in sorted(set(kind.values())):
        own = generator.permutation(sorted(group for group, of in kind.items() if of == one))
        stream += own[: (len(own) + int(generator.integers(2))) // 2].tolist()
    there = np.isin(groups, stream)
    return np.flatnonzero(there), np.flatnonzero(~there)


def rare_halves(at: Stage, seed: int, share: float = _DEFECTIVE) -> tuple[Rows, Rows]:
    """As ``halves``, the stream with this share of defective parts, and all others measured."""
    generator = np.random.default_rng(seed)
    good = generator.permutation(np.flatnonzero(~at.defective))
    defective = generator.permutation(np.flatnonzero(at.defective))
    half = len(good) // 2
    few = max(1, round(half * share / (1 - share)))
    return np.concatenate([good[:half], defective[:few]]), np.concatenate([good[half:], defective[few:]])


def _train(data: Path, out: Path, budget: Budget, config: TrainConfig) -> None:
    with bar() as progress:
        train_bundle(data, out, config=config, budget=budget, progress=progress)


def _looked_at(bundle: Path, records: Sequence[ImageRecord], name: str) -> Any:
    say(f"{name}: {len(records)} images, {sum(one.defective for one in records)} of them defective")
    return stage(bundle, records)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.label_efficiency",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, help="a data set with a labelled test part; without it the line alone")
    parser.add_argument("--bundle", type=Path, help="trained on its good parts; by default one is trained")
    parser.add_argument("--minutes", type=float, default=10, help="of that training")
    parser.add_argument("--size", type=int, default=128, help="of the images in that training")
    parser.add_argument("--no-masks", action="store_true", help="the inspector presses a key, and marks nothing")
    parser.add_argument("--challenger-steps", type=int, default=300, help="of each challenger; 0: none is trained")
    parser.add_argument(
        "--challenger-after", type=int, nargs="+", choices=_WAVES, help="ascending, with 40 (10 20 40; quick: 20 40)"
    )
    parser.add_argument(
        "--left-out-splits", type=int, default=2, help="in which challengers are taught by all kinds but one, for each"
    )
    parser.add_argument("--line", choices=sorted(KINDS), default="label", help="parts of the procedural line")
    parser.add_argument("--line-steps", type=int, default=400, help="of its training")
    parser.add_argument("--skip-line", action="store_true", help="the data set alone")
    parser.add_argument("--splits", type=int, help="how often halves are drawn (10; quick: 2)")
    parser.add_argument("--seed", type=int, default=11, help="of the line's parts")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the curves")
    parser.add_argument("--quick", action="store_true", help="under two minutes: small images, two splits")
    parser.add_argument("--json", action="store_true", help="print one object as the last line of stdout")
    options = parser.parse_args(arguments)
    if options.data and not options.data.exists():
        parser.error(f"{options.data} does not exist")
    if options.skip_line and not options.data:
        parser.error("--skip-line leaves nothing without --data")
    options.splits = options.splits or (2 if options.quick else 10)
    options.answers = _QUICK_WAVES if options.quick else _WAVES
    options.challenger_after = options.challenger_after or ([20, 40] if options.quick else [10, 20, 40])
    after = options.challenger_after
    if sorted(set(after)) != after or _AFTER not in after or after[-1] > options.answers[-1]:
        parser.error(f"--challenger-after ascends, with {_AFTER} and up to {options.answers[-1]}")
    if options.challenger_steps < 0:
        parser.error("--challenger-steps are 0 or more")
    if options.quick:
        options.minutes, options.size = min(options.minutes, 0.3), 64
        options.challenger_steps, options.left_out_splits = min(options.challenger_steps, 5), 1
    return options


if __name__ == "__main__":
    start(main)
