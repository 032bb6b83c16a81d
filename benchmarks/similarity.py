"""``python -m benchmarks.similarity``: searches among many embeddings, beside FiftyOne's sklearn back end and LanceDB.

Each engine works in a process of its own, on one thread, and they take turns at the queries, so that whatever else the
machine does slows all of them down alike.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from rich.table import Table

from benchmarks.app_search import measure_app
from benchmarks.console import say, show
from benchmarks.machine import describe_machine
from benchmarks.peers import PeerError, lancedb_python
from benchmarks.similarity_vectors import isotropic, of_pictures
from benchmarks.workers.process import Worker
from curation.mongo import MongoServer

NEAREST = 10
WANTED_RECALL = 0.95
OURS = ("ivfpq", "hnsw", "flat")
SKLEARN = "sklearn"
LANCEDB = ("lancedb_ivfpq", "lancedb_flat")
PICTURES, ISOTROPIC = "pictures", "isotropic"
BUILD_LIMIT = 1200.0
"""Seconds of processor time to build an index in; an engine that takes more is ended, and its row says so."""


@dataclass(frozen=True)
class Task:
    """Vectors to search among.

    Attributes:
        source: "pictures" or "isotropic".
        count: How many.
        dims: Of each; 512 from pictures.
        engines: Which search them, in the order of their turns.
        rounds: How often every engine has its turn.
        slow_queries: Of each turn of an engine that compares all vectors.
        queries: Of each turn of the others.
    """

    source: str
    count: int
    dims: int
    engines: tuple[str, ...]
    rounds: int = 5
    slow_queries: int = 10
    queries: int = 40


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark.

    Args:
        arguments: Of the command line; by default those of the process.
    """
    options = _parse(arguments)
    os.environ.update({"OMP_NUM_THREADS": "1", "LANCE_CPU_THREADS": "1", "FIFTYONE_DO_NOT_TRACK": "true"})
    torch.set_num_threads(1)
    peer = None if options.alone else lancedb_python()
    tasks = [replace(task, engines=_present(task.engines, peer)) for task in _tasks(options)]
    machine = {**describe_machine(), "load": os.getloadavg()[0]}
    app = None
    if not options.skip_app:
        say("the App's server")
        with tempfile.TemporaryDirectory(prefix="flawsmith-benchmark-", dir=options.folder) as folder:
            count, dims = tasks[0].count, tasks[0].dims
            app = measure_app(Path(folder), isotropic(count, dims, options.seed), 10 if options.quick else 40)
    results = []
    for task in tasks:
        say(f"{task.count:,} × {task.dims}, {task.source}")
        with tempfile.TemporaryDirectory(prefix="flawsmith-benchmark-", dir=options.folder) as folder:
            results.append(measure(task, Path(folder), peer, options.data, options.seed))
    result = {"benchmark": "similarity", "quick": options.quick, "seed": options.seed, **figures(results, app)}
    result |= {"pictures": "made up" if options.data is None else options.data.name, "machine": machine}
    show(result, tables(result), options.json)


def measure(task: Task, folder: Path, peer: Path | None, data: Path | None, seed: int) -> dict[str, Any]:
    """Build with every engine and let them take turns at the same queries, which none has seen.

    Returns:
        ``source``, ``count``, ``dims``; ``engines``: of each the figures; ``unfinished``: those that took longer than
        ``BUILD_LIMIT`` to build; ``load``: of the machine before and after.
    """
    load = [os.getloadavg()[0]]
    wanted = max(task.queries, task.slow_queries) * task.rounds
    if task.source == PICTURES:
        vectors = of_pictures(data, task.count + wanted, seed)
    else:
        vectors = isotropic(task.count + wanted, task.dims, seed)
    vectors, queries = vectors[: task.count], vectors[task.count :]
    np.save(folder / "vectors.npy", vectors)
    np.save(folder / "queries.npy", queries)
    truth = nearest(vectors, queries)
    del vectors
    found: dict[str, dict[str, Any]] = {}
    unfinished = []
    with ExitStack() as stack:
        # Ends the database also when a worker that used it was ended.
        stack.enter_context(MongoServer(folder / "fiftyone"))
        workers = {}
        for engine in task.engines:
            say(f"  building {engine}")
            worker = stack.enter_context(_worker(engine, folder, peer))
            try:
                built = worker.ask({"build": True}, BUILD_LIMIT)
            except TimeoutError:
                unfinished.append(engine)
                continue
            workers[engine] = worker
            found[engine] = {**built, "rows": [], "times": [], "processor_times": [], "truth": []}
        for turn in range(task.rounds):
            for engine, worker in workers.items():
                count = task.queries if _is_quick(engine) else task.slow_queries
                first = turn * max(task.queries, task.slow_queries)
                answer = worker.ask({"first": first, "count": count, "k": NEAREST})
                found[engine]["rows"] += answer["rows"]
                found[engine]["times"].append(answer["seconds"])
                found[engine]["processor_times"].append(answer["processor"])
                found[engine]["truth"] += truth[first : first + count].tolist()
                found[engine]["peak_gib"] = answer["peak_gib"]
    summed = {engine: _summed(raw) for engine, raw in found.items()}
    facts = {"source": task.source, "count": task.count, "dims": queries.shape[1]}
    return facts | {"engines": summed, "unfinished": unfinished, "load": [*load, os.getloadavg()[0]]}


