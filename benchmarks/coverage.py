"""``python -m benchmarks.coverage``: how often promises from verdicts are kept, over many simulated lines.

On each line good parts score N(0, 1) and defective ones N(3, 1), so that the truth is known. A stream of ten times the
labelled parts passes; the parts to label are a simple random sample of it, or drawn as ``review push`` draws asks.
Labels are flipped with the stated reading error. Each cell makes the promise on every line, and counts how often it is
kept. The bound by betting is laid beside others that are known for weighted labels.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table
from scipy.stats import beta, norm

from benchmarks.console import Clock, show
from learning.costs import least_cost_value
from learning.errors import PromiseError
from learning.promises import Labelled, cost_threshold, escape_bound, escape_threshold
from learning.sampling import AUDIT_SHARE, ask_probabilities, systematic_sample

NOMINAL = (0.9, 0.95, 0.99)
ERRORS = (0.0, 0.05)
DESIGNS = ("random", "priority")

SEPARATION = 3.0
_STREAM = 10
"""Parts of the stream for each that is labelled."""
_SET_BEFOREHAND = 2.0
"""Threshold while the parts are labelled: priorities are high near it, and the bound is about it."""
_COSTS = (5.0, 1.0)
_MOSTLY_REFUSED = 0.5

Floats = NDArray[np.float64]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark; the process ends with 1 where a promise is kept less often than it says, beyond chance.

    Args:
        arguments: Of the command line; by default those of the process.
    """
    options = _parse(arguments)
    clock = Clock()
    rows = []
    for n in options.n:
        for design in DESIGNS:
            for error in ERRORS:
                seeds = [[options.seed, n, DESIGNS.index(design), i] for i in range(options.lines)]
                lines = [simulate(np.random.default_rng(seed), n, design, error, options.defective) for seed in seeds]
                for nominal in NOMINAL:
                    where = {"n": n, "labels": design, "reading_error": error, "nominal": nominal}
                    rows += [where | figures for figures in measure(lines, nominal, error, options)]
                print(f"n = {n}, {design}, reading error {error:g}: done", file=sys.stderr)  # noqa: T201
    result = {
        "benchmark": "coverage",
        "lines": options.lines,
        "defective": options.defective,
        "max_escape": options.max_escape,
        "costs": _COSTS,
        "seed": options.seed,
        "rows": rows,
        "broken": [row for row in rows if row["kept"] is not None and _broken(row)],
    }
    result["methods"] = compare_methods(options.n, options.lines, options.seed, options.defective)
    result |= clock.read()
    show(result, [*tables(rows), methods_table(result["methods"])], options.json, width=160)
    if result["broken"]:
        raise SystemExit(1)


def simulate(generator: np.random.Generator, n: int, design: str, reading_error: float, share: float) -> Labelled:
    """Label n parts of a line.

    Args:
        generator: The line follows from it; lines of different reading errors are the same but for the errors.
        n: How many.
        design: ``random`` or ``priority``.
        reading_error: Probability with which a label is flipped.
        share: Of defective parts in the stream.
    """
    stream = _STREAM * n
    defective = generator.random(stream) < share
    scores = generator.normal(size=stream) + SEPARATION * defective
    weights, largest = None, 1.0
    if design == "random":
        chosen = generator.choice(stream, n, replace=False)
    else:
        probabilities = ask_probabilities(scores, _SET_BEFOREHAND, n)
        chosen = systematic_sample(probabilities, generator)
        weights, largest = 1 / probabilities[chosen], float(1 / probabilities.min())
    read = defective[chosen] ^ (generator.random(n) < reading_error)
    return Labelled(scores[chosen], read, np.arange(n).astype(str), weights, largest)


def measure(
    lines: Sequence[Labelled], nominal: float, reading_error: float, options: argparse.Namespace
) -> list[dict[str, Any]]:
    """Make each kind of promise on every line.

    Returns:
        For each kind ``promise``, ``limit`` (None where it is what is bounded), ``refused`` (share of the lines),
        ``kept`` (share of the lines on which it was made; None where at most half of them carry it), ``broken_share``
        (share of all lines on which it was made and is broken), ``naive_kept``, and ``median``: of the bound, or of the
        share of good parts that the threshold rejects.
    """
    return [
        *(_escapes(lines, limit, nominal, reading_error) for limit in options.max_escape),
        _bounds(lines, nominal, reading_error),
        _costs(lines, nominal, reading_error, options.defective),
    ]


def _escapes(lines: Sequence[Labelled], limit: float, nominal: float, reading_error: float) -> dict[str, Any]:
    values = [_made(partial(escape_threshold, line, limit, nominal, reading_error)) for line in lines]
    made = np.array([value[0] for value in values if value is not None])
    naive = np.array([_naive_value(line, limit) for line in lines])
    return _row("escape", limit, len(lines), escape_rate(made) <= limit, escape_rate(naive) <= limit, norm.sf(made))


