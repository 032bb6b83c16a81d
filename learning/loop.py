"""The training loop that all gradient-trained detectors share, on Lightning Fabric."""

import logging
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from lightning.fabric import Fabric
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from learning.detectors.base import Budget
from learning.machine import cpu_name
from learning.muon import Muon
from learning.prefetch import alone, makers, prefetch, step_generator
from learning.progress import Progress, silent

CHECKPOINT_SECONDS = 60.0
"""How much work a kill can cost at most, when a checkpoint folder is given."""

_KERNEL = 4
"""Dimensions of a convolution's weights."""


def _not_about_precision(record: logging.LogRecord) -> bool:
    """Keep what Fabric says on every set-up about its precision off the terminal, and nothing else."""
    return "Automatic Mixed Precision (AMP)" not in record.getMessage()


# Fabric logs under PyTorch Lightning's name where that is imported too, as the package itself does.
for _name in ("lightning.fabric.utilities.rank_zero", "lightning.pytorch.utilities.rank_zero"):
    logging.getLogger(_name).addFilter(_not_about_precision)


@dataclass
class LoopReport:
    """What the loop did.

    Attributes:
        steps: Optimiser steps taken, those before an interruption included.
        seconds: Wall-clock time, that before an interruption included.
        losses: Mean of every loss over each twentieth of the run or less.
        waited: Seconds since the last interruption in which nothing was done but wait for the next batch.
        precision: What was computed in; see ``precision``.
    """

    steps: int
    seconds: float
    precision: str
    losses: dict[str, list[float]] = field(default_factory=dict)
    waited: float = 0.0


@dataclass(frozen=True)
class Schedule:
    """Learning rate over the run: a linear warm-up, then a cosine down to zero (Loshchilov & Hutter, 2017)."""

    peak: float
    warmup: float = 0.05

    def rate(self, fraction: float) -> float:
        """Learning rate at a fraction (0..1) of the run."""
        if fraction < self.warmup:
            return self.peak * max(fraction / self.warmup, 0.02)
        return self.peak * 0.5 * (1 + math.cos(math.pi * min(1.0, (fraction - self.warmup) / (1 - self.warmup))))


class Rates(Protocol):
    """A learning rate over the run; ``Schedule``, or one that follows what a callback has seen."""

    @property
    def peak(self) -> float:
        """The first, or highest."""

    def rate(self, fraction: float) -> float:
        """Learning rate at a fraction (0..1) of the run."""