def nearest(vectors: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Row numbers ``[Q, 10]`` of the vectors ``[N, D]`` nearest by the cosine to each query ``[Q, D]``, in float64."""
    lengths = np.linalg.norm(vectors, axis=1).astype(np.float64)
    lines = []
    for query in queries:
        # Candidates in float32, then the truth among them.
        rough = vectors @ query / lengths
        some = np.argpartition(-rough, 10 * NEAREST)[: 10 * NEAREST]
        exact = vectors[some].astype(np.float64) @ query.astype(np.float64) / lengths[some]
        lines.append(some[np.lexsort((some, -exact))[:NEAREST]])
    return np.stack(lines)


def figures(results: list[dict[str, Any]], app: dict[str, Any] | None) -> dict[str, Any]:
    """What was asked for, from all that was measured.

    Args:
        results: Of ``measure``, the smaller sets first.
        app: Of ``measure_app``.

    Returns:
        ``ratio_query_sklearn``: the least over the sources, and over clock and processor time, of the median over the
        rounds of sklearn's time over that of our fastest kind with the wanted recall; ``recall_at_10``: the least of
        those kinds; ``app_query_seconds``; ``peak_gib_1m``: of the process with our kind on the largest set, which has
        ``peak_count`` vectors: a million unless less was asked for; ``sets``: everything.
    """
    chosen = [(found, _fastest(found["engines"])) for found in results]
    compared = [(found["engines"], kind) for found, kind in chosen if kind and SKLEARN in found["engines"]]
    least = min(found["count"] for found in results)
    small = [(found["engines"], kind) for found, kind in chosen if found["count"] == least]
    ratios = [_ratio(engines, kind) for engines, kind in compared if (engines, kind) in small]
    reached = [engines[kind]["recall"] if kind else 0.0 for engines, kind in small]
    largest, kind = chosen[-1]
    return {
        "ratio_query_sklearn": min(ratios) if len(ratios) == len(small) else None,
        "recall_at_10": min(reached),
        "app_query_seconds": None if app is None else median(app["search"]),
        "app_sort_seconds": None if app is None else median(app["sort"]),
        "app_first_seconds": None if app is None else app["first"],
        "peak_gib_1m": largest["engines"][kind]["peak_gib"] if kind else None,
        "peak_count": largest["count"],
        "kinds": [kind for _, kind in chosen],
        "sets": results,
    }


def tables(result: dict[str, Any]) -> list[Table]:
    """Draw the figures."""
    drawn = []
    for found in result["sets"]:
        title = f"{found['count']:,} × {found['dims']}, {found['source']}"
        table = Table(title=title)
        times = ("build s", "processor", "query p50 ms", "processor", "p99 ms")
        for heading in ("engine", *times, "recall@10", "peak GiB", "how"):
            table.add_column(heading, justify="left" if heading in ("engine", "how") else "right")
        for engine, row in found["engines"].items():
            peak = "–" if row["peak_gib"] is None else f"{row['peak_gib']:.2f}"
            table.add_row(
                engine,
                f"{row['build_seconds']:.1f}",
                f"{row['build_processor_seconds']:.1f}",
                f"{1000 * row['p50']:.2f}",
                f"{1000 * row['p50_processor']:.2f}",
                f"{1000 * row['p99']:.2f}",
                f"{row['recall']:.3f}",
                peak,
                row["built"],
            )
        for engine in found["unfinished"]:
            table.add_row(engine, "–", f"> {BUILD_LIMIT:.0f}", *["–"] * 5, "not finished")
        drawn.append(table)
    summary = Table(title="what was asked for", show_header=False)
    for name in ("ratio_query_sklearn", "recall_at_10", "app_query_seconds", "app_sort_seconds", "peak_gib_1m"):
        value = result[name]
        of = f" (of {result['peak_count']:,} vectors)" if name == "peak_gib_1m" else ""
        summary.add_row(name + of, "–" if value is None else f"{value:.3f}")
    return [*drawn, summary]


def _summed(raw: dict[str, Any]) -> dict[str, Any]:
    seconds = np.concatenate([np.asarray(turn) for turn in raw["times"]])
    hits = [len(set(rows) & set(true)) / NEAREST for rows, true in zip(raw["rows"], raw["truth"], strict=True)]
    return {
        "build_seconds": raw["seconds"],
        "build_processor_seconds": raw["processor"],
        "built": raw["built"],
        "p50": float(np.percentile(seconds, 50)),
        "p99": float(np.percentile(seconds, 99)),
        "queries": len(seconds),
        "p50_processor": float(np.median(np.concatenate([np.asarray(turn) for turn in raw["processor_times"]]))),
        "by_round": [median(turn) for turn in raw["times"]],
        "by_round_processor": [median(turn) for turn in raw["processor_times"]],
        "recall": float(np.mean(hits)),
        "peak_gib": raw["peak_gib"],
    }


def _fastest(engines: dict[str, Any]) -> str | None:
    good = [name for name in OURS if name in engines and engines[name]["recall"] >= WANTED_RECALL]
    return min(good, key=lambda name: engines[name]["p50"]) if good else None


def _ratio(engines: dict[str, Any], kind: str) -> float:
    """The lesser of that by the clock and by processor time: other work beside it slows long queries more."""
    ways = ("by_round", "by_round_processor")
    rounds = [zip(engines[SKLEARN][way], engines[kind][way], strict=True) for way in ways]
    return min(median(theirs / ours for theirs, ours in pairs) for pairs in rounds)


def _is_quick(engine: str) -> bool:
    return engine in ("ivfpq", "hnsw", "lancedb_ivfpq")


def _present(engines: tuple[str, ...], peer: Path | None) -> tuple[str, ...]:
    return tuple(name for name in engines if peer is not None or name not in LANCEDB)


def _worker(engine: str, folder: Path, peer: Path | None) -> Worker:
    files = [folder / "vectors.npy", folder / "queries.npy"]
    if engine in LANCEDB:
        assert peer is not None
        return Worker(peer, "benchmarks.workers.search_lancedb", [engine, *files, folder / engine])
    return Worker(Path(sys.executable), "benchmarks.workers.search_fiftyone", [engine, *files, folder / "fiftyone"])


def _tasks(options: argparse.Namespace) -> list[Task]:
    if options.quick:
        few = Task(PICTURES, 12_000, 512, ("ivfpq", SKLEARN, "lancedb_ivfpq"), rounds=3, slow_queries=5, queries=10)
        return [few, Task(ISOTROPIC, 30_000, 64, ("ivfpq",), 1)]
    small = Task(PICTURES, 100_000, 512, (*OURS, SKLEARN, *LANCEDB))
    # A graph of a million takes longer than all else together.
    some = ("ivfpq", "flat", SKLEARN, *LANCEDB)
    large = Task(ISOTROPIC, 1_000_000, 256, some, rounds=2, slow_queries=5, queries=50)
    chosen = [small, replace(small, source=ISOTROPIC), large]
    if options.engines:
        chosen = [replace(task, engines=tuple(options.engines)) for task in chosen]
    return [task for task in chosen if not options.sets or f"{task.source}-{task.count}" in options.sets]


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.similarity", description=__doc__)
    parser.add_argument("--data", type=Path, help="a data set, of whose good parts embeddings are made; else made-up")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--alone", action="store_true", help="leave LanceDB out, which needs a network at first")
    parser.add_argument("--skip-app", action="store_true", help="leave the App's server out")
    parser.add_argument("--engines", nargs="+", choices=(*OURS, SKLEARN, *LANCEDB), help="only these, of every set")
    parser.add_argument(
        "--sets", nargs="+", choices=("pictures-100000", "isotropic-100000", "isotropic-1000000"), help="only these"
    )
    parser.add_argument("--folder", type=Path, help="for some GB of files while it runs; by default the system's")
    parser.add_argument("--json", action="store_true", help="print one object as the last line of stdout")
    parser.add_argument("--quick", action="store_true", help="under two minutes: the same code, other figures")
    options = parser.parse_args(arguments)
    if options.data and not options.data.exists():
        parser.error(f"{options.data} does not exist")
    if options.folder and not options.folder.is_dir():
        parser.error(f"{options.folder} is no folder")
    return options


if __name__ == "__main__":
    try:
        main()
    except PeerError as error:
        say(f"[bold red]error:[/] {error}")
        sys.exit(2)
