"""``python -m benchmarks.synthesis``: how fast flaws are made, beside anomalib's Perlin generator in the same run.

Both work in processes of their own and take turns, on the same images, so that whatever else the machine does slows
both down alike. Before the clock counts, all generators of both have made the very images of all rounds once:
loops that are compiled when a rare flaw first needs them, and caches, are no part of any figure.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.console import say, show
from benchmarks.machine import describe_machine
from benchmarks.peers import PeerError, peer_python
from benchmarks.profiling import Profile, markdown, profile_generator
from benchmarks.replays import replay_across_devices
from benchmarks.synthesis_tables import tables
from benchmarks.synthesis_together import measure_together
from benchmarks.workers.flawsmith import FOREGROUND, MIX, make
from benchmarks.workers.jobs import Answer, Job, fit
from benchmarks.workers.process import Worker
from learning.machine import available_cores
from synth.families import FAMILIES
from synth.parts import LINE, draw_lot, make_part

PERLIN = "perlin"
PEERS = {"anomalib_textures": "textures", "anomalib_noise": "noise"}
"""Ways to use anomalib's generator: with a folder of textures as in its DRAEM, and without."""

_OWN = (PERLIN, MIX, *(name for name in FAMILIES if name != PERLIN), FOREGROUND)
_PICTURES = 32
_BATCH = 16
"""What training paints at a time."""

_GPU_BATCHES = (256, 1024)
"""Images at a time on a GPU, which waits for the processor where there are few."""

_REPLAYED = 48
"""Images that are painted on both devices."""

PARTS = ("rates", "linearity", "memory", "step", "replay", "together")
"""What is measured, in this order."""

_LARGE = (1024, 4096)

