"""Scores images one by one in a process of its own, on one core: one JSON object on stdout.

python -m benchmarks.workers.scoring BUNDLE IMAGES.npy --precision fp32|bf16 --timed N
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.workers.memory import peak_memory
from learning.bundle import Bundle

_WARM_UP = 10


def main(arguments: Sequence[str] | None = None) -> None:
    """Score every image, and time the first ones once more."""
    options = _parse(arguments)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
    torch.set_num_threads(1)
    detector = Bundle.load(options.bundle).detector
    images = torch.from_numpy(np.load(options.images))
    wall: list[float] = []
    processor: list[float] = []
    with torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bf16"):
        for image in images[:_WARM_UP]:
            detector.predict(image[None])
        scores = [float(detector.predict(image[None]).scores) for image in images]
        for i in range(options.timed):
            image = images[i % len(images)][None]
            started, used = time.perf_counter(), time.process_time()
            detector.predict(image)
            wall.append(1000 * (time.perf_counter() - started))
            processor.append(1000 * (time.process_time() - used))
    result = {
        "scores": scores,
        "ms_p50": float(np.percentile(wall, 50)),
        "ms_p99": float(np.percentile(wall, 99)),
        "cpu_ms_p50": float(np.percentile(processor, 50)),
        "cpu_ms_p99": float(np.percentile(processor, 99)),
        "peak_mb": peak_memory(),
    }
    sys.stdout.write(json.dumps(result) + "\n")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workers.scoring", description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--timed", type=int, default=200)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
