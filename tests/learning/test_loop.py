"""The training loop: repeatable by steps, bounded by minutes, and gone on from after an interruption."""

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from lightning.fabric import Fabric
from safetensors import safe_open
from torch import Generator, Tensor, nn

from learning import loop
from learning.detectors.base import Budget
from learning.loop import Schedule, _flush_denormals, train
from learning.prefetch import step_generator
from tests.learning.stopping import StopAt

STEPS = 12


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 1, 1))


def batch(generator: Generator) -> Tensor:
    return torch.rand(4, 1, 8, 8, generator=generator)


def losses(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    return {"square": (network(images).float() - images).square().mean()}


def weights(network: nn.Module) -> bytes:
    return b"".join(value.numpy().tobytes() for value in network.state_dict().values())


def run(network: nn.Module, seed: int = 0, budget: Budget | None = None, **options: object) -> int:
    report = train(network, batch, losses, budget or Budget(steps=STEPS), seed, Schedule(1e-2), **options)  # type: ignore[arg-type]
    return report.steps


def test_same_seed_and_steps_give_the_same_weights() -> None:
    first, second, other = model(), model(), model()
    run(first)
    run(second)
    run(other, seed=1)
    assert weights(first) == weights(second) != weights(other)


def test_batches_made_ahead_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    ahead, in_turn = model(), model()
    run(ahead)

    def one_by_one(
        make_batch: Callable[[Generator], Tensor], seed: int, first: int, every: int | None, threads: int
    ) -> Iterator[Tensor]:
        step = first
        while True:
            yield make_batch(step_generator(seed, step))
            step += 1

    monkeypatch.setattr(loop, "prefetch", one_by_one)
    run(in_turn)
    assert weights(ahead) == weights(in_turn)


def test_waiting_for_batches_is_counted() -> None:
    def slow(generator: Generator) -> Tensor:
        time.sleep(0.02)
        return batch(generator)

    report = train(model(), slow, losses, Budget(steps=STEPS), 0, Schedule(1e-2))
    assert 0.02 <= report.waited <= report.seconds


def test_training_lowers_the_loss() -> None:
    report = train(model(), batch, losses, Budget(steps=200), 0, Schedule(1e-2))
    assert report.losses["square"][-1] < 0.5 * report.losses["square"][0]


def test_an_interrupted_run_ends_like_one_that_was_not(tmp_path: Path) -> None:
    whole, halves = model(), model()
    run(whole)
    with pytest.raises(KeyboardInterrupt):
        run(halves, checkpoint=tmp_path, progress=StopAt(5))
    resumed = model()
    run(resumed, checkpoint=tmp_path)
    assert weights(whole) == weights(resumed) != weights(halves)
    assert not list(tmp_path.iterdir())


def test_a_run_by_minutes_goes_on_with_what_is_left_of_them(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(model(), budget=Budget(minutes=1), checkpoint=tmp_path, progress=StopAt(5))
    (checkpoint,) = tmp_path.iterdir()
    with safe_open(checkpoint, framework="pt") as opened:
        before = int(opened.metadata()["step"])
    assert before > 0
    # The whole of it has gone by: only a run that starts over would make steps of its own.
    assert run(model(), budget=Budget(minutes=1e-4), checkpoint=tmp_path) - before <= 1


def test_a_checkpoint_of_another_run_is_not_used(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(model(), checkpoint=tmp_path, progress=StopAt(5))
    whole, other = model(), model()
    run(whole, seed=1)
    run(other, seed=1, checkpoint=tmp_path)
    assert weights(whole) == weights(other)


def test_a_damaged_checkpoint_means_starting_over(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.safetensors").write_bytes(b"\x00" * 64)
    whole, fresh = model(), model()
    run(whole)
    run(fresh, checkpoint=tmp_path)
    assert weights(whole) == weights(fresh)


def test_a_budget_in_minutes_is_kept() -> None:
    started = time.monotonic()
    assert run(model(), budget=Budget(minutes=0.02)) > 0
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("given", [{}, {"minutes": 1, "steps": 1}, {"minutes": 0}, {"steps": -1}])
def test_a_budget_is_minutes_or_steps(given: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="either minutes or steps"):
        Budget(**given)


@pytest.mark.parametrize(
    ("tiles", "vectors", "cpu", "expected"),
    [
        (True, True, "Intel(R) Xeon(R) Processor", "bf16-mixed"),
        (False, True, "Intel(R) Xeon(R) Gold 6348H", "32-true"),
        (False, True, "AMD EPYC 9554 64-Core Processor", "bf16-mixed"),
        (False, False, "AMD EPYC 7763 64-Core Processor", "32-true"),
    ],
)
def test_bfloat16_is_taken_where_it_is_faster(
    monkeypatch: pytest.MonkeyPatch, tiles: bool, vectors: bool, cpu: str, expected: str
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: tiles)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: vectors)
    monkeypatch.setattr(loop, "cpu_name", lambda: cpu)
    assert loop.precision("cpu") == expected


@pytest.mark.parametrize("name", ["bf16-mixed", "32-true"])
def test_in_either_precision_an_interrupted_run_ends_like_one_that_was_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setattr(loop, "precision", lambda device: name)
    whole, resumed = model(), model()
    report = train(whole, batch, losses, Budget(steps=STEPS), 0, Schedule(1e-2))
    assert report.precision == name
    with pytest.raises(KeyboardInterrupt):
        run(model(), checkpoint=tmp_path, progress=StopAt(5))
    run(resumed, checkpoint=tmp_path)
    assert weights(whole) == weights(resumed)


def test_a_checkpoint_in_another_precision_is_not_gone_on_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(loop, "precision", lambda device: "bf16-mixed")
    with pytest.raises(KeyboardInterrupt):
        run(model(), checkpoint=tmp_path, progress=StopAt(5))
    monkeypatch.setattr(loop, "precision", lambda device: "32-true")
    whole, fresh = model(), model()
    run(whole)
    run(fresh, checkpoint=tmp_path)
    assert weights(whole) == weights(fresh)


def test_denormals_are_flushed_while_training_and_not_after() -> None:
    tiny = float(torch.finfo(torch.float32).tiny)
    with _flush_denormals():
        assert torch.tensor(tiny) / 2 == 0
    assert torch.tensor(tiny) / 2 > 0


def test_only_the_precision_is_not_announced(caplog: pytest.LogCaptureFixture) -> None:
    import lightning_utilities.core.rank_zero as said

    caplog.handler.setLevel(logging.INFO)
    said.log.addHandler(caplog.handler)  # Lightning's loggers hand nothing on
    try:
        Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")
        said.log.info("something else")
    finally:
        said.log.removeHandler(caplog.handler)
    assert "something else" in caplog.messages
    assert not [message for message in caplog.messages if "Mixed Precision" in message]


class Counter:
    """A callback that changes what batches are made of, and writes down when it is asked."""

    every = 3

    def __init__(self) -> None:
        self.value = torch.zeros(())
        self.training: list[bool] = []

    def update(self, model: nn.Module, generator: Generator) -> None:
        self.value = self.value + torch.rand((), generator=generator)
        self.training.append(model.training)

    def state_dict(self) -> dict[str, Tensor]:
        return {"value": self.value}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.value = state["value"]

    def batch(self, generator: Generator) -> Tensor:
        return batch(generator) + self.value


def run_with(counter: Counter, network: nn.Module, **options: object) -> None:
    train(network, counter.batch, losses, Budget(steps=STEPS), 0, Schedule(1e-2), callback=counter, **options)  # type: ignore[arg-type]


def test_a_callback_is_asked_between_steps_and_changes_the_batches_after() -> None:
    counter, plain, taught = Counter(), model(), model()
    run(plain)
    run_with(counter, taught)
    assert counter.training == [False] * (STEPS // 3)
    assert weights(plain) != weights(taught)


@pytest.mark.parametrize("stopped", [2, 3, 4])
def test_an_interrupted_run_with_a_callback_ends_like_one_that_was_not(tmp_path: Path, stopped: int) -> None:
    whole, resumed = model(), model()
    run_with(Counter(), whole)
    with pytest.raises(KeyboardInterrupt):
        run_with(Counter(), model(), checkpoint=tmp_path, progress=StopAt(stopped))
    run_with(Counter(), resumed, checkpoint=tmp_path)
    assert weights(whole) == weights(resumed)


def test_a_checkpoint_with_a_callback_is_not_used_without(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_with(Counter(), model(), checkpoint=tmp_path, progress=StopAt(5))
    whole, other = model(), model()
    run(whole)
    run(other, checkpoint=tmp_path)
    assert weights(whole) == weights(other)
