"""Searches for a worker process, timed the same way whatever engine does them. Needs NumPy alone."""

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from benchmarks.workers.memory import peak_memory

T = TypeVar("T")


class Engine(Protocol):
    """Something that finds the nearest vectors by the cosine."""

    def build(self, vectors: np.ndarray) -> str:
        """Take vectors [N, D] in; says what was built."""

    def ask(self, query: np.ndarray, k: int) -> list[int]:
        """Row numbers of the k nearest to a query [D], the nearest first."""


def serve(engine: Engine, vectors: Path, queries: Path) -> None:
    """Answer messages on stdin, one JSON object a line, until it ends.

    ``{"build": true}`` gives ``seconds``, ``processor`` (seconds of processor time, of all threads), ``built`` and
    ``peak_gib``; ``{"first": i, "count": n, "k": k}`` asks n queries and gives ``rows``, ``seconds`` and ``processor``
    for each, and ``peak_gib``, the process's highest resident memory so far, libraries and the vectors that were
    handed over included.
    """
    asked = np.load(queries)
    # What engines print must not get between the answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        message = json.loads(line)
        answer = _build(engine, vectors) if message.get("build") else _ask(engine, asked, message)
        answers.write(json.dumps(answer | {"peak_gib": _peak_gib()}) + "\n")
        answers.flush()


def _peak_gib() -> float | None:
    peak = peak_memory()
    return None if peak is None else peak * 1e6 / 2**30


def _build(engine: Engine, vectors: Path) -> dict[str, Any]:
    loaded = np.load(vectors)
    built, seconds, processor = _timed(partial(engine.build, loaded))
    return {"seconds": seconds, "processor": processor, "built": built}


def _ask(engine: Engine, queries: np.ndarray, message: dict[str, Any]) -> dict[str, Any]:
    asked = queries[message["first"] : message["first"] + message["count"]]
    timed = [_timed(partial(engine.ask, query, message["k"])) for query in asked]
    rows, seconds, processor = (list(column) for column in zip(*timed, strict=True))
    return {"rows": rows, "seconds": seconds, "processor": processor}


def _timed(work: Callable[[], T]) -> tuple[T, float, float]:
    """What it gives, seconds by the clock, and seconds of processor time."""
    clock, processor = time.perf_counter(), time.process_time()
    found = work()
    return found, time.perf_counter() - clock, time.process_time() - processor
