"""``python -m benchmarks.pretraining``: does it help ``segment`` to have seen made-up products before the user's?

A network learns to find flaws on thousands of products made of formulas (``synth.surfaces``). Then the detector is
trained from there and from scratch, with the same seeds and for the same steps, and both are judged as in
``benchmarks.choice``. With ``--weights`` the pretrained network is kept, and found there the next time; a pretraining
that is stopped goes on where it was.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from safetensors.torch import load_file, save_file
from torch import Generator, Tensor, nn

from benchmarks.choice import judge, summarise, table
from benchmarks.console import start
from benchmarks.exam import Exam
from benchmarks.machine import describe_machine
from benchmarks.options import add_exams, check_exams, make_exams
from integrations.cli.console import bar
from learning.augmentation import augment
from learning.detectors.base import Budget
from learning.detectors.inputs import standardise
from learning.detectors.segment.detector import Segment, SegmentConfig
from learning.detectors.segment.losses import compute_losses
from learning.detectors.segment.network import UNet
from learning.loop import LoopReport, Schedule
from learning.loop import train as train_loop
from learning.progress import Progress, silent
from synth.families import ANYWHERE
from synth.families.base import Context
from synth.image_level import Synthesizer
from synth.surfaces.product import make_parts_of

_ROOM = 16
"""Pixels that pictures are larger than what is cut out of them, at a random place."""


@dataclass(frozen=True)
class Pool:
    """Pictures of one part of each of many products.

    Attributes:
        images: ``[N, S, S]`` uint8.
        covers: ``[N, S, S]`` bool, where the part is.
    """

    images: NDArray[np.uint8]
    covers: NDArray[np.bool_]

    @classmethod
    def make(cls, products: int, size: int, seed: int, progress: Progress = silent) -> "Pool":
        """Draw products; each follows from the seed and its place."""
        side = size + _ROOM
        images, covers = np.empty((products, side, side), np.uint8), np.empty((products, side, side), np.bool_)
        for i in range(products):
            image, cover = make_parts_of(seed * 10_000_000 + i, 1, side)
            images[i], covers[i] = image[0], cover[0]
            progress(i + 1, products, "drawing products")
        return cls(images, covers)


def pretrain(
    pool: Pool,
    config: SegmentConfig,
    budget: Budget,
    seed: int,
    progress: Progress = silent,
    checkpoint: Path | None = None,
) -> tuple[UNet, LoopReport]:
    """Train a network for grey pictures on a pool of products; arguments as in ``Segment.fit``."""
    torch.manual_seed(seed)
    network = UNet(2, config.widths, config.stem).to(memory_format=torch.channels_last)
    report = train_loop(
        network,
        partial(_make_batch, pool, Synthesizer(config.families or ANYWHERE), config),
        partial(_losses, config),
        budget,
        seed,
        Schedule(config.learning_rate),
        weight_decay=config.weight_decay,
        progress=progress,
        checkpoint=checkpoint,
        text="pretraining",
    )
    return network, report


def _make_batch(
    pool: Pool, synthesizer: Synthesizer, config: SegmentConfig, generator: Generator
) -> tuple[Tensor, Tensor]:
    side = pool.images.shape[-1] - _ROOM
    chosen = torch.randint(len(pool.images), (config.batch,), generator=generator).numpy()
    top, left = torch.randint(_ROOM + 1, (2,), generator=generator).tolist()
    window = (chosen, slice(top, top + side), slice(left, left + side))
    images = torch.from_numpy(pool.images[window]).float()[:, None] / 255
    covers = torch.from_numpy(pool.covers[window]).float()[:, None]
    if torch.rand((), generator=generator) < 0.5:
        images, covers = images.mT.contiguous(), covers.mT.contiguous()
    images, covers = augment(images, covers, generator)
    # A small part may have been cut off by the window.
    covers = torch.where(covers.flatten(1).any(dim=1)[:, None, None, None], covers, 1.0)
    sound = round(config.batch * config.good_share)
    # Flaws that show another part take it from the same picture: other pictures are of other products.
    flawed, masks = Synthesizer.apply(
        images[sound:], synthesizer.draw(generator, config.batch - sound), Context(covers[sound:])
    )
    return torch.cat([images[:sound], flawed]), torch.cat([torch.zeros_like(images[:sound]), masks])


def _losses(config: SegmentConfig, network: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    images, masks = batch
    logits = network(standardise(images).contiguous(memory_format=torch.channels_last)).float()
    return compute_losses(logits, masks, config.loss_share)


_FIRST = ("down.0.first.0.weight", "down.0.shortcut.weight")
"""Weights of the layers that see the picture."""


class _Pretrained(Segment):
    """The detector, which starts from weights that were learnt before."""

    start: dict[str, Tensor]

    def _new_network(self) -> UNet:
        network = super()._new_network()
        channels = self.preprocessing.channels
        own = dict(self.start)
        for name in _FIRST:
            own[name] = _for_channels(own[name], channels, self.config.stem**2)
        network.load_state_dict(own)
        return network


def _for_channels(value: Tensor, channels: int, blocks: int) -> Tensor:
    """Share out a first layer's weights ``[O, 2 * blocks, k, k]``, learnt on grey, among so many channels."""
    shared = value.unflatten(1, (2, 1, blocks)).expand(-1, -1, channels, -1, -1, -1)
    return torch.flatten(shared / channels, 1, 3)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark.

    Args:
        arguments: Of the command line; by default those of the process.
    """
    options = _parse(arguments)
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="flawsmith-benchmark-") as made:
        file = options.weights or Path(made) / "weights.safetensors"
        if not file.exists():
            _pretrain_into(file, options)
        start = load_file(file)
        runs = []
        for exam in make_exams(Path(made), options):
            for seed in options.seeds:
                for name, given in (("from scratch", None), ("pretrained", start)):
                    runs.append(run(exam, name, given, seed, options.steps))
                    console.print(f"{exam.name}: {name}, seed {seed}: {runs[-1]['image_auroc']:.3f}", highlight=False)
    result = {
        "benchmark": "pretraining",
        "pretraining": {
            "steps": options.pretraining_steps,
            "products": options.products,
            "size": options.pretraining_size,
            "seed": options.pretraining_seed,
        },
        "seeds": options.seeds,
        "quick": options.quick,
        "summary": summarise(runs),
        "runs": runs,
        "machine": describe_machine(),
    }
    Console(stderr=options.json).print(table(result["summary"]))
    if options.json:
        sys.stdout.write(json.dumps(result) + "\n")


def _pretrain_into(file: Path, options: argparse.Namespace) -> None:
    seed, budget = options.pretraining_seed, Budget(steps=options.pretraining_steps)
    with bar("run it again to go on, if --weights was given") as progress:
        pool = Pool.make(options.products, options.pretraining_size, seed, progress)
        network, _ = pretrain(pool, SegmentConfig(), budget, seed, progress, file.with_suffix(".training"))
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, file)


def run(exam: Exam, name: str, start: dict[str, Tensor] | None, seed: int, steps: int) -> dict[str, Any]:
    """Train from given weights, or from scratch where there are none, and judge; see ``benchmarks.choice.judge``."""
    detector = (Segment if start is None else _Pretrained)(SegmentConfig(), exam.train.preprocessing)
    if isinstance(detector, _Pretrained) and start is not None:
        detector.start = start
    report = detector.fit(exam.train, exam.train, seed, Budget(steps=steps))
    return judge(exam, name, detector, report, seed)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.pretraining",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--weights", type=Path, help="file of the pretrained network, .safetensors; made if missing")
    parser.add_argument("--pretraining-steps", type=int, default=10_000)
    parser.add_argument("--products", type=int, default=14_000, help="made-up products; memory for them: 90 kB each")
    parser.add_argument("--pretraining-size", type=int, default=192, help="side of their pictures in pixels")
    parser.add_argument("--pretraining-seed", type=int, default=0)
    add_exams(parser)
    parser.add_argument("--steps", type=int, default=300, help="of each training")
    options = parser.parse_args(arguments)
    check_exams(parser, options)
    numbers = (options.steps, options.pretraining_steps, options.products, options.pretraining_seed + 1)
    if min(numbers) < 1 or options.pretraining_size < 64:
        parser.error("steps and products take numbers above 0, --pretraining-size 64 or more")
    if options.quick:
        options.steps, options.pretraining_steps, options.products, options.pretraining_size = 10, 10, 64, 64
    return options


if __name__ == "__main__":
    start(main)