def _bounds(lines: Sequence[Labelled], nominal: float, reading_error: float) -> dict[str, Any]:
    true = float(escape_rate(np.array(_SET_BEFOREHAND)))
    bounds = np.array([escape_bound(line, _SET_BEFOREHAND, nominal, reading_error).limit for line in lines])
    naive = np.array([_naive_bound(line, nominal) for line in lines])
    # A bound of 1 says nothing: it is as good as refused.
    said = bounds[bounds < 1]
    return _row("bound", None, len(lines), said >= true, naive >= true, said)


def _costs(lines: Sequence[Labelled], nominal: float, reading_error: float, share: float) -> dict[str, Any]:
    found = [_made(partial(cost_threshold, line, *_COSTS, nominal, reading_error)) for line in lines]
    made = np.array([(value, promise.limit) for value, promise in (one for one in found if one)]).reshape(-1, 2)
    naive = np.array([_naive_cost(line) for line in lines])

    def true(values: Floats) -> Floats:
        cost: Floats = share * _COSTS[0] * escape_rate(values) + (1 - share) * _COSTS[1] * norm.sf(values)
        return cost

    return _row("cost", None, len(lines), true(made[:, 0]) <= made[:, 1], true(naive[:, 0]) <= naive[:, 1], made[:, 1])


def escape_rate(values: Floats) -> Floats:
    """Share of defective parts that a threshold accepts: the truth."""
    rate: Floats = norm.cdf(values - SEPARATION)
    return rate


def _made(promise: Callable[[], tuple[float, Any]]) -> tuple[float, Any] | None:
    try:
        return promise()
    except PromiseError:
        return None


def _row(
    name: str, limit: float | None, lines: int, kept: NDArray[np.bool_], naive: NDArray[np.bool_], figures: Floats
) -> dict[str, Any]:
    refused = 1 - len(kept) / lines
    return {
        "promise": name,
        "limit": limit,
        "lines": lines,
        "refused": refused,
        "kept": float(kept.mean()) if refused < _MOSTLY_REFUSED else None,
        "broken_share": float((~kept).sum() / lines),
        "naive_kept": float(naive.mean()),
        "median": float(np.median(figures)) if refused < _MOSTLY_REFUSED else None,
    }


def _broken(row: dict[str, Any]) -> bool:
    allowed = 1 - row["nominal"]
    return bool(row["broken_share"] > allowed + 3 * np.sqrt(allowed * (1 - allowed) / row["lines"]))


def _naive_value(labelled: Labelled, limit: float) -> float:
    """Highest threshold at which at most the limit of those called defective was accepted, all counting alike."""
    lowest = np.sort(labelled.scores[labelled.defective])
    return float(lowest[min(int(limit * len(lowest)), len(lowest) - 1)] - 1e-12) if len(lowest) else np.inf


def _naive_bound(labelled: Labelled, nominal: float) -> float:
    """Upper bound of Clopper and Pearson, all labels counting alike and taken for true."""
    called = labelled.scores[labelled.defective]
    escaped = int((called <= _SET_BEFOREHAND).sum())
    return float(beta.ppf(nominal, escaped + 1, len(called) - escaped)) if escaped < len(called) else 1.0


def _naive_cost(labelled: Labelled) -> tuple[float, float]:
    """Threshold of the least cost, and that cost, by the same parts, all counting alike."""
    scores, defective = labelled.scores, labelled.defective
    value = least_cost_value(scores, defective, np.ones(len(scores)), *_COSTS)
    wrong = np.where(scores <= value, _COSTS[0] * defective, _COSTS[1] * ~defective)
    return value, float(wrong.mean())


def compare_methods(sizes: Sequence[int], lines: int, seed: int, share: float) -> list[dict[str, Any]]:
    """Bound the escapes at the threshold set beforehand from priority-drawn labels, by several methods.

    Returns:
        For each size and method ``n``, ``method``, ``holds`` (share of the lines, nominal 0.95) and ``median`` bound.
    """
    true = float(escape_rate(np.array(_SET_BEFOREHAND)))
    found = []
    for n in sizes:
        bounds: dict[str, list[float]] = {name: [] for name in METHODS}
        for i in range(lines):
            generator = np.random.default_rng([seed, n, 1, i])
            labelled = simulate(generator, n, "priority", 0.0, share)
            for name, method in METHODS.items():
                bounds[name].append(method(labelled, generator))
        found += [
            {
                "n": n,
                "method": name,
                "holds": float(np.mean(np.array(values) >= true)),
                "median": float(np.median(values)),
            }
            for name, values in bounds.items()
        ]
    return found


def _by_betting(labelled: Labelled, generator: np.random.Generator) -> float:
    return escape_bound(labelled, _SET_BEFOREHAND, 0.95).limit


def _by_empirical_bernstein(labelled: Labelled, generator: np.random.Generator) -> float:
    """Maurer and Pontil, "Empirical Bernstein bounds and sample variance penalization" (COLT 2009), theorem 4."""
    assert labelled.weights is not None
    weights, n, log = labelled.weights / labelled.largest_weight, len(labelled.scores), np.log(2 / 0.05)
    escaped = labelled.scores <= _SET_BEFOREHAND

    def carried(limit: float) -> bool:
        outcomes = weights * labelled.defective * (escaped - limit)
        margin = np.sqrt(2 * outcomes.var(ddof=1) * log / n) + 7 * log / (3 * (n - 1))
        return bool(outcomes.mean() + margin < 0)

    low, high = 0.0, 1.0
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (low, middle) if carried(middle) else (middle, high)
    return high


