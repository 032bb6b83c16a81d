"""``python -m benchmarks.curriculum``: does drawing flaws by what the detector is unsure of help?

On made-up parts, each detector is trained without some flaw families, with and without the curriculum, from the same
seed; then it is asked for the families that it never saw, and for the parts' own defects, which other code draws.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks.console import show
from benchmarks.machine import describe_machine
from learning.curriculum import CurriculumConfig
from learning.detectors import Budget, Detector, create
from learning.images.image_set import ImageSet
from learning.images.preprocessing import Preprocessing
from learning.images.readers import read_data
from learning.metrics import image_auroc
from learning.splits import split_groups
from synth.families import ANYWHERE
from synth.families.base import Context
from synth.foreground import foreground
from synth.image_level import Synthesizer
from synth.parts import make_parts

KINDS = ("tile", "label", "fastener")
_LEFT_OUT = 3
_BATCH = 20
_FIGURES = ("left_out", "defects")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark.

    Args:
        arguments: Of the command line; by default those of the process.
    """
    options = _parse(arguments)
    torch.set_num_threads(1)
    runs = []
    with tempfile.TemporaryDirectory(prefix="flawsmith-benchmark-") as folder:
        for kind in options.kinds:
            data = Path(folder) / kind
            make_parts(data, kind, good=90, test_good=40, defective=60, seed=options.data_seed, size=options.size)
            for seed in options.seeds:
                for curriculum in (False, True):
                    runs.append(run(data, kind, seed, curriculum, options))
                    _say(json.dumps(runs[-1]))
    result = {
        "benchmark": "curriculum",
        "steps": options.steps,
        "seeds": options.seeds,
        "quick": options.quick,
        "summary": [summarise(kind, runs) for kind in (*options.kinds, "all")],
        "runs": runs,
        "machine": describe_machine(),
    }
    show(result, table(result), options.json)


def run(data: Path, kind: str, seed: int, curriculum: bool, options: argparse.Namespace) -> dict[str, Any]:
    """Train one detector and measure it.

    Args:
        data: What ``make_parts`` wrote.
        kind: Of the parts.
        seed: Of training, and of which families are left out.
        curriculum: Whether flaws are drawn by it.
        options: Size, batch, widths and steps.

    Returns:
        ``left_out`` and ``defects``: image AUROC on flaws of the families that were left out, and on the parts' own
        defects; ``seconds`` of training.
    """
    records = read_data(data, seed=seed)
    preprocessing = Preprocessing.for_images(
        [record.path for record in records if record.split == "train"], options.size
    )
    parts = split_groups([r for r in records if r.split == "train"], {"train": 0.85, "selection": 0.15}, seed)
    names = sorted(ANYWHERE)
    left_out = sorted(np.random.default_rng(seed).permutation(names)[:_LEFT_OUT].tolist())
    config = {
        "batch": options.batch,
        "widths": options.widths,
        "families": [name for name in names if name not in left_out],
        "curriculum": CurriculumConfig().model_dump() if curriculum else None,
    }
    detector = create("segment", config, preprocessing)
    started = time.process_time()
    detector.fit(
        ImageSet(parts["train"], preprocessing),
        ImageSet(parts["selection"], preprocessing),
        seed,
        Budget(steps=options.steps),
    )
    seconds = time.process_time() - started
    good = ImageSet([r for r in records if r.split == "test" and not r.defective], preprocessing)
    bad = ImageSet([r for r in records if r.split == "test" and r.defective], preprocessing)
    sound = _scores(detector, good.batch(range(len(good))))
    return {
        "kind": kind,
        "seed": seed,
        "curriculum": curriculum,
        "families": left_out,
        "left_out": _auroc(sound, _scores(detector, _flawed(good, left_out))),
        "defects": _auroc(sound, _scores(detector, bad.batch(range(len(bad))))),
        "seconds": round(seconds, 1),
    }


def summarise(kind: str, runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean and deviation with and without, and of the difference seed by seed.

    Args:
        kind: Of the parts, or ``all``.
        runs: All runs.

    Returns:
        For each figure ``{"without", "with", "difference"}``, each with ``mean`` and ``std``.
    """
    own = [entry for entry in runs if kind in ("all", entry["kind"])]
    summary: dict[str, Any] = {"kind": kind}
    for figure in _FIGURES:
        plain = [entry[figure] for entry in own if not entry["curriculum"]]
        taught = [entry[figure] for entry in own if entry["curriculum"]]
        gained = [b - a for a, b in zip(plain, taught, strict=True)]
        columns = {"without": plain, "with": taught, "difference": gained}
        summary[figure] = {
            name: {"mean": statistics.fmean(values), "std": statistics.stdev(values) if len(values) > 1 else None}
            for name, values in columns.items()
        }
    return summary


def table(result: dict[str, Any]) -> Table:
    """Draw the summary."""
    drawn = Table(title=f"image AUROC after {result['steps']} steps, seeds {result['seeds']}")
    drawn.add_column("parts")
    for figure in _FIGURES:
        for column in ("without", "with", "difference"):
            drawn.add_column(f"{figure.replace('_', ' ')}, {column}", justify="right")
    for summary in result["summary"]:
        cells = [summary[figure][column] for figure in _FIGURES for column in ("without", "with", "difference")]
        drawn.add_row(summary["kind"], *map(_cell, cells))
    return drawn


def _cell(figure: dict[str, float | None]) -> str:
    spread = "" if figure["std"] is None else f" ± {figure['std']:.3f}"
    return f"{figure['mean']:.3f}{spread}"


@torch.no_grad()
def _flawed(good: ImageSet, families: list[str]) -> Tensor:
    """Three flawed copies of every good image, one flaw each; the same for every detector."""
    images = good.batch(range(len(good))).repeat(3, 1, 1, 1)
    generator = torch.Generator().manual_seed(0)
    recipe = Synthesizer(families, flaws_per_image=(1, 1)).draw(generator, len(images))
    flawed, masks = Synthesizer.apply(images, recipe, Context(foreground(images)[0], images[: len(good)]))
    return flawed[masks.flatten(1).amax(dim=1) > 0]


def _scores(detector: Detector, images: Tensor) -> list[float]:
    return [score for chunk in images.split(_BATCH) for score in detector.predict(chunk).scores.tolist()]


def _auroc(good: list[float], bad: list[float]) -> float:
    return round(image_auroc(good + bad, [False] * len(good) + [True] * len(bad)), 4)


def _say(text: str) -> None:
    Console(stderr=True, soft_wrap=True).print(text, highlight=False, markup=False)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    def numbers(text: str) -> list[int]:
        return [int(number) for number in text.split(",")]

    parser = argparse.ArgumentParser(prog="python -m benchmarks.curriculum", description=__doc__)
    parser.add_argument("--kinds", type=lambda text: text.split(","), default=list(KINDS), help="of parts, by commas")
    parser.add_argument("--steps", type=int, default=400, help="of each training")
    parser.add_argument("--seeds", type=numbers, default=[0, 1, 2])
    parser.add_argument("--data-seed", type=int, default=5, help="of the parts")
    parser.add_argument("--size", type=int, default=112, help="side of the images in pixels")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--widths", type=numbers, default=[16, 32, 48, 64], help="of the detector's network")
    parser.add_argument("--json", action="store_true", help="print one object as the last line of stdout")
    parser.add_argument("--quick", action="store_true", help="one kind, one seed, 20 steps: the same code")
    options = parser.parse_args(arguments)
    if options.quick:
        options.kinds, options.seeds, options.steps = options.kinds[:1], options.seeds[:1], min(options.steps, 20)
    return options


if __name__ == "__main__":
    main()
