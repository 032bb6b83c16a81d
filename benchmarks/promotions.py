"""``python -m benchmarks.promotions``: how often a challenger is promoted, by what has changed.

Lines are simulated at the level of scores, so that the truth is known. A part has a score that both models share to the
correlation given, and noise of each model's own; defective parts lie higher by the model's separation. Thresholds come
from calibration parts of the same line, 5 % of good parts rejected, as far as these tell. The frozen set is a simple
random sample of the stream, or drawn as ``review push`` draws asks: near the *champion's* threshold.

Where nothing changed, both models have the same separation (``same``), or separations that luck of the training draws
for each of them (``luck``), so that one of them is truly better, if only by luck. Where the challenger is better its
separation is larger by the effect given. In each replay the challenger is judged by ``learning.challenge``, as in
``flawsmith retrain challenger``. Naive beside it is to promote whatever has the higher AUROC on the same parts, all
counting alike.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from benchmarks.console import Clock, show
from learning.challenge import ChallengeConfig, Metric, Pairs, judge
from learning.challenge.gains import weighted_auroc
from learning.errors import ConfigError, PromiseError
from learning.sampling import ask_probabilities, systematic_sample

DESIGNS = ("random", "priority")
CORRELATIONS = (0.5, 0.9)
"""Of the scores of two models on parts of one kind."""
NOTHING_CHANGED = ("same", "luck")

_STREAM = 10
"""Parts of the stream for each that is confirmed and frozen."""
_CALIBRATION = 60
_REJECTED = 0.05
_ALLOWED = 0.05

Floats = NDArray[np.float64]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark; the process ends with 1 where nothing changed and more than 5 % are promoted, beyond chance.

    Args:
        arguments: Of the command line; by default those of the process.
    """
    options = _parse(arguments)
    clock = Clock()
    rows = []
    for primary in options.primary:
        config = config_for(primary, options)
        for n in options.n:
            for design in DESIGNS:
                for correlation in CORRELATIONS:
                    for change in [*NOTHING_CHANGED, *options.effects]:
                        where = {"primary": primary, "n": n, "labels": design, "correlation": correlation}
                        rows.append(where | {"change": change} | replay(where, change, config, options))
                print(f"{primary}, n = {n}, {design}: done", file=sys.stderr)  # noqa: T201
    result = {
        "benchmark": "promotions",
        "replays": options.replays,
        "defective": options.defective,
        "separation": options.separation,
        "luck": options.luck,
        "config": config_for("auroc", options).model_dump(mode="json"),
        "seed": options.seed,
        "rows": rows,
        "broken": [row for row in rows if row["change"] == "same" and too_many(row["promoted"], options.replays)],
        **clock.read(),
    }
    drawn = [table([row for row in rows if row["primary"] == primary], primary) for primary in options.primary]
    show(result, drawn, options.json, width=160)
    if result["broken"]:
        raise SystemExit(1)


def config_for(primary: str, options: argparse.Namespace) -> ChallengeConfig:
    """The default configuration with another primary metric, without made-up defects, which are not simulated."""
    margins = dict(ChallengeConfig().margins)
    for metric in (Metric.SYNTHETIC_ESCAPE, Metric(primary)):
        margins.pop(metric, None)
    if options.margin is not None:
        margins = dict.fromkeys(margins, options.margin)
    return ChallengeConfig(
        primary=Metric(primary),
        least_gain=options.least_gain,
        margins=margins,
        synthetic_each=0,
        resamples=options.resamples,
    )


def replay(
    where: dict[str, Any], change: str | float, config: ChallengeConfig, options: argparse.Namespace
) -> dict[str, Any]:
    """Judge many challengers.

    Returns:
        ``promoted`` (share of all replays), ``no_decision`` (share that was refused as the data could not carry one),
        ``worse_promoted`` (share of all replays in which a challenger of a smaller separation was promoted), ``naive``.
    """
    promoted, undecided, worse, naive = 0, 0, 0, 0
    for i in range(options.replays):
        seed = [options.seed, where["n"], DESIGNS.index(where["labels"]), round(100 * where["correlation"]), i]
        rng = np.random.default_rng(seed)
        separations = separations_of(change, rng, options)
        pairs = simulate(rng, where["n"], where["labels"], where["correlation"], separations, options.defective)
        even = np.ones(len(pairs.weights))
        naive += bool(
            weighted_auroc(pairs.challenger, pairs.defective, even)
            > weighted_auroc(pairs.champion, pairs.defective, even)
        )
        try:
            wins = judge(pairs, config).wins
        except PromiseError:
            undecided += 1
            continue
        promoted += wins
        worse += wins and separations[1] < separations[0]
    counts = {"promoted": promoted, "no_decision": undecided, "worse_promoted": worse, "naive": naive}
    return {name: count / options.replays for name, count in counts.items()}