Rates = dict[str, dict[str, list[float]]]
"""Images per second by generator and device, a number for each round."""


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        size: Side of the images.
        images: For each figure of a round.
        rounds: How often every generator has its turn.
        threads: Numbers of threads, the least first.
        seed: Of all random choices.
        counts: Numbers of images whose times are compared.
        large_channels: Of large images.
        large_images: Images of each large size, one at a time, whose highest memory counts.
        steps: Of each short training.
        every_family: Whether the memory of every family is measured at the largest size.
        parts: Of ``PARTS``, what is measured.
        generators: Of flawsmith, whose speed is measured.
    """

    size: int
    images: int
    rounds: int
    threads: tuple[int, ...]
    seed: int
    counts: tuple[int, ...]
    large_channels: tuple[int, ...]
    large_images: int
    steps: int
    every_family: bool
    parts: tuple[str, ...] = PARTS
    generators: tuple[str, ...] = _OWN


@dataclass(frozen=True)
class Setting:
    """Where workers find what they need; ``peer`` is None where flawsmith is measured alone."""

    pictures: Path
    textures: Path
    peer: Path | None

    def own(self) -> Worker:
        """Start flawsmith's worker."""
        return Worker(Path(sys.executable), "benchmarks.workers.flawsmith", [self.pictures])

    def other(self) -> Worker:
        """Start anomalib's worker."""
        assert self.peer is not None
        return Worker(self.peer, "benchmarks.workers.anomalib", [self.pictures, self.textures])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark.

    Args:
        arguments: Of the command line; by default those of the process.
    """
    options = _parse(arguments)
    if options.profile:
        say("a profile of each generator, on one thread")
        sys.stdout.write(markdown(profiles(_plan(options))) + "\n")
        return
    result = run(_plan(options), alone=options.alone, quick=options.quick)
    show(result, tables(result), options.json)


def run(plan: Plan, alone: bool, quick: bool) -> dict[str, Any]:
    """Measure everything.

    Args:
        plan: How much.
        alone: Leave anomalib out.
        quick: Is written down.

    Returns:
        Plain data for JSON; ratios are None where anomalib was left out.
    """
    result: dict[str, Any] = {
        "benchmark": "synthesis",
        "size": plan.size,
        "channels": 3,
        "batch": _BATCH,
        "images": plan.images,
        "rounds": plan.rounds,
        "seed": plan.seed,
        "quick": quick,
    }
    machine = {**describe_machine(), "load": os.getloadavg()[0]}
    with _setting(plan, alone) as setting:
        if "rates" in plan.parts:
            say("images per second, in turn")
            result |= _speeds(*measure_rates(setting, plan), _device(plan.threads[0]))
        if "linearity" in plan.parts:
            say("growing numbers of images")
            result["linearity"] = measure_linearity(setting, plan)
        if "memory" in plan.parts:
            say("memory")
            result["peak_memory_mb"] = measure_memory(setting, plan)
        if "step" in plan.parts:
            say("a training step with and without synthesis")
            # Imported here, as all of learning comes with it.
            from benchmarks.training_step import measure_training_step

            step = measure_training_step(setting.pictures.parent, plan.steps, 2 if quick else 5, plan.seed)
            result |= {"share_of_training_step": step.pop("share_of_training_step"), "training_step": step}
        if "replay" in plan.parts:
            result["replay_across_devices"] = measure_replay(plan)
        if "together" in plan.parts:
            result["together"] = _together(setting, plan)
    return {**result, "machine": machine}


def _speeds(rates: Rates, cpu_times: Rates, painted: dict[str, float], first: str) -> dict[str, Any]:
    """What ``measure_rates`` found, as it is printed; ratios are of the device ``first``."""
    return {
        "ratio_per_thread_perlin": ratio(rates, PERLIN, first),
        "ratio_per_thread_mix": ratio(rates, MIX, first),
        "ratio_of_cpu_time_perlin": ratio(cpu_times, PERLIN, first),
        "ratio_of_cpu_time_mix": ratio(cpu_times, MIX, first),
        "images_per_second": {name: {d: median(v) for d, v in by.items()} for name, by in rates.items()},
        "images_per_cpu_second": {name: {d: median(v) for d, v in by.items()} for name, by in cpu_times.items()},
        "images_per_second_range": {name: {d: [min(v), max(v)] for d, v in by.items()} for name, by in rates.items()},
        "painted": painted,
    }


def measure_replay(plan: Plan) -> dict[str, Any] | None:
    """Paint the same recipes on the CPU and on the GPU, of grey parts in colour; None where there is no GPU."""
    if not torch.cuda.is_available():
        return None
    say("the same recipes on both devices")
    pixels = torch.from_numpy(good_pictures(plan.size, plan.seed))[:, None].float() / 255
    images = fit(pixels, _REPLAYED, plan.size, channels=3)[:_REPLAYED]
    return replay_across_devices(images, torch.device("cuda"), plan.seed)


def _together(setting: Setting, plan: Plan) -> list[dict[str, Any]] | None:
    """The mix of several processes on one GPU; None where there is no GPU."""
    if not torch.cuda.is_available():
        return None
    say("several processes on the GPU")
    job = Job(MIX, 0, 0, plan.size, seed=plan.seed, device="cuda")
    room = torch.cuda.mem_get_info()[0] / 1e6
    return measure_together(setting.own, job, _GPU_BATCHES, plan.rounds, available_cores(), room)


def profiles(plan: Plan) -> list[Profile]:
    """Profile all of flawsmith's generators, one after another, on one thread."""
    pixels = torch.from_numpy(good_pictures(plan.size, plan.seed))[:, None].float() / 255
    job = Job("", plan.images, _BATCH, plan.size, seed=plan.seed)
    return [profile_generator(replace(job, generator=name), pixels, make) for name in plan.generators]


def ratio(rates: Rates, name: str, device: str) -> float | None:
    """Median over the rounds of a rate over the rate of anomalib's generator, used the faster of both ways.

    Args:
        rates: Of all generators.
        name: Of the generator.
        device: On which both are compared.
    """
    peers = [rates[peer][device] for peer in PEERS if peer in rates]
    if not peers or name not in rates:
        return None
    fastest = [max(both) for both in zip(*peers, strict=True)]
    return median(own / other for own, other in zip(rates[name][device], fastest, strict=True))


def measure_rates(setting: Setting, plan: Plan) -> tuple[Rates, Rates, dict[str, float]]:
    """Let all generators take turns.

    Returns:
        Images per second of wall-clock time, and of the time of all cores together, by generator and device, and the
        share of images in which something was painted.
    """
    rates: Rates = {}
    cpu_times: Rates = {}
    painted: dict[str, list[float]] = {}
    jobs = [Job("", plan.images, _BATCH, plan.size, threads=threads) for threads in plan.threads]
    if torch.cuda.is_available():
        on_gpu = Job("", 0, 0, plan.size, threads=plan.threads[-1], device="cuda")
        jobs += [replace(on_gpu, batch=batch, images=2 * batch) for batch in _GPU_BATCHES]
    with _workers(setting, plan.generators) as workers:
        # Rehearsed on one number of threads; of the other devices a round is enough, as nothing is compiled there.
        rehearsal = [(number, jobs[:1], False) for number in range(plan.rounds)] + [(0, jobs[1:], False)]
        for number, turns, counts in [*rehearsal, *((number, jobs, True) for number in range(plan.rounds))]:
            for job in turns:
                for name, (worker, generator) in workers.items():
                    if job.device != "cpu" and (name in PEERS or name == FOREGROUND):
                        continue  # both work on the CPU, image by image
                    answer = worker.do(replace(job, generator=generator, seed=plan.seed + number))
                    if not counts:
                        continue
                    device = _device(job.threads) if job.device == "cpu" else f"{job.device}_{job.batch}"
                    rates.setdefault(name, {}).setdefault(device, []).append(job.images / answer.seconds)
                    cpu_times.setdefault(name, {}).setdefault(device, []).append(job.images / answer.cpu_seconds)
                    painted.setdefault(name, []).append(answer.painted)
    return rates, cpu_times, {name: sum(shares) / len(shares) for name, shares in painted.items()}


