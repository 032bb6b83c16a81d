"""``python -m benchmarks.drift``: false alarms of ``flawsmith drift`` where nothing drifts, and how soon it sees drift.

Pictures of made-up tiles (or ``--data``) are scored once by a small detector; a replay draws a reference and a
stream from them, puts them in a random order, and asks as ``flawsmith drift`` would after every part. Production is
made in three ways: parts of all lots mixed; lots one after the other, watched by lots; and the same watched part by
part, which takes parts of a lot for independent and is wrong on purpose. About every fifth part an inspector is asked,
who is unsure of 5 %.

Rivals: each day (50 parts) a Kolmogorov-Smirnov test of every look and of the score against the reference, at 5 % over
the statistics of that day (Bonferroni); and at 5 % over the statistics of all days, whose number has to be known.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table
from scipy.stats import ks_2samp

from benchmarks.console import Clock, show
from benchmarks.drift_pool import PER_LOT, Pools, data_pools, made_up_pools
from benchmarks.drift_replays import PLANS, Drawn, Way, draw, reference_of, scaled
from curation.drift.cameras import Rules, watch_camera
from curation.drift.reading import Answer, Shot, Stream
from curation.drift.reference import Reference
from learning.intervals import clopper_pearson

_START = datetime(2026, 1, 5, tzinfo=UTC)
_ASKED = 5
_RATE = 0.05


@dataclass(frozen=True)
class Raised:
    """An alarm.

    Attributes:
        at: Place in the stream of the part with which it was raised.
        since: Place of the part with which the drift is said to have begun; None where a method says nothing of that.
    """

    at: int
    since: int | None = None


Method = Callable[[Drawn, Reference, Way], Raised | None]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark; the process ends with 1 where false alarms are above what is stated, beyond chance.

    Args:
        arguments: Of the command line; by default those of the process.
    """
    options = _parse(arguments)
    clock = Clock()
    pools = (
        data_pools(options.data, options.detector, options.seed)
        if options.data
        else made_up_pools(options.lots, options.drifted_lots, options.detector, options.seed)
    )
    print(f"{len(pools.clean.scores)} pictures are scored", file=sys.stderr)  # noqa: T201
    ways: Sequence[Way] = ("parts",) if options.data else options.production
    false_alarms = [row for way in ways for row in count_false_alarms(pools, way, options)]
    delays = [row for way in ways if way != "lots as parts" for row in count_delays(pools, way, options)]
    broken = [
        row
        for row in false_alarms
        if row["method"] == "flawsmith" and row["production"] != "lots as parts" and row["low"] > _RATE
    ]
    result = {
        "benchmark": "drift",
        "stated_rate": _RATE,
        "replays": options.replays,
        "delay_replays": options.delay_replays,
        "pool": pools.described | {"clean": len(pools.clean.scores)},
        "false_alarms": false_alarms,
        "delays": delays,
        "broken": broken,
        "seed": options.seed,
        **clock.read(),
    }
    show(result, [_false_alarm_table(false_alarms), _delay_table(delays), _date_table(delays)], options.json, width=160)
    if options.plot:
        from benchmarks.drift_figures import plot_delays

        plot_delays(false_alarms, delays, options.plot)
    if broken:
        raise SystemExit(1)


def count_false_alarms(pools: Pools, way: Way, options: argparse.Namespace) -> list[dict[str, Any]]:
    """How many replays without drift have any alarm, by method."""
    plan = scaled(PLANS[way], pools.clean, way)
    counts = dict.fromkeys(METHODS, 0)
    for replay in range(options.replays):
        rng = np.random.default_rng((options.seed, 0, replay))
        drawn = draw(pools.clean, None, way, plan, rng)
        reference = reference_of(drawn, way, pools.scale)
        for name, method in METHODS.items():
            counts[name] += method(drawn, reference, way) is not None
    rows = []
    for name, count in counts.items():
        low, high = clopper_pearson(count, options.replays)
        rows.append({"production": way, "method": name, "rate": count / options.replays, "low": low, "high": high})
    return rows


