"""Several processes that paint on one GPU at once, as a data loader's workers would: the mix waits for the host."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from statistics import median
from typing import Any

from benchmarks.workers.jobs import Job
from benchmarks.workers.process import Worker

_PROCESSES = (1, 2, 4, 8, 12)
_BATCHES_EACH = 2
"""In a turn of each process, so that its start and end count for little."""

_CONTEXT_MB = 1500
"""Of a GPU's memory, which a process holds beside what it paints."""

_SPARE = 2.0
"""What freed blocks of other sizes take, as a factor."""


def measure_together(
    start: Callable[[], Worker], job: Job, batches: Sequence[int], rounds: int, cores: int, room: float
) -> list[dict[str, Any]]:
    """Let growing numbers of processes do the same job at once, each with flaws of its own.

    Args:
        start: Starts a process.
        job: What each of them does; numbers of images and seeds are set here.
        batches: Images at a time, each in turn.
        rounds: How often every number of processes has its turn; all have done their job once before.
        cores: Of the host: no more processes than those.
        room: Memory for all of them in MB: as many processes as fit there.

    Returns:
        For each size of batch and number of processes: ``images_per_second`` of all together, from the start of the
        first to the end of the last (median over the rounds), its ``range``, and ``peak_mb`` of one process.
    """
    numbers = [number for number in _PROCESSES if number <= cores] or [1]
    found = []
    with ExitStack() as stack, ThreadPoolExecutor(numbers[-1]) as pool:
        workers = [stack.enter_context(start()) for _ in range(numbers[-1])]

        def turn(number: int, one: Job) -> tuple[float, float | None]:
            began = time.perf_counter()
            jobs = [replace(one, seed=one.seed + i) for i in range(number)]
            answers = list(pool.map(Worker.do, workers[:number], jobs))
            peaks = [answer.peak_mb for answer in answers if answer.peak_mb is not None]
            return number * one.images / (time.perf_counter() - began), max(peaks, default=None)

        for batch in batches:
            sized = replace(job, batch=batch, images=_BATCHES_EACH * batch)
            _, peak = turn(1, sized)
            each = _CONTEXT_MB + _SPARE * (peak or 0)
            fitting = [number for number in numbers if number * each <= room] or [1]
            turn(fitting[-1], sized)
            turns = [[turn(number, sized) for number in fitting] for _ in range(rounds)]
            for number, of_number in zip(fitting, zip(*turns, strict=True), strict=True):
                rates = [rate for rate, _ in of_number]
                found.append(
                    {
                        "batch": batch,
                        "processes": number,
                        "images_per_second": median(rates),
                        "range": [min(rates), max(rates)],
                        "peak_mb": max((peak for _, peak in of_number if peak is not None), default=None),
                    }
                )
    return found
