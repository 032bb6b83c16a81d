"""What synthesis costs a training step: the same short training with it and without it, in turn."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from learning.detectors import Budget, create
from learning.flaw_sources import FlawSources
from learning.images.image_set import ImageSet
from learning.images.preprocessing import Preprocessing
from learning.images.readers import find_images
from synth.families.base import NO_CONTEXT, Context
from synth.image_level import Recipe, Synthesizer
from synth.parts import make_parts

DETECTOR = "segment"
_GOOD = 60
_SIZE = 192


def measure_training_step(folder: Path, steps: int, rounds: int, seed: int = 0) -> dict[str, Any]:
    """Train the default detector on made-up tiles for a few steps, with and without synthesis, and compare.

    Without synthesis every batch is read, mirrored, moved and relit as ever, but no source is chosen and no flaw
    is drawn or painted. What that saves is what synthesis costs a step, all told: waiting for batches as well as cores
    that it takes from the network while it works ahead.

    Args:
        folder: To make parts in.
        steps: Of each training.
        rounds: How often each of the two is run, in turn.
        seed: Of all random choices.

    Returns:
        ``share_of_training_step`` (the median over the rounds of one less the time without synthesis over the time
        with it, at least 0), ``rounds`` of it, ``share_of_cpu_time`` (the same of the time of all cores, which says
        more where other processes want the cores too), ``waited_share`` (of the time with synthesis, in which training
        did nothing but wait for a batch), ``step_ms`` and ``step_ms_without_synthesis`` (medians), and ``threads``,
        ``steps``, ``batch``, ``size``.
    """
    data = make_parts(folder / "tiles", "tile", good=_GOOD, test_good=0, defective=0, size=_SIZE, seed=seed)
    files = find_images([data / "train"])
    preprocessing = Preprocessing.for_images(files, _SIZE)
    images = ImageSet(files, preprocessing)
    images.batch(range(len(images)))  # held in memory from here on, as after the first epoch

    def run() -> _Step:
        detector = create(DETECTOR, {}, preprocessing)
        cpu = time.process_time()
        report = detector.fit(images, images, seed, Budget(steps=steps))
        return _Step(report.seconds / steps, (time.process_time() - cpu) / steps, report.waited / report.seconds)

    run()  # the first one meets cold caches
    whole, bare = [], []
    for _ in range(rounds):
        whole.append(run())
        with _no_synthesis():
            bare.append(run())
    shares = [max(0.0, 1 - free.seconds / took.seconds) for took, free in zip(whole, bare, strict=True)]
    cpu_shares = [max(0.0, 1 - free.cpu / took.cpu) for took, free in zip(whole, bare, strict=True)]
    return {
        "share_of_training_step": median(shares),
        "rounds": shares,
        "share_of_cpu_time": median(cpu_shares),
        "waited_share": median(step.waited for step in whole),
        "step_ms": 1000 * median(step.seconds for step in whole),
        "step_ms_without_synthesis": 1000 * median(step.seconds for step in bare),
        "threads": torch.get_num_threads(),
        "steps": steps,
        "batch": create(DETECTOR, {}, preprocessing).config.batch,
        "size": _SIZE,
    }


@dataclass(frozen=True)
class _Step:
    """One step on average: wall-clock seconds, seconds of all cores, and the share of waiting in the former."""

    seconds: float
    cpu: float
    waited: float


@contextmanager
def _no_synthesis() -> Iterator[None]:
    """Let training take good parts as they are."""
    with ExitStack() as stack:
        stack.enter_context(patch.object(FlawSources, "context", lambda *_: NO_CONTEXT))
        stack.enter_context(patch.object(Synthesizer, "draw", _nothing))
        stack.enter_context(patch.object(Synthesizer, "apply", staticmethod(_unchanged)))
        yield


def _nothing(_synthesizer: object, _generator: torch.Generator, count: int) -> Recipe:
    return Recipe(count, ())


def _unchanged(images: Tensor, recipe: Recipe, context: Context = NO_CONTEXT) -> tuple[Tensor, Tensor]:
    return images, torch.zeros_like(images[:, :1])
