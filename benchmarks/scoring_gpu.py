"""``python -m benchmarks.scoring --device cuda``: how fast the detector is on a GPU, asked for in several ways.

In each way scores, maps and embeddings come of a batch: from pictures in the memory of the host to results there, which
is what scoring takes, and on the GPU alone. Scores are compared with those of the CPU in float32.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from rich.table import Table
from torch import Tensor

from benchmarks.console import say
from benchmarks.machine import describe_machine
from learning.acceleration import Replayed, exact
from learning.bundle import Bundle
from learning.config import TrainConfig
from learning.detectors import Budget, create
from learning.detectors.base import Traceable
from learning.export.examples import flawed_parts
from learning.images.image_set import ImageSet
from learning.images.preprocessing import Preprocessing
from learning.images.readers import read_data
from learning.images.records import GOOD, ImageRecord
from learning.metrics import image_auroc
from learning.prefetch import makers
from learning.scoring import score_records
from learning.training import good_records, train_bundle
from synth.parts import make_parts

_SIZE = 256
_BATCHES = (1, 16, 64, 256)
_COMPILED = (
    ("reduce-overhead", "fp32", 64),
    ("reduce-overhead", "bf16", 64),
    ("reduce-overhead", "fp32", 1),
    ("max-autotune-no-cudagraphs", "bf16", 64),
    ("reduce-overhead", "bf16", 1),
)
"""Mode, arithmetic and batch, the most telling first: each compiles for many seconds."""

_TIMED_SECONDS = 0.2
_CALLS = 10, 300
_COMPARED_STEPS = 40

_EAGER, _GRAPH = _UNCOMPILED = "eager", "CUDA graph"

Arithmetic = Callable[[], AbstractContextManager[Any]]


ARITHMETIC: dict[str, Arithmetic] = {
    "fp32": exact,
    "tf32": nullcontext,
    "bf16": lambda: torch.autocast("cuda", torch.bfloat16),
    "fp16": lambda: torch.autocast("cuda", torch.float16),
}
"""``tf32`` is what torch does by itself. Autocast keeps weights that recordings read while it is entered."""


@dataclass(frozen=True)
class Way:
    """A way to score batches of one size.

    Attributes:
        ask: From a batch on the CPU to scores, maps and embeddings there.
        compute: The same on the GPU alone, on a batch that lies there.
        prepared: Seconds that it took to record or to compile.
    """

    ask: Callable[[Tensor], Any]
    compute: Callable[[], Any]
    prepared: float = 0.0


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Train a bundle on made-up parts, or load one, on the GPU, and score its test part in every way."""
    started = time.monotonic()
    seed = options.seeds[0]
    with tempfile.TemporaryDirectory(prefix="flawsmith-benchmark-") as folder:
        data = options.data or make_parts(Path(folder) / "data", options.kind, seed=seed, **options.parts)
        training: dict[str, Any] = {}
        trained = options.bundle
        if trained is None:
            training = compare_training(data, seed, options)
            trained = train_bundle(
                data,
                Path(folder) / "bundle",
                config=TrainConfig(detector=options.detector, size=_SIZE),
                budget=options.budget,
                seed=seed,
                device="cuda",
            ).folder
            say(f"trained, {time.monotonic() - started:.0f} s")
        records = [
            one for one in read_data(data, seed=seed) if one.split == "test" and (one.label == GOOD or one.defective)
        ]
        on_gpu = Bundle.load(trained, "cuda")
        rows, reference = measure_ways(on_gpu, Bundle.load(trained), records, options.compile_seconds)
        files = measure_files(on_gpu, records)
        steps = on_gpu.manifest.steps
    return {
        "benchmark": "scoring_gpu",
        "data": options.data.name if options.data else f"parts: {options.kind}",
        "size": _SIZE,
        "detector": options.detector,
        "budget": str(options.budget),
        "steps": steps,
        "seeds": [seed],
        "quick": options.quick,
        "load": list(os.getloadavg()),
        "training": training,
        "reference": reference,
        "rows": rows,
        "files": files,
        "seconds": time.monotonic() - started,
        "machine": describe_machine(),
    }


