"""``python -m benchmarks.pretraining``: does it help to have seen made-up products before the user's?

A network is trained on products made of formulas (``synth.surfaces``, ``benchmarks.comparing``), to find flaws in a
picture and by comparing it with good parts of the same product. Then three ways are judged as in
``benchmarks.choice``, by good parts and defects of other code, no test part of any data set: ``segment`` from scratch;
``segment`` from these weights, with the same seeds for the same steps or minutes; and the comparison alone, which is
not trained any more. With ``--weights`` the network and the log of its training are kept, and found there the next
time; a training that is stopped goes on where it was.
"""

import argparse
import hashlib
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks.choice import judge as judge_detector
from benchmarks.choice import summarise, table
from benchmarks.comparing.detector import Comparing, Pretrained
from benchmarks.comparing.episodes import EpisodeConfig
from benchmarks.comparing.training import judge, pretrain
from benchmarks.console import say, show, start
from benchmarks.exam import Exam
from benchmarks.machine import describe_machine
from benchmarks.options import add_budget, add_exams, check_exams, make_exams
from integrations.cli.console import bar
from learning.detectors.base import Budget
from learning.detectors.segment.detector import Segment, SegmentConfig

SCRATCH, PRETRAINED, COMPARING = "from scratch", "pretrained", "comparison alone, no training"

_QUICK = EpisodeConfig(products=3, references=2, queries=3, sound=1, size=64)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark.

    Args:
        arguments: Of the command line; by default those of the process.
    """
    options = _parse(arguments)
    runs = []
    with tempfile.TemporaryDirectory(prefix="flawsmith-benchmark-") as made:
        file = options.weights or Path(made) / "weights.safetensors"
        if not file.exists():
            make(file, options)
        started = load_file(file)
        for exam in make_exams(Path(made), options):
            for seed in options.seeds:
                for way in (SCRATCH, PRETRAINED, COMPARING):
                    runs.append(run(exam, way, started, seed, options.steps, options.minutes))
                    say(f"{exam.name}: {way}, seed {seed}: {runs[-1]['image_auroc']:.3f}")
        log = file.with_suffix(".json")
        pretraining = json.loads(log.read_text()) if log.exists() else None
    result = {
        "benchmark": "pretraining",
        "pretraining": pretraining,
        "seeds": options.seeds,
        "quick": options.quick,
        "summary": summarise(runs),
        "runs": runs,
        "machine": describe_machine(),
    }
    show(result, table(result["summary"]), options.json)


def make(file: Path, options: argparse.Namespace) -> None:
    """Pretrain a network, and write it with the log of its training beside it."""
    config = _QUICK if options.quick else EpisodeConfig()
    budget = Budget(
        minutes=options.pretraining_minutes, steps=None if options.pretraining_minutes else options.pretraining_steps
    )
    with bar("run it again to go on, if --weights was given") as progress:
        network, report = pretrain(
            config,
            budget,
            options.pretraining_seed,
            options.device,
            options.workers,
            progress=progress,
            checkpoint=file.with_suffix(".training"),
        )
    say(f"{report.steps} steps in {report.seconds:.0f} s, {report.waited:.0f} s of them waiting for pictures")
    save_file({name: value.cpu().contiguous() for name, value in network.state_dict().items()}, file)
    log = {
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "parameters": sum(value.numel() for value in network.parameters()),
        "episodes": asdict(config),
        "seed": options.pretraining_seed,
        "device": options.device,
        "steps": report.steps,
        "seconds": report.seconds,
        "waited": report.waited,
        "pictures": report.steps * config.products * (config.references + config.queries),
        "losses": report.losses,
        "auroc_on_products_never_seen": asdict(judge(network, config, 2 if options.quick else 20, options.device)),
        "machine": describe_machine(),
    }
    file.with_suffix(".json").write_text(json.dumps(log, indent=1) + "\n")


def run(
    exam: Exam, way: str, started: dict[str, Tensor], seed: int, steps: int | None, minutes: float | None
) -> dict[str, Any]:
    """Train in one of the ways and judge; see ``benchmarks.choice.judge``."""
    # The pretrained network sees pictures alone, so that none of the ways knows what is usual at a place.
    config, preprocessing = SegmentConfig(reference=False), exam.train.preprocessing
    if way == COMPARING:
        comparing = Comparing(config, preprocessing)
        comparing.start = started
        return judge_detector(exam, way, comparing, comparing.remember(exam.train, seed), seed)
    detector = Segment(config, preprocessing)
    if way == PRETRAINED:
        detector = Pretrained(config, preprocessing)
        detector.start = started
    budget = Budget(minutes=minutes, steps=None if minutes else steps)
    return judge_detector(exam, way, detector, detector.fit(exam.train, exam.train, seed, budget), seed)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.pretraining",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--weights", type=Path, help="file of the pretrained network, .safetensors; made if missing")
    pretraining = parser.add_mutually_exclusive_group()
    pretraining.add_argument("--pretraining-steps", type=int, default=5000, help="of 288 pictures")
    pretraining.add_argument("--pretraining-minutes", type=float, help="instead of steps")
    parser.add_argument("--pretraining-seed", type=int, default=0)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="to pretrain on")
    parser.add_argument("--workers", type=int, default=0, help="processes that draw products for it")
    add_exams(parser)
    add_budget(parser, steps=300)
    options = parser.parse_args(arguments)
    check_exams(parser, options)
    numbers = (options.steps, options.pretraining_steps, options.pretraining_seed + 1, options.workers + 1)
    if min(numbers) < 1 or any(m is not None and m <= 0 for m in (options.minutes, options.pretraining_minutes)):
        parser.error("steps and minutes take numbers above 0, --pretraining-seed and --workers 0 or more")
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("there is no CUDA device here")
    if options.quick:
        options.steps, options.pretraining_steps, options.minutes, options.pretraining_minutes = 10, 10, None, None
    return options


if __name__ == "__main__":
    start(main)
