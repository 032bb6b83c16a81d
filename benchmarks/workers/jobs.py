"""Jobs for a worker process, timed the same way whatever makes the flaws.

Needs torch and NumPy alone, as it runs in the environments of others too.
"""

import contextlib
import ctypes
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.workers.memory import STATUS, in_status

Paint = Callable[[int], Tensor]
"""Paints flaws on batch i and returns the masks ``[B, 1, H, W]``."""


class Maker(Protocol):
    """Makes what paints, outside the clock."""

    def __call__(self, generator: str, batches: Sequence[Tensor], seed: int) -> Paint:
        """Prepare a generator for batches ``[B, C, H, W]``, 0..1; all random choices follow from the seed."""


@dataclass(frozen=True)
class Job:
    """Flaws to be painted.

    Attributes:
        generator: What paints them.
        images: How many images, a multiple of ``batch``.
        batch: Images at a time.
        size: Height and width.
        channels: 1 or 3.
        threads: Of torch, within an operation.
        seed: Of all random choices.
        device: ``cpu`` or ``cuda``.
    """

    generator: str
    images: int
    batch: int
    size: int = 256
    channels: int = 3
    threads: int = 1
    seed: int = 0
    device: str = "cpu"


@dataclass(frozen=True)
class Answer:
    """What a job took.

    Attributes:
        seconds: Wall-clock time.
        cpu_seconds: Time on all cores together.
        painted: Share of the images of the last batch in which something was painted.
        peak_mb: Highest memory of the process above what it held before the job, the good images included in the
            latter; on a GPU, of the GPU's memory. None where the system does not say.
    """

    seconds: float
    cpu_seconds: float
    painted: float
    peak_mb: float | None


def serve(pictures: Path, make: Maker) -> None:
    """Answer jobs from stdin on stdout, one JSON object a line, until stdin is closed.

    Args:
        pictures: ``.npy`` of ``[N, H, W]`` bytes, the good images.
        make: Prepares a generator.
    """
    pixels = torch.from_numpy(np.load(pictures))[:, None].float() / 255
    out = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):  # libraries print
        for line in sys.stdin:
            out.write(json.dumps(asdict(work(Job(**json.loads(line)), pixels, make))) + "\n")
            out.flush()


def work(job: Job, pixels: Tensor, make: Maker) -> Answer:
    """Do one job on pictures ``[N, 1, H, W]``, which are brought to its size and number of channels."""
    paint = prepare(job, pixels, make)
    memory = Memory(job.device)
    cpu, started = time.process_time(), time.perf_counter()
    masks = paint()
    if job.device.startswith("cuda"):
        torch.cuda.synchronize()
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
    peak = memory.peak()
    return Answer(seconds, cpu_seconds, float((masks.flatten(1).amax(dim=1) > 0).float().mean()), peak)


def prepare(job: Job, pixels: Tensor, make: Maker) -> Callable[[], Tensor]:
    """Everything that comes before the clock starts.

    Returns:
        Does the job, and returns the masks of its last batch.
    """
    torch.set_num_threads(job.threads)
    batches = _batches(pixels, job.images, job.batch, job.size, job.channels, job.device)
    paint = make(job.generator, batches, job.seed)

    def run() -> Tensor:
        for index in range(job.images // job.batch):
            masks = paint(index % len(batches))
        return masks

    return run


@lru_cache(maxsize=4)
def _batches(pixels: Tensor, images: int, batch: int, size: int, channels: int, device: str) -> tuple[Tensor, ...]:
    """Batches of good images on the device; the same ones for all jobs of a kind, as moving them there takes long."""
    fitted = fit(pixels[:images], batch, size, channels).to(device)
    return tuple(chunk for chunk in fitted.split(batch) if len(chunk) == batch)


def fit(pixels: Tensor, batch: int, size: int, channels: int) -> Tensor:
    """Bring grey pictures to a size and number of channels, a batch at least: ``[N, C, size, size]``."""
    pixels = pixels[torch.arange(max(batch, len(pixels))) % len(pixels)]
    if pixels.shape[-1] != size:
        pixels = functional.interpolate(pixels, (size, size), mode="bilinear").clamp(0, 1)
    return pixels.repeat(1, channels, 1, 1)


class Memory:
    """Highest memory since it was made, above what was held then."""

    def __init__(self, device: str) -> None:
        self.on_gpu = device.startswith("cuda")
        self.held = 0.0
        if self.on_gpu:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            self.held = torch.cuda.memory_allocated() / 1e6
        elif STATUS.is_file():
            _return_freed_memory()
            _CLEAR.write_text("5")  # resets the kernel's high-water mark, see proc(5)
            self.held = in_status("VmRSS")

    def peak(self) -> float | None:
        """In MB; None where the system does not tell."""
        if self.on_gpu:
            return torch.cuda.max_memory_allocated() / 1e6 - self.held
        return in_status("VmHWM") - self.held if STATUS.is_file() else None


_CLEAR = Path("/proc/self/clear_refs")


def _return_freed_memory() -> None:
    """Give what was freed back to the system, where it is glibc that would keep it: using it again would look free."""
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