def compare_training(data: Path, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Steps per second on the GPU, by the number of threads that make batches."""
    good = good_records(read_data(data, seed=seed))
    images = ImageSet(good, Preprocessing.for_images([record.path for record in good], _SIZE))
    began = time.monotonic()
    for _ in flawed_parts(images, seed):
        pass  # loops over pixels are compiled at their first use, and images read
    found: dict[str, Any] = {"first_flaws_seconds": time.monotonic() - began, "by_makers": []}
    for threads in (1, makers("cuda")):
        with patch("learning.loop.makers", return_value=threads):
            detector = create(options.detector, {}, images.preprocessing, "cuda")
            report = detector.fit(images, images, seed, Budget(steps=_COMPARED_STEPS))
        found["by_makers"].append(
            {
                "makers": threads,
                "steps_per_s": report.steps / report.seconds,
                "waited_share": report.waited / report.seconds,
            }
        )
    return found


def measure_ways(
    on_gpu: Bundle, on_cpu: Bundle, records: list[ImageRecord], compile_seconds: float
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """A row for each way, arithmetic and size of a batch; and what the CPU says in float32."""
    images = ImageSet(records, on_gpu.preprocessing)
    shown = images.batch(range(len(images)))
    defective = np.array([record.defective for record in records])
    expected = _scores(on_cpu.describe, shown, 64)
    module = on_gpu.detector.exportable()
    rows = []
    compiling = 0.0
    for name, arithmetic, batch in _every_way():
        row: dict[str, Any] = {"way": name, "arithmetic": arithmetic, "batch": batch}
        began = time.monotonic()
        torch.cuda.reset_peak_memory_stats()
        try:
            if name not in _UNCOMPILED and compiling > compile_seconds:
                msg = f"left out: compiling has taken {compiling:.0f} s"
                raise RuntimeError(msg)
            with ARITHMETIC[arithmetic](), torch.inference_mode():
                row |= _measure(_prepare(name, module, shown, batch, ARITHMETIC[arithmetic]), shown, batch, expected)
            row["auroc"] = image_auroc(row.pop("scores"), defective)
        except RuntimeError as error:  # what this machine cannot: it has no C compiler, or too little memory
            row["failed"] = str(error).strip().splitlines()[0]
        if name not in _UNCOMPILED:
            compiling += time.monotonic() - began
        rows.append(row)
        say(" ".join(f"{name}={value:.5g}" if isinstance(value, float) else str(value) for name, value in row.items()))
    return rows, {"images": len(shown), "auroc": image_auroc(expected, defective)}


def measure_files(bundle: Bundle, records: list[ImageRecord]) -> list[dict[str, Any]]:
    """Images per second from files to maps at their size, as ``flawsmith score`` does it; the first pass records."""
    found = []
    for batch in (16, 64):
        for _ in range(2):
            began = time.perf_counter()
            count = sum(1 for _ in score_records(bundle, records, batch))
            seconds = time.perf_counter() - began
        found.append({"batch": batch, "images": count, "images_per_s": count / seconds})
    return found


def tables(result: dict[str, Any]) -> list[Table]:
    """Draw every row, and what was measured beside them."""
    drawn = Table(title=f"{result['data']}, {result['size']} px, {result['machine']['gpu']}")
    headings = (
        "arithmetic",
        "batch",
        "p50 ms",
        "p99 ms",
        "images/s",
        "GPU alone",
        "AUROC",
        "largest Δ score",
        "MB",
        "s",
    )
    drawn.add_column("way")
    for heading in headings:
        drawn.add_column(heading, justify="right")
    for row in result["rows"]:
        start = (row["way"], row["arithmetic"], str(row["batch"]))
        if "failed" in row:
            drawn.add_row(*start, row["failed"][:60])
            continue
        drawn.add_row(
            *start,
            *(f"{row[name]:.3f}" for name in ("ms_p50", "ms_p99")),
            *(f"{row[name]:.0f}" for name in ("images_per_s", "gpu_images_per_s")),
            f"{row['auroc']:.4f}",
            f"{row['largest_score_difference']:.2g}",
            f"{row['gpu_mb']:.0f}",
            f"{row['prepared_s']:.1f}",
        )
    beside = Table(title=f"AUROC on the CPU {result['reference']['auroc']:.4f}; {result['seconds']:.0f} s in all")
    for heading in ("from files, batch", "images/s"):
        beside.add_column(heading, justify="right")
    for row in result["files"]:
        beside.add_row(str(row["batch"]), f"{row['images_per_s']:.0f}")
    training = Table(title="training")
    for heading in ("threads that make batches", "steps/s", "share of waiting"):
        training.add_column(heading, justify="right")
    for row in result["training"].get("by_makers", []):
        training.add_row(str(row["makers"]), f"{row['steps_per_s']:.1f}", f"{row['waited_share']:.2f}")
    return [drawn, beside, training]


def _every_way() -> Iterator[tuple[str, str, int]]:
    for name in _UNCOMPILED:
        for arithmetic in ARITHMETIC:
            for batch in _BATCHES:
                yield name, arithmetic, batch
    yield from _COMPILED


def _prepare(name: str, module: Traceable, images: Tensor, batch: int, arithmetic: Arithmetic) -> Way:
    began = time.monotonic()
    example = _whole(images[:batch], batch)
    there = example.cuda()
    if name == _GRAPH:
        replayed = Replayed(module, there.device, batch, arithmetic)
        replayed(example)
        return Way(replayed, replayed.recording(example.shape).replay, time.monotonic() - began)
    run: Callable[[Tensor], tuple[Tensor, ...]] = module
    if name != _EAGER:
        torch.compiler.reset()
        run = torch.compile(module, mode=name, dynamic=False)

    def ask(some: Tensor) -> list[Tensor]:
        return [part.float().cpu() for part in run(some.cuda())]

    for _ in range(3):
        ask(example)
    return Way(ask, lambda: run(there), time.monotonic() - began)


def _measure(way: Way, images: Tensor, batch: int, expected: NDArray[np.float64]) -> dict[str, Any]:
    scores = _scores(way.ask, images, batch)
    example = _whole(images[:batch], batch)
    calls = _calls(lambda: way.ask(example))
    torch.cuda.synchronize()
    count = len(calls)
    began = time.perf_counter()
    for _ in range(count):
        way.compute()
    torch.cuda.synchronize()
    alone = time.perf_counter() - began
    return {
        "scores": scores,
        "ms_p50": 1000 * float(np.percentile(calls, 50)) / batch,
        "ms_p99": 1000 * float(np.percentile(calls, 99)) / batch,
        "calls": count,
        "images_per_s": batch / float(np.mean(calls)),
        "gpu_images_per_s": count * batch / alone,
        "largest_score_difference": float(np.abs(scores - expected).max()),
        "mean_score_difference": float(np.abs(scores - expected).mean()),
        "gpu_mb": torch.cuda.max_memory_allocated() / 2**20,
        "prepared_s": way.prepared,
    }


def _calls(call: Callable[[], Any]) -> list[float]:
    """Seconds of each of many calls."""
    least, most = _CALLS
    seconds: list[float] = []
    while len(seconds) < least or (sum(seconds) < _TIMED_SECONDS and len(seconds) < most):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return seconds


def _scores(ask: Callable[[Tensor], Any], images: Tensor, batch: int) -> NDArray[np.float64]:
    """``[N]`` scores, asked for in whole batches of one size."""
    found = [ask(_whole(some, batch))[0][: len(some)] for some in images.split(batch)]
    return torch.cat(found).double().numpy()


def _whole(images: Tensor, batch: int) -> Tensor:
    """Images filled up to a batch by more of the same."""
    return images.repeat(-(-batch // len(images)), 1, 1, 1)[:batch]
