"""Speed of push and pull against a real Label Studio, and what is lost when processes are killed: nothing.

``python -m benchmarks.review --json``; ``--quick`` for a short run. What was killed is said as it happens.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from benchmarks.console import say, start
from benchmarks.machine import describe_machine
from benchmarks.review_line import (
    annotations_of,
    answer_at_once,
    count_tasks,
    fill_ledger,
    lost_and_doubled,
    make_annotators,
)
from benchmarks.workers.push_and_pull import PULL_STEPS, PUSH_STEPS, WHERE, run
from curation.ledger import Ledger
from integrations.errors import ServerError
from integrations.label_studio import LabelStudioServer, ensure_project, pull, push

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    from label_studio_sdk import LabelStudio

_TASKS, _ANNOTATORS = 1000, 50
_REPEATED = 1000
"""Asks from which on a pull writes verdicts down in several transactions, whatever random kills leave."""
LONGEST = 600.0
"""Seconds that a worker may take to reach where it is halted, or to end when its server is gone."""


def main(arguments: list[str] | None = None) -> None:
    """Measure, print a table, and with ``--json`` one object as the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one object as the last line of stdout")
    parser.add_argument(
        "--quick", action="store_true", help="300 answers; 150 asks under a kill of ours at each step, and 4 at random"
    )
    parser.add_argument("--asks", type=int, default=10_000, help="pushed and pulled while things are killed")
    parser.add_argument("--step-kills", type=int, default=2, help="kills of ours at each step")
    parser.add_argument("--server-step-kills", type=int, default=1, help="kills of the server at each step of ours")
    parser.add_argument("--kills", type=int, default=24, help="of ours at random times, half at push and half at pull")
    parser.add_argument("--server-kills", type=int, default=6, help="of the server, likewise")
    parser.add_argument("--annotators", type=int, default=_ANNOTATORS, help="who answer at once; 0: nobody does")
    parser.add_argument(
        "--server", type=Path, help="folder of a server that is kept: it starts in a quarter of the time"
    )
    parser.add_argument("--only", choices=("speed", "crashes"), help="leave the other out")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if options.quick:
        options.asks, options.step_kills, options.server_step_kills = 150, 1, 0
        options.kills, options.server_kills = 2, 2
    with tempfile.TemporaryDirectory(prefix="flawsmith-review-") as name:
        folder = Path(name)
        began = time.monotonic()
        with LabelStudioServer(options.server or folder / "server", folder / "pictures") as server:
            results: dict[str, Any] = {"server_start_seconds": round(time.monotonic() - began, 1)}
            _say(results)
            annotators = make_annotators(server.client(), options.annotators)
            if options.only != "crashes":
                answers = 300 if options.quick else _TASKS
                results |= measure_speed(folder / "speed", server, annotators, answers, options.seed)
                _say(results)
            if options.only != "speed":
                results["crashes"] = measure_crashes(folder / "crashes", server, annotators, options)
                _say(results["crashes"])
    if options.json:
        results["load"] = os.getloadavg()
        sys.stdout.write(json.dumps({**results, "machine": describe_machine()}) + "\n")