def count_delays(pools: Pools, way: Way, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Parts from the beginning of a drift to the alarm: median and 90 % quantile; None where it was not seen.

    And how far the beginning that the first alarm states lies after the true one: median, 5 and 95 % quantile, and the
    mean of its size.
    """
    rows = []
    for (drift, size), drifted in pools.drifted.items():
        plan = scaled(PLANS[way], pools.clean, way)
        seen: dict[str, list[float]] = {name: [] for name in METHODS}
        dated: dict[str, list[float]] = {name: [] for name in METHODS}
        for replay in range(options.delay_replays):
            rng = np.random.default_rng((options.seed, 1, replay))
            drawn = draw(pools.clean, drifted, way, plan, rng)
            reference = reference_of(drawn, way, pools.scale)
            each = PER_LOT if way == "lots" else 1
            for name, method in METHODS.items():
                alarm = method(drawn, reference, way)
                begins = plan.before * each
                if alarm is not None and alarm.at < begins:
                    continue  # a false alarm tells nothing of the delay
                seen[name].append(np.inf if alarm is None else alarm.at - begins + 1)
                if alarm is not None and alarm.since is not None:
                    dated[name].append(alarm.since - begins)
        for name, found in seen.items():
            rows.append(
                {
                    "production": way,
                    "drift": drift,
                    "size": size,
                    "method": name,
                    "median": _quantile(found, 0.5),
                    "q90": _quantile(found, 0.9),
                    "seen": float(np.mean(np.isfinite(found))) if found else None,
                    "dated_after": _quantile(dated[name], 0.5),
                    "dated_after_q05": _quantile(dated[name], 0.05),
                    "dated_after_q95": _quantile(dated[name], 0.95),
                    "dated_error": float(np.mean(np.abs(dated[name]))) if dated[name] else None,
                    "replays": len(found),
                    "at_most": plan.after * (PER_LOT if way == "lots" else 1),
                }
            )
    return rows


def ours(drawn: Drawn, reference: Reference, way: Way) -> Raised | None:
    """The first alarm of ``flawsmith drift``."""
    begin = 0 if way == "lots" else drawn.reference
    limit = float(drawn.scores[: drawn.reference].max())
    shots = [
        Shot(
            image_id=f"{place:06d}",
            path=Path(f"{place:06d}.png"),
            group=f"{place:06d}",
            lot=drawn.lots[place],
            at=_START + timedelta(minutes=place),
            score=float(drawn.scores[place]),
            look=tuple(drawn.looks[place]),
            embedding=drawn.embeddings[place],
        )
        for place in range(begin, len(drawn.scores))
    ]
    answers = [Answer(s.image_id, s.path, s.at, bool(drawn.unsure[int(s.image_id)])) for s in shots[::_ASKED]]
    stream = Stream("", "model", shots, answers, limit, True)
    first = PLANS["lots"].reference if way == "lots" else None
    state = watch_camera(stream, reference, Rules(_RATE, "lot" if way == "lots" else "group", first), _RATE)
    if not state.findings:
        return None
    alarm = state.findings[0]
    at, since = (
        int((when - _START) / timedelta(minutes=1)) - drawn.reference for when in (alarm.raised_at, alarm.since_at)
    )
    # Lots are dated by the last of the parts that speak for them.
    return Raised(at, since - since % PER_LOT if way == "lots" else since)


def kolmogorov(drawn: Drawn, days: int) -> Raised | None:
    """On the last part of the first day on which a test finds anything; the level is 5 % over so many days."""
    columns = np.column_stack([drawn.looks, drawn.scores])
    early = columns[: drawn.reference]
    limit = drawn.scores[: drawn.reference].max()
    for start in range(drawn.reference, len(columns) - drawn.day + 1, drawn.day):
        day = columns[start : start + drawn.day]
        for at in range(columns.shape[1]):
            one, other = early[:, at], day[:, at]
            if at == columns.shape[1] - 1:
                one, other = one[one < limit], other[other <= limit]
            varies = len(one) > 1 and len(other) > 1 and np.ptp(np.concatenate([one, other])) > 0
            if varies and ks_2samp(one, other).pvalue < _RATE / columns.shape[1] / days:
                return Raised(start + drawn.day - 1 - drawn.reference)
    return None


METHODS: dict[str, Method] = {
    "flawsmith": ours,
    "KS each day": lambda drawn, *_: kolmogorov(drawn, 1),
    "KS, days known": lambda drawn, *_: kolmogorov(drawn, max(1, (len(drawn.scores) - drawn.reference) // drawn.day)),
}


def _quantile(values: Sequence[float], share: float) -> float | None:
    """None where that many were not seen in time."""
    if not values:
        return None
    found = float(np.quantile(values, share, method="higher"))
    return found if np.isfinite(found) else None


def _false_alarm_table(rows: Sequence[dict[str, Any]]) -> Table:
    drawn = Table(title=f"False alarms where nothing drifts; stated: at most {100 * _RATE:g} %")
    for heading in ("production", "method", "replays with an alarm", "95 % interval"):
        drawn.add_column(heading, justify="right")
    for row in rows:
        interval = f"{100 * row['low']:.1f} to {100 * row['high']:.1f} %"
        drawn.add_row(row["production"], row["method"], f"{100 * row['rate']:.1f} %", interval)
    return drawn


def _delay_table(rows: Sequence[dict[str, Any]]) -> Table:
    drawn = Table(title="Parts until the alarm: median, 90 % (seen at all)")
    drawn.add_column("production")
    drawn.add_column("drift")
    for name in METHODS:
        drawn.add_column(name, justify="right")
    keys = dict.fromkeys((row["production"], row["drift"], row["size"]) for row in rows)
    by = {(row["production"], row["drift"], row["size"], row["method"]): row for row in rows}
    for key in keys:
        cells = [cell(by[(*key, name)]) for name in METHODS]
        drawn.add_row(key[0], f"{key[1]} {key[2]:g}", *cells)
    return drawn


def _date_table(rows: Sequence[dict[str, Any]]) -> Table:
    drawn = Table(title="Stated beginning of the first alarm, in parts after the true one")
    for heading in ("production", "drift", "median", "5 to 95 %", "mean size"):
        drawn.add_column(heading, justify="right")
    for row in rows:
        if row["dated_error"] is not None:
            span = f"{row['dated_after_q05']:.0f} to {row['dated_after_q95']:.0f}"
            name = f"{row['drift']} {row['size']:g}"
            drawn.add_row(row["production"], name, f"{row['dated_after']:.0f}", span, f"{row['dated_error']:.1f}")
    return drawn


def cell(row: dict[str, Any]) -> str:
    """What a cell of the table reads."""
    figures = ", ".join("–" if row[name] is None else f"{row[name]:.0f}" for name in ("median", "q90"))
    return "–" if row["seen"] is None else f"{figures} ({100 * row['seen']:.0f} %)"


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift", description=str(__doc__).splitlines()[0])
    parser.add_argument("--data", type=Path, help="a data set, of which only good training pictures are read")
    parser.add_argument("--replays", type=int, default=200, help="without drift")
    parser.add_argument("--delay-replays", type=int, default=60, help="of each drift and size")
    parser.add_argument("--lots", type=int, default=250, help=f"of {PER_LOT} made-up tiles each")
    parser.add_argument("--drifted-lots", type=int, default=50, help="for each drift and size")
    parser.add_argument("--production", nargs="+", choices=list(PLANS), default=list(PLANS), help="which to run")
    parser.add_argument("--detector", default="kmeans")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the tables")
    parser.add_argument("--json", action="store_true", help="print one object as the last line of stdout")
    parser.add_argument("--quick", action="store_true", help="under two minutes: 30 replays, fewer parts")
    options = parser.parse_args(arguments)
    if options.data and not options.data.exists():
        parser.error(f"{options.data} does not exist")
    if min(options.replays, options.delay_replays) < 1:
        parser.error("--replays and --delay-replays take 1 or more")
    if options.quick:
        options.replays, options.delay_replays = min(options.replays, 30), min(options.delay_replays, 5)
        options.lots, options.drifted_lots = min(options.lots, 80), min(options.drifted_lots, 40)
    if min(options.lots, options.drifted_lots) < PLANS["lots"].after:
        parser.error(f"--lots and --drifted-lots take {PLANS['lots'].after} or more")
    return options


if __name__ == "__main__":
    main()