def separations_of(change: str | float, rng: np.random.Generator, options: argparse.Namespace) -> tuple[float, float]:
    """How far defective parts lie above good ones: for the champion, and for the challenger."""
    luck = rng.normal(0, options.luck, 2)  # drawn in any case, so that the parts are the same
    base = options.separation
    if change == "luck":
        return base + luck[0], base + luck[1]
    return base, base + (0.0 if isinstance(change, str) else change)


def simulate(
    rng: np.random.Generator, n: int, design: str, correlation: float, separations: tuple[float, float], share: float
) -> Pairs:
    """Confirm n parts of a line.

    Args:
        rng: The line follows from it.
        n: How many parts, each a group of its own.
        design: ``random`` or ``priority``.
        correlation: Of the two models' scores of parts of one kind.
        separations: Of champion and challenger.
        share: Of defective parts in the stream.
    """
    stream = _STREAM * n
    defective = rng.random(stream) < share
    scores = _two_models(rng, stream, correlation)
    scores += np.array(separations)[:, None] * defective
    calibration = _two_models(rng, _CALIBRATION, correlation)
    thresholds = np.quantile(calibration, 1 - _REJECTED, axis=1)
    weights: Floats = np.ones(n)
    if design == "random":
        chosen = rng.choice(stream, n, replace=False)
    else:
        probabilities = ask_probabilities(scores[0], float(thresholds[0]), n)
        chosen = systematic_sample(probabilities, rng)
        weights = 1 / probabilities[chosen]
    margins = scores[:, chosen] - thresholds[:, None]
    return Pairs(margins[0], margins[1], defective[chosen], np.arange(len(chosen)).astype(str), weights)


def _two_models(rng: np.random.Generator, n: int, correlation: float) -> Floats:
    shared, own = rng.normal(size=n), rng.normal(size=(2, n))
    scores: Floats = np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own
    return scores


def too_many(promoted: float, replays: int) -> bool:
    """Whether a share of promotions is above 5 % by more than chance explains."""
    return bool(promoted > _ALLOWED + 3 * np.sqrt(_ALLOWED * (1 - _ALLOWED) / replays))


def table(rows: Sequence[dict[str, Any]], primary: str) -> Table:
    """Draw the rows of one primary metric."""
    drawn = Table(title=f"{primary}: promoted (no decision), and naive")
    changes = list(dict.fromkeys(row["change"] for row in rows))
    for heading in ("labels", "correlation", "n", *(c if isinstance(c, str) else f"+{c:g}" for c in changes)):
        drawn.add_column(heading, justify="right")
    by = {(row["labels"], row["correlation"], row["n"], row["change"]): row for row in rows}
    for labels, correlation, n in dict.fromkeys(key[:3] for key in by):
        cells = [cell(by[labels, correlation, n, change]) for change in changes]
        drawn.add_row(labels, f"{correlation:g}", str(n), *cells)
    return drawn


def cell(row: dict[str, Any]) -> str:
    """What a cell of the table reads."""
    undecided = f" ({100 * row['no_decision']:.0f} %)" if row["no_decision"] else ""
    return f"{100 * row['promoted']:.1f} %{undecided}, {100 * row['naive']:.0f} %"


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.promotions", description=str(__doc__).splitlines()[0])
    parser.add_argument("--replays", type=int, default=200)
    parser.add_argument("--n", type=int, nargs="+", default=[100, 300, 1000], help="confirmed parts in the frozen set")
    parser.add_argument("--defective", type=float, default=0.3, help="share of the stream")
    parser.add_argument("--separation", type=float, default=2.0, help="of the champion, in standard deviations")
    parser.add_argument("--luck", type=float, default=0.1, help="standard deviation of the separation over trainings")
    parser.add_argument("--effects", type=float, nargs="*", default=[0.5, 1.0], help="of better challengers")
    parser.add_argument("--primary", nargs="+", default=["auroc", "escape_rate", "cost"])
    parser.add_argument("--least-gain", type=float, default=0.25, help="see configs/challenge.yaml")
    parser.add_argument("--margin", type=float, help="of all other metrics (the defaults of configs/challenge.yaml)")
    parser.add_argument("--resamples", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one object as the last line of stdout")
    parser.add_argument("--quick", action="store_true", help="under two minutes: 40 replays of small sets")
    options = parser.parse_args(arguments)
    if options.replays < 1 or min(options.n) < 1 or not 0 < options.defective < 1:
        parser.error("--replays and --n take 1 or more, --defective a share between 0 and 1")
    try:
        for primary in options.primary:
            config_for(primary, options)
    except (ConfigError, ValueError):
        parser.error("--primary takes auroc, escape_rate and cost, --resamples 200 or more")
    if options.quick:
        options.replays, options.n, options.primary = min(options.replays, 40), [min(options.n)], options.primary[:1]
    return options


if __name__ == "__main__":
    main()