def _by_audits_alone(labelled: Labelled, generator: np.random.Generator) -> float:
    """The audits among the draws are a random sample of their own, with the exact bound."""
    assert labelled.weights is not None
    # Weights in the unit of an even share, of which the audits have a fixed part.
    audited = generator.random(len(labelled.scores)) < AUDIT_SHARE * labelled.weights / _STREAM
    called = labelled.scores[audited & labelled.defective]
    return _clopper_pearson(float((called <= _SET_BEFOREHAND).sum()), len(called))


def _by_effective_number(labelled: Labelled, generator: np.random.Generator) -> float:
    """Hajek's estimate, with Clopper and Pearson's bound at Kish's effective number of parts: an approximation."""
    assert labelled.weights is not None
    weights = labelled.weights[labelled.defective]
    if not len(weights):
        return 1.0
    share = float((weights * (labelled.scores[labelled.defective] <= _SET_BEFOREHAND)).sum() / weights.sum())
    effective = float(weights.sum() ** 2 / (weights**2).sum())
    return _clopper_pearson(share * effective, effective)


def _by_counting(labelled: Labelled, generator: np.random.Generator) -> float:
    return _naive_bound(labelled, 0.95)


def _clopper_pearson(hits: float, of: float) -> float:
    return float(beta.ppf(0.95, hits + 1, of - hits)) if hits < of else 1.0


METHODS: dict[str, Callable[[Labelled, np.random.Generator], float]] = {
    "betting": _by_betting,
    "empirical Bernstein": _by_empirical_bernstein,
    "audits alone, exact": _by_audits_alone,
    "effective number": _by_effective_number,
    "naive, unweighted": _by_counting,
}


def methods_table(found: Sequence[dict[str, Any]]) -> Table:
    """Draw the methods."""
    table = Table(
        title=f"bound of the escapes at {_SET_BEFOREHAND:g}, priority-drawn, nominal 0.95: holds, median bound"
    )
    sizes = sorted({row["n"] for row in found})
    for heading in ("method", *(f"n = {n}" for n in sizes)):
        table.add_column(heading, justify="right")
    by = {(row["method"], row["n"]): f"{row['holds']:.3f} {row['median']:.3f}" for row in found}
    for name in METHODS:
        table.add_row(name, *(by[name, n] for n in sizes))
    return table


def tables(rows: Sequence[dict[str, Any]]) -> list[Table]:
    """Draw one table for each kind of promise."""
    drawn = []
    for name, limit in dict.fromkeys((row["promise"], row["limit"]) for row in rows):
        title = {
            "escape": f"at most {100 * (limit or 0):g} % of defective parts accepted: kept (naive) good rejected",
            "bound": f"bound of the escapes at {_SET_BEFOREHAND:g}: holds (naive), median bound",
            "cost": f"bound of the cost a part, {_COSTS[0]:g} and {_COSTS[1]:g}: holds (naive), median bound",
        }[name]
        own = [row for row in rows if (row["promise"], row["limit"]) == (name, limit)]
        sizes = sorted({row["n"] for row in own})
        table = Table(title=title)
        for heading in ("labels", "errors", "nominal", *(f"n = {n}" for n in sizes)):
            table.add_column(heading, justify="right")
        by = {(row["labels"], row["reading_error"], row["nominal"], row["n"]): row for row in own}
        for design in DESIGNS:
            for error in ERRORS:
                for nominal in NOMINAL:
                    cells = [cell(by[design, error, nominal, n]) for n in sizes]
                    table.add_row(design, f"{error:g}", f"{nominal:g}", *cells)
        drawn.append(table)
    return drawn


def cell(row: dict[str, Any]) -> str:
    """What a cell of the table reads."""
    if row["kept"] is None:
        return f"refused ({row['naive_kept']:.3f})"
    some = f", {100 * row['refused']:.0f} % refused" if row["refused"] else ""
    return f"{row['kept']:.3f} ({row['naive_kept']:.3f}) {row['median']:.3f}{some}"


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage", description=__doc__)
    parser.add_argument("--lines", type=int, help="simulated lines of each cell (1000; quick: 100)")
    parser.add_argument("--n", type=lambda text: [int(n) for n in text.split(",")], default=[30, 100, 300, 1000])
    parser.add_argument("--max-escape", type=lambda text: [float(x) for x in text.split(",")], default=[0.1, 0.2])
    parser.add_argument("--defective", type=float, default=0.3, help="share of defective parts in the stream")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="fewer lines, under two minutes")
    parser.add_argument("--json", action="store_true", help="print one object as the last line of stdout")
    options = parser.parse_args(arguments)
    options.lines = options.lines or (100 if options.quick else 1000)
    return options


if __name__ == "__main__":
    main()
