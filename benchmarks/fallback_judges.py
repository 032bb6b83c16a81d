"""``python -m benchmarks.fallback_judges``: by what is the supervised fallback best taken or left?

A simulated inspector presses a key for each question, on made-up lines of which some parts are defective. After some
answers a fallback is judged out of fold, by several judges on the same scores; then detector and pair are measured on
parts that nobody was asked about.

``sign``: what ``flawsmith retrain`` does. More confirmed defects caught at the rate of false rejects that the threshold
promises, and more than luck explains (sign test).
``ranks``: a higher AUROC over the confirmed parts and the selection parts, weighted by one over the probability with
which each was asked about; taken if the lower end of a paired bootstrap by group lies above nothing, at the same chance
of one in eight.
``ranks 95``: the same with 95 % confidence.
``ranks alike``: as ``ranks``, confirmed defects counting alike however they were chosen.
``always``: the fallback is taken wherever one can be trained.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from benchmarks.answering import Decided, Floats, Rows, Stage, replay, stage
from benchmarks.console import Clock, say, show, start
from benchmarks.label_efficiency import rare_halves
from benchmarks.label_efficiency_figures import measure
from integrations.cli.console import bar
from learning.calibration import held_out_parts
from learning.challenge.config import Metric
from learning.challenge.gains import Pairs, gain
from learning.config import TrainConfig
from learning.detectors import Budget
from learning.errors import DataError
from learning.fusion import fit_scale, fuse
from learning.images.readers import read_data
from learning.images.records import ImageRecord
from learning.supervised import Fallback
from learning.training import train_bundle
from learning.weighing import (
    MIN_DEFECTS_FOR_FALLBACK,
    Candidate,
    Scored,
    Verdicts,
    judge,
    score_held_out,
)
from synth.parts import KINDS, make_parts

SIGN, RANKS, RANKS_95, RANKS_ALIKE, ALWAYS = "sign", "ranks", "ranks 95", "ranks alike", "always"
JUDGES = (SIGN, RANKS, RANKS_95, RANKS_ALIKE, ALWAYS)
_CONFIDENCE = {RANKS: 0.875, RANKS_ALIKE: 0.875, RANKS_95: 0.95}
_RESAMPLES = 1000
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
        for line in options.lines:
            for seed in options.seeds:
                rows += _line(Path(temporary) / f"{line}-{seed}", line, seed, options)
    if not rows:
        msg = f"no case has {MIN_DEFECTS_FOR_FALLBACK} defects in its answers: raise --answers or --defective"
        raise DataError(msg)
    result = {
        "benchmark": "fallback_judges",
        "defective": options.defective,
        "steps": options.steps,
        "cases": len(rows),
        "judges": {name: summary(rows, name) for name in JUDGES},
        "rows": rows,
        "quick": options.quick,
    } | clock.read()
    show(result, _table(rows), options.json)


def summary(rows: Sequence[dict[str, Any]], name: str) -> dict[str, float]:
    """What comes of a judge.

    Args:
        rows: Cases, with ``taken`` by judge, and the true change of ``image_auroc`` and ``escape`` if it is taken.
        name: The judge.

    Returns:
        ``taken``: share of cases; ``harmed``: share of cases in which it was taken and more defects escape;
        ``image_auroc`` and ``escape``: mean change over all cases, none where it was left; ``worst_escape``: the
        largest rise in escapes.
    """
    taken = np.array([row["taken"][name] for row in rows], dtype=bool)
    auroc, escape = (np.array([row[figure] for row in rows]) * taken for figure in ("image_auroc", "escape"))
    return {
        "taken": float(taken.mean()),
        "harmed": float((escape > 0).mean()),
        "image_auroc": float(auroc.mean()),
        "escape": float(escape.mean()),
        "worst_escape": float(max(escape.max(), 0.0)),
    }


def by_ranks(
    verdicts: Verdicts, selection: Scored, alone: Candidate, pair: Candidate, confidence: float, alike: bool = False
) -> float:
    """By how much the AUROC of the pair is higher at least, with this one-sided confidence.

    Args:
        verdicts: Confirmed parts.
        selection: Good parts that were held out of training.
        alone: Scores of the detector.
        pair: Scores out of fold.
        confidence: In (0, 1).
        alike: Whether confirmed defects count alike, however they were chosen.
    """
    weights = verdicts.weights.copy()
    good = ~verdicts.defective
    # As the product does: all confirmed good parts say as much as so many that were drawn evenly.
    weights[good] *= weights[good].sum() / (weights[good] ** 2).sum() if good.any() else 1.0
    if alike:
        weights[~good] = 1.0
    held_out = len(selection.scores)
    pairs = Pairs(
        np.concatenate([alone.verdicts, alone.selection]),
        np.concatenate([pair.verdicts, pair.selection]),
        np.concatenate([verdicts.defective, np.zeros(held_out, dtype=bool)]),
        np.concatenate([verdicts.seen.groups, selection.groups]),
        np.concatenate([weights, np.ones(held_out)]),
    )
    return gain(pairs, Metric.AUROC, confidence, _RESAMPLES, np.random.default_rng(0)).lower


def _line(folder: Path, line: str, seed: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    good, tested, defective = (40, 100, 60) if options.quick else (150, 500, 160)
    size = 64 if options.quick else 128
    data = make_parts(folder / "line", line, good=good, test_good=tested, defective=defective, size=size, seed=seed)
    config, budget = TrainConfig(size=size), Budget(steps=options.steps)
    with bar() as progress:
        bundle = train_bundle(data, folder / "bundle", config=config, budget=budget, seed=seed, progress=progress)
    tested_parts = [ImageRecord(one.path, one.label, one.split, None, one.group, one.part) for one in read_data(data)]
    rows: list[dict[str, Any]] = []
    with stage(bundle.folder, [one for one in tested_parts if one.split == "test"]) as at:
        for split in range(options.splits):
            stream, measured = rare_halves(at, split, options.defective)
            for now in replay(at, stream, "mix", options.answers, split):
                found = _case(at, now, measured, split)
                rows += [{"line": line, "seed": seed, "split": split} | found] if found else []
            say(f"{line}, seed {seed}, halves {split + 1} of {options.splits}")
    return rows


def _case(at: Stage, now: Decided, measured: Rows, seed: int) -> dict[str, Any] | None:
    """What the judges say after some answers, and what taking the fallback would change; None of too few defects."""
    asked = now.asked
    verdicts = Verdicts(
        Scored(at.scores[asked], at.embeddings[asked], at.groups[asked]), at.defective[asked], now.weights
    )
    if len(np.unique(at.groups[asked][verdicts.defective])) < MIN_DEFECTS_FOR_FALLBACK:
        return None
    selection = held_out_parts(at.bundle, "selection")
    selection = selection.rows(selection.embedded())
    alone = Candidate("the detector alone", verdicts.seen.scores, selection.scores)
    pair = score_held_out(verdicts, at.trained, selection, seed, None)
    lower = {
        name: by_ranks(verdicts, selection, alone, pair, confidence, alike=name == RANKS_ALIKE)
        for name, confidence in _CONFIDENCE.items()
    }
    choice = judge(verdicts, alone, pair, now.threshold.promise.limit)
    before, after = (measure(at, one, measured, _FALSE_REJECT) for one in (at.scores, _fused(at, verdicts, selection)))
    return {
        "answers": len(asked),
        "defects": int(verdicts.defective.sum()),
        "limit": now.threshold.promise.limit,
        "taken": {SIGN: choice.switched_on, **{name: low > 0 for name, low in lower.items()}, ALWAYS: True},
        "lower": lower,
        "before": before,
        "image_auroc": after["image_auroc"] - before["image_auroc"],
        "escape": after["escape"] - before["escape"],
    }


def _fused(at: Stage, verdicts: Verdicts, selection: Scored) -> Floats:
    """Decision scores of all images by detector and a fallback that learnt from all answers."""
    embeddings = np.concatenate([verdicts.seen.embeddings, at.trained])
    fallback = Fallback.fit(embeddings, np.concatenate([verdicts.defective, np.zeros(len(at.trained), dtype=bool)]))
    scale = fit_scale(selection.scores, fallback.combine(selection.embeddings))
    return fuse(at.scores, fallback.combine(at.embeddings), scale)


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table("line", "cases", "judge", "taken", "harmed", "image AUROC", "escapes at 5 %", "worst")
    for line in [*dict.fromkeys(row["line"] for row in rows), "all"]:
        own = [row for row in rows if line in (row["line"], "all")]
        for name in JUDGES:
            found = summary(own, name)
            table.add_row(
                line,
                str(len(own)),
                name,
                f"{found['taken']:.0%}",
                f"{found['harmed']:.0%}",
                f"{found['image_auroc']:+.4f}",
                f"{found['escape']:+.4f}",
                f"{found['worst_escape']:+.3f}",
            )
    return table


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fallback_judges",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--lines", nargs="+", choices=sorted(KINDS), default=["label", "tile", "fastener"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[31, 32], help="a line and a detector each")
    parser.add_argument("--splits", type=int, default=8, help="how often halves are drawn")
    parser.add_argument("--defective", type=float, default=0.12, help="share of the stream; all others are measured")
    parser.add_argument("--answers", type=int, nargs="+", default=[20, 40, 80], help="after which it is judged")
    parser.add_argument("--steps", type=int, default=150, help="of each training")
    parser.add_argument("--json", action="store_true", help="print one object as the last line of stdout")
    parser.add_argument("--quick", action="store_true", help="one small line, a few steps")
    options = parser.parse_args(arguments)
    if sorted(set(options.answers)) != options.answers or options.answers[0] < 1:
        parser.error("--answers ascend, from 1 or more")
    if not 0 < options.defective < 0.2:
        parser.error("--defective is above 0 and below 0.2, or hardly any are left to be measured")
    if options.quick:
        options.lines, options.seeds, options.splits, options.answers, options.steps = ["tile"], [31], 2, [60], 5
        options.defective = 0.19
    return options


if __name__ == "__main__":
    start(main)
