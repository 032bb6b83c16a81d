"""Batches of a training, made ahead in threads of their own so that data and synthesis stay off the critical path."""

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from typing import Any

import torch

from learning.machine import available_cores

_MOST_MAKERS = 12


def makers(device: str) -> int:
    """Threads that make batches: one where the network computes on the processor, several where it leaves that free."""
    if not device.startswith("cuda"):
        return 1
    return min(max(1, available_cores() - 1), _MOST_MAKERS)


def step_generator(seed: int, step: int) -> torch.Generator:
    """Random numbers of one step; a resumed run draws what an uninterrupted one would have drawn."""
    return torch.Generator().manual_seed((seed * 1_000_003 + step * 7919 + 1) % 2**63)


@contextmanager
def alone(threads: int) -> Iterator[None]:
    """Let each of several threads that make batches compute by itself; with one, torch's own threads help it."""
    before = torch.get_num_threads()
    if threads > 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def prefetch(
    make_batch: Callable[[torch.Generator], Any], seed: int, first: int, every: int | None, threads: int
) -> Generator[Any, None, None]:
    """Batches from step ``first`` on, made ahead in other threads, one in each.

    None is made ahead over a step that ``every`` divides: what it is made of changes there.
    """
    made: deque[Future[Any]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="batches") as pool:
        try:
            for step in count(first):
                until = step + 1 + threads
                if every is not None:
                    until = min(until, (step // every + 1) * every)
                later = range(step + len(made), until)
                made.extend(pool.submit(make_batch, step_generator(seed, one)) for one in later)
                yield made.popleft().result()
        finally:
            for pending in made:
                pending.cancel()
