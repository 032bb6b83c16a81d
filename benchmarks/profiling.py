"""Where the time of synthesis goes: operations of torch, and functions of this project."""

import cProfile
import pstats
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.autograd.profiler_util import EventList
from torch.profiler import ProfilerActivity, profile

from benchmarks.workers.jobs import Job, Maker, prepare, work

_ROOT = Path(__file__).resolve().parents[1]
_ROWS = 8
_WATCHED = 7


@dataclass(frozen=True)
class Cost:
    """A share of the time.

    Attributes:
        what: Operation, or function with its module.
        share: Of all time, 0..1; of a function, with what it calls.
        calls_per_image: How often it is called for an image.
    """

    what: str
    share: float
    calls_per_image: float


@dataclass(frozen=True)
class Profile:
    """Costs of one generator, the greatest first.

    Attributes:
        generator: Its name.
        images_per_second: Of the processor's time, without a profiler.
        calls_per_image: Operations of torch that are called for an image: where it is many, their number costs more
            than their pixels.
        operations: Of torch, without what they call.
        functions: Of ``synth``, with what they call; being watched slows down those that call many others.
    """

    generator: str
    images_per_second: float
    calls_per_image: float
    operations: list[Cost]
    functions: list[Cost]


def profile_generator(job: Job, pixels: torch.Tensor, make: Maker) -> Profile:
    """Profile a job of a generator, after one that warms up.

    Args:
        job: What to paint; on the CPU.
        pixels: Good pictures ``[N, 1, H, W]``, 0..1.
        make: Prepares the generator.
    """
    answer = min((work(job, pixels, make) for _ in range(3)), key=lambda found: found.cpu_seconds)
    watched = []
    for _ in range(_WATCHED):
        # Prepared anew, so that the same flaws are painted each time.
        paint = prepare(job, pixels, make)
        with profile(activities=[ProfilerActivity.CPU]) as operations:
            paint()
        watched.append(operations.key_averages())
    # By the thread's own time: what waits for the processor costs nothing.
    functions = cProfile.Profile(time.thread_time)
    functions.runcall(prepare(job, pixels, make))
    return Profile(
        generator=job.generator,
        images_per_second=job.images / answer.cpu_seconds,
        calls_per_image=sum(event.count for event in watched[0]) / job.images,
        operations=_operations(watched, job),
        functions=_functions(functions, job),
    )


def markdown(profiles: list[Profile]) -> str:
    """A section for each generator."""
    lines = []
    for found in profiles:
        speed = f"{found.images_per_second:.0f} images/s, {found.calls_per_image:.0f} operations each"
        lines += [f"### {found.generator}: {speed}", ""]
        lines += ["| operation | share | calls per image | function, with what it calls | share | calls per image |"]
        lines += ["|---|---|---|---|---|---|"]
        for operation, function in zip(found.operations, found.functions, strict=False):
            lines.append(f"| {_row(operation)} | {_row(function)} |")
        lines.append("")
    return "\n".join(lines)


def _row(cost: Cost) -> str:
    return f"`{cost.what}` | {100 * cost.share:.0f} % | {cost.calls_per_image:.2g}"


def _operations(watched: list[EventList], job: Job) -> list[Cost]:
    """Costs by the least time of each operation: torch counts the time in which another process had the processor."""
    counts = {event.key: event.count for event in watched[0]}
    least = {key: min(e.self_cpu_time_total for found in watched for e in found if e.key == key) for key in counts}
    total = sum(least.values())
    dearest = sorted(least, key=lambda key: -least[key])[:_ROWS]
    return [Cost(key, least[key] / total, counts[key] / job.images) for key in dearest]


def _functions(found: cProfile.Profile, job: Job) -> list[Cost]:
    stats = pstats.Stats(found)
    costs = []
    for (file, _, name), (_, calls, _, cumulative, _) in stats.stats.items():  # type: ignore[attr-defined]
        path = Path(file)
        if path.is_relative_to(_ROOT / "synth"):
            module = ".".join(path.relative_to(_ROOT).with_suffix("").parts)
            costs.append(Cost(f"{module}.{name}", cumulative / stats.total_tt, calls / job.images))  # type: ignore[attr-defined]
    return sorted(costs, key=lambda cost: -cost.share)[:_ROWS]