def measure_speed(
    folder: Path, server: LabelStudioServer, annotators: list[LabelStudio], answers: int, seed: int
) -> dict[str, Any]:
    """Push 1,000 asks, let 50 annotators answer at once, and pull.

    Args:
        folder: For the ledger and its files.
        server: Running.
        annotators: Connections.
        answers: How many of the tasks are answered.
        seed: Of the pictures.

    Returns:
        Seconds of the whole push (the ledger read, neighbours found, pictures drawn, tasks imported and written down)
        and of the whole pull, with the processor's time of this process; and what became of the answers.
    """
    import learning.images.pixels  # noqa: F401 (brings torch, which `review push` has loaded with the bundle by then)

    folder.mkdir()
    with Ledger.open(folder / "ledger.db") as ledger:
        truth = fill_ledger(ledger, folder, _TASKS, 256, seed)
        client = server.client()
        project = ensure_project(client, f"speed {uuid.uuid4().hex}")
        pushed = _timed(lambda: push(ledger, client, project, server.images_root))
        again = _timed(lambda: push(ledger, client, project, server.images_root))
        began = time.monotonic()
        given, repeated = answer_at_once(client, annotators, project, truth, answers) if annotators else (0, 0)
        answering = time.monotonic() - began
        pulled = _timed(lambda: pull(ledger, client, project, folder / "masks"))
        nothing = _timed(lambda: pull(ledger, client, project, folder / "masks"))
        said = [verdict for verdict in ledger.verdicts() if verdict.ask_id]
        # Of one inspector the latest word counts: an annotation that the server has twice is one answer.
        answered = {(verdict.ask_id or "", verdict.inspector) for verdict in said}
        found = Counter(ask for ask, _ in answered)
        right = sum(truth[verdict.ask_id or ""].verdict == verdict.verdict for verdict in said)
    return {
        "tasks": _TASKS,
        "push_seconds": pushed[0],
        "push_cpu_seconds": pushed[1],
        "push_again_seconds": again[0],
        "pull_seconds": pulled[0],
        "pull_cpu_seconds": pulled[1],
        "pull_again_seconds": nothing[0],
        "annotators": len(annotators),
        "answers": given,
        "answers_per_second": round(given / answering, 1),
        "answers_given_again": repeated,
        "answers_in_ledger_once": sum(count == 1 for count in found.values()),
        "answers_doubled": sum(count > 1 for count in found.values()),
        "annotations_repeated_by_server": len(said) - len(answered),
        "verdicts_right": right,
    }


def measure_crashes(
    folder: Path, server: LabelStudioServer, annotators: list[LabelStudio], options: argparse.Namespace
) -> dict[str, Any]:
    """Kill ours and the server at every step of push and pull, and at random times; count what is lost or doubled.

    Returns:
        Kills that hit a running push or pull, by where, and asks and answers that were lost and doubled.
    """
    folder.mkdir()
    rng = np.random.default_rng(options.seed)
    result: dict[str, Any] = {"asks": options.asks}
    with Ledger.open(folder / "ledger.db") as ledger:
        truth = fill_ledger(ledger, folder, options.asks, 64, options.seed + 1)
        project = ensure_project(server.client(), f"crashes {uuid.uuid4().hex}")
        asks = list(truth)
        result["push_kills"] = _batter("push", folder, server, project, rng, options)
        push(ledger, server.client(), project, server.images_root)
        result["tasks"] = lost_and_doubled(count_tasks(server.client(), project), asks)
        tasks_of = {ask.ask_id: ask.task_id for ask in ledger.asks("pushed") if ask.project_id == project}
        result["tasks_in_ledger"] = lost_and_doubled(Counter(tasks_of.keys()), asks)
        _say(result)
        began = time.monotonic()
        answer_at_once(server.client(), annotators, project, truth, options.asks)
        say(f"{options.asks} answers given in {time.monotonic() - began:.0f} s")
        result["pull_kills"] = _batter("pull", folder, server, project, rng, options)
        pull(ledger, server.client(), project, folder / "masks", everything=True)
        said = [verdict for verdict in ledger.verdicts() if verdict.ask_id]
        answered = {(verdict.ask_id or "", verdict.inspector) for verdict in said}
        result["answers"] = lost_and_doubled(Counter(ask for ask, _ in answered), asks)
        revisions = Counter((verdict.external_id, verdict.revision) for verdict in said)
        # What the server itself stores twice has an annotation of its own, so that it is no double of ours.
        result["revisions"] = lost_and_doubled(
            {f"{key} {revision}": count for (key, revision), count in revisions.items()},
            annotations_of(server.client(), project),
        )
        result["verdicts_right"] = sum(truth[verdict.ask_id or ""].verdict == verdict.verdict for verdict in said)
        result["verdicts"] = len(said)
        result["masks_missing"] = sum(
            verdict.verdict == "defect" and not (verdict.regions_mask and verdict.regions_mask.is_file())
            for verdict in said
        )
    return result