def measure_linearity(setting: Setting, plan: Plan) -> dict[str, Any]:
    """Paint growing numbers of images with the mix on one thread.

    Returns:
        ``exponent`` of the number of images in the processor's time that they take (1 is linear), and ``runs``.
    """
    answers: dict[int, list[Answer]] = {count: [] for count in plan.counts}
    with setting.own() as worker:
        worker.do(Job(MIX, max(plan.counts), _BATCH, plan.size, seed=plan.seed))
        for _ in range(plan.rounds):
            for count in plan.counts:
                # One seed: the longer jobs begin with the very flaws of the shorter ones.
                answers[count].append(worker.do(Job(MIX, count, _BATCH, plan.size, seed=plan.seed)))
    seconds = {count: median(answer.cpu_seconds for answer in found) for count, found in answers.items()}
    exponent, _ = np.polyfit(np.log(list(seconds)), np.log(list(seconds.values())), 1)
    runs = [
        {
            "images": count,
            "cpu_seconds": seconds[count],
            "images_per_second": count / seconds[count],
            "peak_mb": _highest(answers[count]),
        }
        for count in plan.counts
    ]
    return {"exponent": float(exponent), "runs": runs}


def measure_memory(setting: Setting, plan: Plan) -> dict[str, Any]:
    """Measure memory above what is held before, good images included, each figure in a fresh process.

    Returns:
        ``batch``: megabytes for a batch; ``large``: for large images one at a time, with seconds for each, and
        ``families`` the same at the largest size by family, if the plan says so.
    """
    batch = Job("", _BATCH, _BATCH, plan.size, seed=plan.seed)
    in_batch = {name: _alone(setting.own(), replace(batch, generator=name)) for name in (PERLIN, MIX)}
    if setting.peer:
        name = next(iter(PEERS))
        in_batch[name] = _alone(setting.other(), replace(batch, generator=PEERS[name]))
    large = [
        Job(MIX, plan.large_images, 1, size, channels, seed=plan.seed)
        for channels in plan.large_channels
        for size in _LARGE
    ]
    result: dict[str, Any] = {
        "batch": {name: answer.peak_mb for name, answer in in_batch.items()},
        "large": [
            {
                "size": job.size,
                "channels": job.channels,
                "peak_mb": answer.peak_mb,
                "picture_mb": job.size**2 * job.channels * 4 / 1e6,
                "seconds_per_image": answer.seconds / job.images,
            }
            for job, answer in ((job, _alone(setting.own(), job)) for job in large)
        ],
    }
    if plan.every_family:
        biggest = Job("", 2, 1, _LARGE[-1], 3, seed=plan.seed)
        answers = {name: _alone(setting.own(), replace(biggest, generator=name)) for name in [*FAMILIES, FOREGROUND]}
        result["families"] = {
            name: {"peak_mb": answer.peak_mb, "seconds_per_image": answer.seconds / biggest.images}
            for name, answer in answers.items()
        }
    return result


@contextmanager
def _workers(setting: Setting, generators: Sequence[str]) -> Iterator[dict[str, tuple[Worker, str]]]:
    """Every generator with the worker that has it, in the order of their turns."""
    with setting.own() as own:
        mine = {name: (own, name) for name in generators}
        if setting.peer is None:
            yield mine
            return
        with setting.other() as other:
            peers = {name: (other, generator) for name, generator in PEERS.items()}
            yield {**peers, **mine}


@contextmanager
def _setting(plan: Plan, alone: bool) -> Iterator[Setting]:
    with tempfile.TemporaryDirectory(prefix="flawsmith-benchmark-") as made:
        folder = Path(made)
        peer = None if alone else peer_python()
        pictures, textures = folder / "pictures.npy", folder / "textures"
        good = good_pictures(plan.size, plan.seed)
        np.save(pictures, good)
        write_textures(textures, good, plan.seed)
        yield Setting(pictures, textures, peer)


