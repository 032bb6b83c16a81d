"""``python -m benchmarks.sync``: how fast a ledger and a FiftyOne data set are brought together, and what is written.

The ledger of ``benchmarks.made_ledger`` and a real database (mongod) on this machine.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from benchmarks.console import say, show
from benchmarks.machine import describe_machine
from benchmarks.made_ledger import FILES, JUDGED, judge, make_ledger, score
from benchmarks.workers.jobs import Memory
from curation.dataset import SyncReport, sync
from curation.ledger import Ledger
from curation.mongo import MongoServer

NAME = "benchmark"
ADDING, UPDATING = 1_000, 5_000
"""Samples a second that are asked for."""
OWN = 100
"""Documents that FiftyOne may write about the data set itself."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark.

    Args:
        arguments: Of the command line; by default those of the process.
    """
    options = _parse(arguments)
    os.environ.update({"OMP_NUM_THREADS": "1", "FIFTYONE_DO_NOT_TRACK": "true"})
    count = options.count or (20_000 if options.quick else 100_000)
    machine = {**describe_machine(), "load": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory(prefix="flawsmith-benchmark-", dir=options.folder) as folder:
        steps = measure(Path(folder), count, options.seed)
    by_name = {step["step"]: step for step in steps}
    result = {
        "benchmark": "sync",
        "quick": options.quick,
        "samples": count,
        "seed": options.seed,
        "adding_per_second": by_name["first"]["samples_per_second"],
        "updating_per_second": by_name["all changed"]["samples_per_second"],
        "meets": {
            "adding": by_name["first"]["samples_per_second"] >= ADDING,
            "updating": by_name["all changed"]["samples_per_second"] >= UPDATING,
            "only_what_changed": all(0 <= step["written"] - step["expected"] <= OWN for step in steps),
        },
        "peak_mb": max(step["peak_mb"] for step in steps if step["peak_mb"] is not None),
        "steps": steps,
        "files": f"{FILES} pictures and {FILES} maps, shared by all rows",
        "machine": machine,
    }
    show(result, _drawn(result), options.json)


def measure(folder: Path, count: int, seed: int) -> list[dict[str, Any]]:
    """Bring a ledger into an empty data set, and again after changes of several sizes.

    Args:
        folder: For the ledger and the database.
        count: Of images.
        seed: Of scores and of what changes.

    Returns:
        Of each sync: ``step``, ``seconds``, ``cpu_seconds`` (of this process), ``database_seconds`` (processor time of
        mongod), ``samples_per_second`` (of all), ``changed_per_second`` (of what had to be written), ``written``
        (documents, by mongod's own count), ``expected``, ``peak_mb`` (what the process took more while it ran).
    """
    rng = np.random.default_rng(seed)
    with Ledger.open(make_ledger(folder, count, rng)) as ledger, MongoServer(folder / "fiftyone") as server:
        import fiftyone as fo

        keys = [image.image_id for image in ledger.images()]
        # FiftyOne and the connection are loaded by now, as in a process that syncs every hour.
        fo.Dataset("warm").delete()

        def bring() -> SyncReport:
            return sync(ledger, NAME)

        say("syncing")
        steps = [_timed("first", count, server, bring)]
        steps.append(_timed("nothing changed", 0, server, bring))
        # None that has the same verdict already.
        some = rng.choice([k for n, k in enumerate(keys) if n % JUDGED], count // 100, replace=False).tolist()
        judge(ledger, some)
        steps.append(_timed("1 % changed: a verdict", len(some), server, bring))
        dataset = fo.load_dataset(NAME)
        dataset.match({"image_id": {"$in": some}}).tag_samples("look again")
        steps.append(_timed("1 % tagged in the App", len(some), server, bring))
        score(ledger, keys, folder, 2, rng)
        steps.append(_timed("all changed", count, server, bring))
        fo.delete_dataset(NAME)
        steps.append(_timed("data set deleted in the App", count, server, bring))
        assert len(fo.load_dataset(NAME).match_tags("look again")) == len(some)
    return steps


def _timed(step: str, expected: int, server: MongoServer, work: Callable[[], SyncReport]) -> dict[str, Any]:
    say(f"  {step}")
    before, database = _written(), _cpu_seconds(server.pid)
    memory = Memory("cpu")
    wall, cpu = time.perf_counter(), time.process_time()
    report = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    total = report.added + report.updated + report.unchanged
    return {
        "step": step,
        "seconds": wall,
        "cpu_seconds": cpu,
        "database_seconds": _cpu_seconds(server.pid) - database,
        "samples_per_second": total / wall,
        "changed_per_second": expected / wall,
        "written": _written() - before,
        "expected": expected,
        "peak_mb": memory.peak(),
    }


def _written() -> int:
    """Documents that mongod has inserted, changed or deleted so far."""
    import fiftyone.core.odm as foo

    found = foo.get_db_conn().command("serverStatus")["metrics"]["document"]
    return int(found["inserted"] + found["updated"] + found["deleted"])


def _cpu_seconds(pid: int | None) -> float:
    """Processor time of a process so far, where the system tells."""
    status = Path(f"/proc/{pid}/stat")
    if not status.is_file():
        return float("nan")
    fields = status.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _drawn(result: dict[str, Any]) -> Table:
    table = Table(title=f"{result['samples']:,} samples")
    for heading in ("sync", "s", "own CPU s", "mongod CPU s", "samples/s", "to write", "written", "/s", "more MB"):
        table.add_column(heading, justify="left" if heading == "sync" else "right")
    for step in result["steps"]:
        table.add_row(
            step["step"],
            f"{step['seconds']:.1f}",
            f"{step['cpu_seconds']:.1f}",
            f"{step['database_seconds']:.1f}",
            f"{step['samples_per_second']:,.0f}",
            f"{step['expected']:,}",
            f"{step['written']:,}",
            f"{step['changed_per_second']:,.0f}",
            "–" if step["peak_mb"] is None else f"{step['peak_mb']:.0f}",
        )
    return table


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sync", description=__doc__)
    parser.add_argument("--count", type=int, help="of samples; by default 100,000, quick 20,000")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="for some 100 MB of files while it runs; by default the system's")
    parser.add_argument("--json", action="store_true", help="print one object as the last line of stdout")
    parser.add_argument("--quick", action="store_true", help="under two minutes: the same code, fewer samples")
    options = parser.parse_args(arguments)
    if options.count is not None and options.count < FILES:
        parser.error(f"--count must be at least {FILES}")
    if options.folder and not options.folder.is_dir():
        parser.error(f"{options.folder} is no folder")
    return options


if __name__ == "__main__":
    main()
