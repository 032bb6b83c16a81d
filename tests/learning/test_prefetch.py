"""Batches that are made ahead, in as many threads as there are."""

import threading
from itertools import islice

import pytest
import torch
from torch import Generator

from learning.prefetch import alone, makers, prefetch, step_generator


def number(generator: Generator) -> float:
    return float(torch.rand(1, generator=generator))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("every", [None, 1, 2, 5])
def test_batches_come_in_the_order_of_their_steps(threads: int, every: int | None) -> None:
    batches = prefetch(number, seed=3, first=2, every=every, threads=threads)
    assert list(islice(batches, 12)) == [number(step_generator(3, step)) for step in range(2, 14)]
    batches.close()


def test_several_are_made_at_once() -> None:
    together = threading.Barrier(3, timeout=20)

    def wait(generator: Generator) -> int:
        return together.wait()

    batches = prefetch(wait, seed=0, first=0, every=None, threads=3)
    next(batches)  # would wait for ever if none were made beside it
    batches.close()


@pytest.mark.parametrize("threads", [1, 4])
def test_none_is_made_over_an_update(threads: int) -> None:
    updates = 0
    seen: list[tuple[int, int]] = []

    def make(generator: Generator) -> int:
        return updates

    batches = prefetch(make, seed=0, first=1, every=3, threads=threads)
    for step in range(1, 13):
        seen.append((step, next(batches)))
        if (step + 1) % 3 == 0:
            updates += 1
    batches.close()
    assert seen == [(step, step // 3) for step in range(1, 13)]


def test_a_network_on_the_processor_has_one_maker_beside_it() -> None:
    assert makers("cpu") == 1
    assert 1 <= makers("cuda") <= 12


def test_torch_has_its_threads_back() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with alone(3):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        with alone(1):
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