def good_pictures(size: int, seed: int) -> np.ndarray:
    """Made-up good parts of the kinds of a line, ``[N, size, size]`` bytes."""
    rng = np.random.default_rng(seed)
    return np.stack([make_part(LINE[i % len(LINE)], draw_lot(rng), rng, size=size).images[0] for i in range(_PICTURES)])


def write_textures(folder: Path, pictures: np.ndarray, seed: int) -> None:
    """Write tinted pictures ``[N, h, w]`` as JPEG, for anomalib to take textures from.

    At the images' size, which spares it the resizing that the textures it would download need.
    """
    folder.mkdir()
    tints = np.random.default_rng(seed).uniform(0.4, 1, (len(pictures), 3))
    for number, (picture, tint) in enumerate(zip(pictures, tints, strict=True)):
        coloured = (picture[..., None] * tint).astype(np.uint8)
        Image.fromarray(coloured).save(folder / f"{number:02d}.jpg", quality=90)


def _alone(worker: Worker, job: Job) -> Answer:
    """Do a job in a process that has done nothing but the same on small images, which loads its libraries and loops."""
    with worker:
        worker.do(replace(job, size=64))
        return worker.do(job)


def _highest(answers: Sequence[Answer]) -> float | None:
    peaks = [answer.peak_mb for answer in answers if answer.peak_mb is not None]
    return max(peaks) if peaks else None


def _device(threads: int) -> str:
    return f"cpu_{threads}"


def _plan(options: argparse.Namespace) -> Plan:
    if options.quick:
        return Plan(
            size=options.size,
            images=options.images or 32,
            rounds=3,
            threads=options.threads,
            seed=options.seed,
            counts=(32, 64, 128),
            large_channels=(3,),
            large_images=1,
            steps=6,
            every_family=False,
            parts=options.parts,
            generators=options.generators,
        )
    return Plan(
        size=options.size,
        images=options.images or 128,
        rounds=options.rounds,
        threads=options.threads,
        seed=options.seed,
        counts=(64, 128, 256, 512),
        large_channels=(1, 3),
        large_images=4,
        steps=40,
        every_family=True,
        parts=options.parts,
        generators=options.generators,
    )


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.synthesis", description=__doc__)
    cores = available_cores()
    parser.add_argument("--size", type=int, default=256, help="side of the images")
    parser.add_argument("--images", type=int, help=f"for each figure of a round, a multiple of {_BATCH}")
    parser.add_argument("--rounds", type=int, default=7, help="how often every generator has its turn")
    parser.add_argument(
        "--threads",
        type=lambda text: tuple(sorted({int(number) for number in text.split(",")})),
        default=tuple(sorted({1, cores})),
        help="numbers of threads, by commas; ratios are taken at the first",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--parts",
        type=lambda text: tuple(part for part in PARTS if part in text.split(",")),
        default=PARTS,
        help=f"what is measured, by commas; some of {', '.join(PARTS)}",
    )
    parser.add_argument(
        "--generators",
        type=lambda text: tuple(text.split(",")),
        default=_OWN,
        help=f"whose speed or profile is measured, by commas; families, {MIX} or {FOREGROUND} (default: all)",
    )
    parser.add_argument("--alone", action="store_true", help="leave anomalib out, which needs a network at first")
    parser.add_argument("--profile", action="store_true", help="only say where the time goes, as Markdown")
    parser.add_argument("--json", action="store_true", help="print one object as the last line of stdout")
    parser.add_argument("--quick", action="store_true", help="under two minutes: the same code, other figures")
    options = parser.parse_args(arguments)
    if options.size < 64:
        parser.error(f"--size is {options.size}; parts are drawn at 64 pixels or more")
    if options.images is not None and (options.images < _BATCH or options.images % _BATCH):
        parser.error(f"--images is {options.images}; it takes a multiple of {_BATCH}")
    if not options.parts:
        parser.error(f"--parts takes some of {', '.join(PARTS)}")
    unknown = set(options.generators) - set(_OWN)
    if unknown:
        parser.error(f"there is no generator {', '.join(sorted(unknown))}; choose from {', '.join(_OWN)}")
    if min(options.threads) < 1 or options.rounds < 1:
        parser.error("--threads and --rounds take numbers from 1 upwards")
    return options


if __name__ == "__main__":
    try:
        main()
    except PeerError as error:
        say(f"[bold red]error:[/] {error}")
        sys.exit(2)
