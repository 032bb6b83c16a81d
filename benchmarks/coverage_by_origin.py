"""``python -m benchmarks.coverage_by_origin``: promises for each camera, over many simulated lines.

One model serves four cameras whose good parts score N(m, s²) with m and s of their own, so that the truth is known;
defective ones score N(m + 3s, s²). On every line thresholds by camera are set, and one threshold for all beside them.
Counted is how often each keeps its limit.
"""

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from rich.table import Table
from scipy.stats import norm

from benchmarks.console import Clock, show
from benchmarks.coverage import SEPARATION, Floats
from learning.bundle import by_group
from learning.origins import thresholds_by_origin
from learning.thresholds import conformal_threshold, smallest_promise

CAMERAS = {"left": (0.0, 1.0, 300), "right": (2.0, 1.0, 100), "wide": (0.0, 2.0, 60), "new": (4.0, 1.0, 20)}
"""Mean and spread of the good parts' scores, and calibration groups; of the last there are too few."""

LIMIT, CONFIDENCE = 0.05, 0.95
_SHARED = "shared"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark; the process ends with 1 where a promise is kept less often than it says, beyond chance.

    Args:
        arguments: Of the command line; by default those of the process.
    """
    options = _parse(arguments)
    clock = Clock()
    lines = [_line(np.random.default_rng([options.seed, i])) for i in range(options.lines)]
    # As many groups each time: the same cameras have values of their own on every line.
    own = {name: np.array([values[name] for values, _ in lines]) for name in lines[0][0]}
    one_for_all = np.array([value for _, value in lines])
    promised = [name for name in own if name != _SHARED]
    # What shares a value has the smallest promise that its own groups carry.
    limits = {
        name: LIMIT if name in promised else smallest_promise(groups, CONFIDENCE)
        for name, (_, _, groups) in CAMERAS.items()
    }
    rows: list[dict[str, Any]] = [
        {
            "camera": name,
            "groups": groups,
            "limit": limits[name],
            "own": _figures(name, own[name if name in promised else _SHARED], limits[name]),
            "one_for_all": _figures(name, one_for_all, limits[name]),
        }
        for name, (_, _, groups) in CAMERAS.items()
    ]
    rates = {name: _rejected(name, own[_SHARED]) for name in CAMERAS}
    weights = [groups for _, _, groups in CAMERAS.values()]
    shared = {
        "any_mix_kept": float((np.max([rates[name] for name in promised], axis=0) <= LIMIT).mean()),
        "calibration_mix_kept": float((np.average(list(rates.values()), axis=0, weights=weights) <= LIMIT).mean()),
    }
    kept = [row["own"]["kept"] for row in rows] + list(shared.values())
    least = CONFIDENCE - 3 * np.sqrt(CONFIDENCE * (1 - CONFIDENCE) / options.lines)
    result = {
        "benchmark": "coverage_by_origin",
        "lines": options.lines,
        "limit": LIMIT,
        "nominal": CONFIDENCE,
        "seed": options.seed,
        "rows": rows,
        "shared": shared,
        "all_kept_at_once": float(np.all([_rejected(name, own[name]) <= LIMIT for name in promised], axis=0).mean()),
    }
    show(result | clock.read(), [_table(rows, shared)], options.json, width=120)
    if min(kept) < least:
        raise SystemExit(1)


def _line(generator: np.random.Generator) -> tuple[dict[str, float], float]:
    """Own values and the shared one, and the one for all."""
    tables = [
        pd.DataFrame(
            {
                "group": [f"{name}{i}" for i in range(groups)],
                "camera": name,
                "decision_score": generator.normal(mean, spread, groups),
            }
        )
        for name, (mean, spread, groups) in CAMERAS.items()
    ]
    calibration = pd.concat(tables, ignore_index=True)
    shared, _, origins = thresholds_by_origin(calibration, "camera", LIMIT, CONFIDENCE)
    value, _ = conformal_threshold(by_group(calibration, "decision_score"), LIMIT, CONFIDENCE)
    return {name: own.value for name, own in origins.limits.items()} | {_SHARED: shared}, value


def _rejected(name: str, values: Floats) -> Floats:
    mean, spread, _ = CAMERAS[name]
    return np.asarray(norm.sf(values, mean, spread))


def _figures(name: str, values: Floats, limit: float) -> dict[str, float]:
    mean, spread, _ = CAMERAS[name]
    rejected = _rejected(name, values)
    return {
        "kept": float((rejected <= limit).mean()),
        "median_rejected": float(np.median(rejected)),
        "median_escapes": float(np.median(norm.cdf(values, mean + SEPARATION * spread, spread))),
    }


def _table(rows: Sequence[dict[str, Any]], shared: dict[str, float]) -> Table:
    title = (
        f"nominal {CONFIDENCE:g}: kept, median share of good parts rejected, of defective ones accepted; shared value "
        f"kept for any mix of cameras with own ones {shared['any_mix_kept']:.3f}, for the mix of all "
        f"{shared['calibration_mix_kept']:.3f}"
    )
    table = Table(title=title)
    for heading in ("camera", "groups", "limit", "by camera", "one for all"):
        table.add_column(heading, justify="right")
    for row in rows:
        cells = [
            f"{row[which]['kept']:.3f} {row[which]['median_rejected']:.3f} {row[which]['median_escapes']:.3f}"
            for which in ("own", "one_for_all")
        ]
        table.add_row(row["camera"], str(row["groups"]), f"{row['limit']:.4f}", *cells)
    return table


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage_by_origin", description=__doc__)
    parser.add_argument("--lines", type=int, help="simulated lines (1000; quick: 200)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="fewer lines")
    parser.add_argument("--json", action="store_true", help="print one object as the last line of stdout")
    options = parser.parse_args(arguments)
    options.lines = options.lines or (200 if options.quick else 1000)
    return options


if __name__ == "__main__":
    main()