class Callback(Protocol):
    """Something that looks at the network now and then, and changes what batches are made of."""

    @property
    def every(self) -> int:
        """Steps between two updates."""

    def update(self, model: nn.Module, generator: torch.Generator) -> None:
        """Look at the averaged network, which is in evaluation mode; no batch is being made meanwhile."""

    def state_dict(self) -> dict[str, Tensor]:
        """What updates have changed, for the checkpoint; the same names and shapes at any time."""

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what ``state_dict`` gave."""


def precision(device: str) -> str:
    """``bf16-mixed`` where steps are faster in bfloat16, else ``32-true``; see ``benchmarks.precision``.

    It follows from the hardware alone: by a trial of speed, the same command could give other weights.
    """
    if device.startswith("cuda"):
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    # Without any of these instructions bfloat16 is emulated. Intel's AVX-512 multiplies it no faster than float32, and
    # has to convert it as well: a step takes 1.4 times as long. With AMX, or on AMD's, it takes half or less.
    faster = torch.cpu._is_amx_tile_supported() or (
        torch.cpu._is_avx512_bf16_supported() and not cpu_name().startswith("Intel")
    )
    return "bf16-mixed" if faster else "32-true"


@contextmanager
def _flush_denormals() -> Iterator[None]:
    """Round numbers next to zero to zero, without which a small network slows down fivefold as it learns.

    The processor's state is put back afterwards: other code in the process may rely on it.
    """
    flushed = bool(torch.tensor(torch.finfo(torch.float32).tiny) / 2 == 0)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(flushed)


@_flush_denormals()
def train(
    model: nn.Module,
    make_batch: Callable[[torch.Generator], Any],
    compute_losses: Callable[[nn.Module, Any], dict[str, Tensor]],
    budget: Budget,
    seed: int,
    schedule: Rates,
    weight_decay: float = 0.01,
    ema_decay: float = 0.995,
    betas: tuple[float, float] = (0.9, 0.999),
    muon: bool = False,
    device: str = "cpu",
    progress: Progress = silent,
    checkpoint: Path | None = None,
    text: str = "training",
    callback: Callback | None = None,
) -> LoopReport:
    """Train a model in place; it ends with the exponential moving average of its weights.

    Args:
        model: Trained with AdamW (Loshchilov & Hutter, 2019), its convolutions with Muon where that is asked for.
        make_batch: Makes the batch of a step from that step's generator; called ahead, in another thread, so that
            data and synthesis stay off the critical path.
        compute_losses: Named losses of a batch; their sum is minimised.
        budget: Minutes count from the first call, those before an interruption included.
        seed: Every random choice follows from it.
        schedule: Learning rate over the budget.
        weight_decay: Of both.
        ema_decay: Decay of the moving average, ramped up over the first steps.
        betas: Of AdamW; adversaries take a lower first one than others, as in DCGAN.
        muon: Move the kernels of convolutions by ``Muon``, at the same learning rate.
        device: ``cpu`` or ``cuda``.
        progress: Told the fraction of the budget that is used.
        checkpoint: Folder for the state of an interrupted run, which the next call goes on from. Deleted at the end.
        text: What the progress says.
        callback: Updated between steps; its state is part of the checkpoint.

    Returns:
        Steps, seconds, and the losses over the run.
    """
    computed_in = precision(device)
    fabric = Fabric(accelerator="cuda" if device.startswith("cuda") else "cpu", devices=1, precision=computed_in)  # type: ignore[arg-type]
    kernels: list[Tensor] = []
    others: list[Tensor] = []
    for weight in model.parameters():
        (kernels if muon and weight.ndim == _KERNEL else others).append(weight)
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(others, lr=schedule.peak, betas=betas, weight_decay=weight_decay)
    ]
    if kernels:
        optimizers.append(Muon(kernels, lr=schedule.peak, weight_decay=weight_decay))
    averaged = deepcopy(model)
    wrapped, *wrapped_optimizers = fabric.setup(model, *optimizers)
    averaged.to(fabric.device).eval()

    fingerprint = _fingerprint(seed, budget, computed_in, model, optimizers, callback)
    state = _Checkpoint(checkpoint, model, averaged, optimizers, callback, fingerprint)
    step, before = state.restore()
    started = saved = time.monotonic()

    def elapsed() -> float:
        return before + time.monotonic() - started

    def fraction() -> float:
        if budget.steps is not None:
            return step / budget.steps
        return elapsed() / (60 * budget.minutes) if budget.minutes else 1.0

    recent: dict[str, Tensor] = {}
    summed = 0
    history: dict[str, list[float]] = {}
    marks = 0
    waited = 0.0
    wrapped.train()
    batches = prefetch(make_batch, seed, step, callback.every if callback else None, makers(device))
    with _Interrupt() as interrupt, alone(makers(device)), closing(batches):
        while (done := fraction()) < 1:
            for optimizer in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = schedule.rate(done)
            asked = time.monotonic()
            batch = next(batches)
            waited += time.monotonic() - asked
            losses = compute_losses(wrapped, batch)
            for wrapped_optimizer in wrapped_optimizers:
                wrapped_optimizer.zero_grad()
            fabric.backward(torch.stack(list(losses.values())).sum())
            for wrapped_optimizer in wrapped_optimizers:
                wrapped_optimizer.step()
            step += 1
            _average(averaged, model, min(ema_decay, step / (step + 10)))
            if callback is not None and step % callback.every == 0:
                # Numbers of its own: those of the steps from 0 upwards make batches.
                callback.update(averaged, step_generator(seed, -step))
            # Summed where they are: reading one waits until a GPU has done all that it was asked for.
            recent = {name: loss.detach().double() + recent.get(name, 0.0) for name, loss in losses.items()}
            summed += 1
            if int(fraction() * 20) > marks:
                marks = int(fraction() * 20)
                for name, total in recent.items():
                    history.setdefault(name, []).append(float(total) / summed)
                recent, summed = {}, 0
            progress(min(fraction(), 1.0), 1.0, text)
            if interrupt.asked or time.monotonic() - saved > CHECKPOINT_SECONDS:
                state.save(step, elapsed())
                saved = time.monotonic()
            if interrupt.asked:
                raise KeyboardInterrupt
    state.remove()
    model.load_state_dict(averaged.state_dict())
    model.eval()
    return LoopReport(step, elapsed(), computed_in, history, waited)


class _Interrupt:
    """Turns Ctrl-C into a flag, so that no checkpoint is taken in the middle of a step; a second one stops at once."""

    def __init__(self) -> None:
        self.asked = False
        self._previous: Any = None

    def __enter__(self) -> "_Interrupt":
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    def _ask(self, *_: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


@torch.no_grad()
def _average(averaged: nn.Module, model: nn.Module, decay: float) -> None:
    """Move the averaged weights and batch statistics towards the model's; counters are copied."""
    for mean, value in zip(averaged.state_dict().values(), model.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, 1 - decay)
        else:
            mean.copy_(value)