def _batter(
    what: str,
    folder: Path,
    server: LabelStudioServer,
    project: int,
    rng: np.random.Generator,
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Kill pushes or pulls, and the server under them; those that had ended before are not counted.

    Returns:
        ``at_steps``: by step how often ours and the server were killed there; ``at_random``: likewise at random times.
    """
    places = {"ledger": str(folder / "ledger.db"), "url": server.url, "token": server.token}
    places |= {"images_root": str(server.images_root), "masks": str(folder / "masks")}
    # A hundredth in each import, so that there is work left for the last kill.
    given = (what, places, project, max(2, options.asks // 100))
    at_random = {"ours": 0, "server": 0}
    plan = ["ours"] * (options.kills // 2) + ["server"] * (options.server_kills // 2)
    for victim in rng.permutation(plan):
        with _worker(*given) as (worker, pipe):
            # From the first request to about where a tenth of a whole run is done, so that many kills find work.
            time.sleep(float(rng.uniform(0.0, 0.5 + options.asks / 5000)))
            at_random[str(victim)] += worker.is_alive()
            _kill(str(victim), worker, pipe, server)
    say(f"{what} killed at random times: {at_random}")
    at_steps: dict[str, dict[str, int]] = {}
    for step in PUSH_STEPS if what == "push" else PULL_STEPS:
        hit = at_steps.setdefault(step, {"ours": 0, "server": 0})
        for victim in ["ours"] * options.step_kills + ["server"] * options.server_step_kills:
            # What is done once in a run is halted at the first time; of what is repeated, at one of the first.
            once = "looking" in step or "looked" in step or "page" in step or "cursor" in step
            # One transaction holds all verdicts of a short run, which would end if it were not halted at the first.
            once |= "verdicts" in step and options.asks < _REPEATED
            turn = 1 if once else int(rng.integers(1, 3))
            with _worker(*given, (step, turn)) as (worker, pipe):
                hit[victim] += hears(worker, pipe) == f"at {step}"
                _kill(victim, worker, pipe, server)
        say(f"{what} killed, {step}: {hit}")
    return {"at_steps": at_steps, "at_random": at_random}


@contextmanager
def _worker(
    what: str, places: dict[str, str], project: int, chunk: int, halt: tuple[str, int] = ("", 1)
) -> Iterator[tuple[BaseProcess, Connection]]:
    """A push or a pull that has begun, and the line to it; it has ended in the end."""
    context = multiprocessing.get_context("forkserver")
    # Imported once, as each process would take longer for it than for its work.
    context.set_forkserver_preload(["benchmarks.workers.push_and_pull", "benchmarks.review_line"])
    ours, its = context.Pipe()
    worker = context.Process(target=run, args=(what, places, project, chunk, halt, its))
    worker.start()
    its.close()
    try:
        hears(worker, ours)
        yield worker, ours
    finally:
        worker.kill()
        worker.join()
        ours.close()


def hears(worker: BaseProcess, pipe: Connection) -> str:
    """What a worker says next; nothing where it has ended.

    Raises:
        ServerError: If it neither says anything nor ends.
    """
    if not pipe.poll(LONGEST):
        _give_up(worker)
    try:
        return str(pipe.recv())
    except (EOFError, ConnectionResetError):
        return ""


def _kill(victim: str, worker: BaseProcess, pipe: Connection, server: LabelStudioServer) -> None:
    """Kill a worker; or the server under it, which is started again when the worker has ended.

    Raises:
        ServerError: If the worker does not end when its server is gone.
    """
    if victim == "ours":
        worker.kill()
        worker.join()
        return
    assert server.pid is not None
    os.killpg(server.pid, signal.SIGKILL)
    with suppress(ConnectionError):  # it may have ended already
        pipe.send("go on")
    worker.join(LONGEST)
    if worker.is_alive():
        _give_up(worker)
    server.stop()
    server.start()


def _give_up(worker: BaseProcess) -> NoReturn:
    """Have a worker say where it is, and end the benchmark."""
    assert worker.pid is not None
    os.kill(worker.pid, WHERE)
    time.sleep(1)
    msg = (
        f"a worker has said nothing and not ended for {LONGEST:g} s; if it had begun, where each of its threads is "
        "stands above"
    )
    raise ServerError(msg)


def _say(results: dict[str, Any]) -> None:
    sys.stdout.write("".join(f"{key}: {value}\n" for key, value in results.items()))
    sys.stdout.flush()


def _timed(act: Any) -> tuple[float, float]:
    began, used = time.monotonic(), time.process_time()
    act()
    return round(time.monotonic() - began, 2), round(time.process_time() - used, 2)


if __name__ == "__main__":
    start(main)