def _fingerprint(
    seed: int,
    budget: Budget,
    computed_in: str,
    model: nn.Module,
    optimizers: list[torch.optim.Optimizer],
    callback: Callback | None,
) -> str:
    """What has to be the same for a checkpoint to be gone on from."""
    names = "+".join(type(optimizer).__name__ for optimizer in optimizers)
    state = model.state_dict() | (callback.state_dict() if callback else {})
    shapes = ",".join(f"{name}:{tuple(value.shape)}" for name, value in state.items())
    # Minutes are what is left after reading the data, which differs from run to run.
    return f"{seed}|{budget.steps}|{computed_in}|{names}|{shapes}"


class _Checkpoint:
    """State of a run in one safetensors file, replaced atomically; nothing pickled."""

    def __init__(
        self,
        folder: Path | None,
        model: nn.Module,
        averaged: nn.Module,
        optimizers: list[torch.optim.Optimizer],
        callback: Callback | None,
        fingerprint: str,
    ) -> None:
        self.file = folder / "checkpoint.safetensors" if folder else None
        self.model = model
        self.averaged = averaged
        self.optimizers = optimizers
        self.callback = callback
        self.fingerprint = fingerprint

    def save(self, step: int, seconds: float) -> None:
        """Write the state of a run, if a folder was given."""
        if self.file is None:
            return
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {f"averaged.{name}": value for name, value in self.averaged.state_dict().items()}
        for number, optimizer in enumerate(self.optimizers):
            for i, values in optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer.{number}.{i}.{name}": value for name, value in values.items()}
        if self.callback is not None:
            tensors |= {f"callback.{name}": value for name, value in self.callback.state_dict().items()}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        partial = self.file.with_suffix(".partial")
        metadata = {"step": str(step), "seconds": repr(seconds), "fingerprint": self.fingerprint}
        save_file({name: value.contiguous() for name, value in tensors.items()}, partial, metadata)
        partial.replace(self.file)

    def restore(self) -> tuple[int, float]:
        """Go on from a saved state; returns its step and seconds, or zeros when there is none that fits."""
        if self.file is None or not self.file.exists():
            return 0, 0.0
        try:
            with safe_open(self.file, framework="pt") as opened:
                metadata = opened.metadata() or {}
                if metadata.get("fingerprint") != self.fingerprint:
                    return 0, 0.0
                tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        except SafetensorError:
            return 0, 0.0
        self.model.load_state_dict(_part(tensors, "model."))
        self.averaged.load_state_dict(_part(tensors, "averaged."))
        for number, optimizer in enumerate(self.optimizers):
            state: dict[int, dict[str, Tensor]] = {}
            for key, value in _part(tensors, f"optimizer.{number}.").items():
                index, name = key.split(".", 1)
                state.setdefault(int(index), {})[name] = value
            optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
        if self.callback is not None:
            self.callback.load_state_dict(_part(tensors, "callback."))
        return int(metadata["step"]), float(metadata["seconds"])

    def remove(self) -> None:
        """Delete the state of a run that is finished."""
        if self.file is not None:
            self.file.unlink(missing_ok=True)


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
