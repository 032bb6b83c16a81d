"""``python -m benchmarks.generative``: are confirmed defects worth more when a network learns to make more of them?

On made-up parts, whose defects are drawn by other code than the flaw families: some defective parts are taken as
confirmed, a detector is trained without them, with them blended into good parts, with what a small GAN makes after
them, and with both; all are measured on other parts. Beside it the kernel distance (KID) of what is painted to the real
defects of those other parts, in the space of the detector that knows no confirmed defect. Small budgets: what counts is
the order of the rows, not their height.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.console import Clock, say, show
from integrations.cli.console import bar
from learning.bundle import Bundle
from learning.config import TrainConfig
from learning.defects import cut_from_files
from learning.detectors import Budget
from learning.evaluation import evaluate
from learning.generative import LEAST_DEFECTS, DefectGenerator
from learning.images.readers import read_data
from learning.realism import judge_realism, read_confirmed, read_synthetic
from learning.training import train_bundle
from synth.dataset import write_dataset
from synth.parts import KINDS, make_parts
from synth.settings import SynthesisSettings
from synth.sources.defects import DefectBank, bank_of

CONDITIONS = ("none", "blended", "generated", "both")
_FIGURES = ("image_auroc", "pixel_auroc", "aupro")
_PAINTED = {
    "none": SynthesisSettings(),
    "blended": SynthesisSettings.model_validate({"families": ["confirmed"]}),
    "generated": SynthesisSettings.model_validate({"families": ["confirmed"]}),
}
"""What is held beside real defects: all families, confirmed defects, and the network's."""
_CONFIRMED_SEED, _TEST_SEED = 10_000, 20_000


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark.

    Args:
        arguments: Of the command line; by default those of the process.
    """
    options = _parse(arguments)
    clock = Clock()
    runs = []
    with tempfile.TemporaryDirectory(prefix="flawsmith-benchmark-") as folder:
        for seed in options.seeds:
            runs += run(Path(folder) / str(seed), seed, options)
    result = {
        "benchmark": "generative",
        "kind": options.kind,
        "steps": options.steps,
        "generator_steps": options.generator_steps,
        "confirmed": options.confirmed,
        "seeds": options.seeds,
        "quick": options.quick,
        "summary": [summarise(condition, runs) for condition in CONDITIONS],
        "runs": runs,
        **clock.read(),
    }
    show(result, table(result), options.json)


def run(folder: Path, seed: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    """All conditions with one seed, on the same parts.

    Args:
        folder: To work in.
        seed: Of parts, generator and training.
        options: Of the command line.

    Returns:
        For each condition ``condition``, ``seed``, ``seconds``, the figures on parts that nothing else has seen, and
        ``kid``, ``kid_error`` and ``kid_real`` as ``kernel_distances`` gives them, where only one source is painted.
    """
    size = options.size
    good = make_parts(folder / "good", options.kind, good=options.good, test_good=1, defective=1, seed=seed, size=size)
    test = make_parts(
        folder / "test",
        options.kind,
        good=1,
        test_good=options.test,
        defective=options.test,
        seed=seed + _TEST_SEED,
        size=size,
    )
    confirmed = confirmed_bank(folder / "confirmed", options.kind, options.confirmed, seed, size)
    started = time.monotonic()
    with bar("benchmarks are not continued: run it again") as progress:
        made = DefectGenerator.train(confirmed, options.generator_steps, seed, progress=progress)
    generated = made.sample(2 * len(confirmed), seed)
    say(f"seed {seed}: learned {len(confirmed)} defects in {time.monotonic() - started:.0f} s")
    banks = {"none": None, "blended": confirmed, "generated": generated, "both": confirmed + generated}
    runs = []
    for condition in CONDITIONS:
        started = time.monotonic()
        with bar("benchmarks are not continued: run it again") as progress:
            train_bundle(
                good / "train",
                folder / condition,
                config=TrainConfig(size=size, detector_config={"batch": options.batch}),
                budget=Budget(steps=options.steps),
                seed=seed,
                defects=banks[condition],
                progress=progress,
            )
            figures = evaluate(Bundle.load(folder / condition), read_data(test, seed=seed), progress=progress)
            distances = kernel_distances(folder, condition, banks[condition], options.flawed, seed)
        runs.append(
            {
                "condition": condition,
                "seed": seed,
                "seconds": time.monotonic() - started,
                **{name: figures[name] for name in _FIGURES},
                **distances,
            }
        )
        say(f"seed {seed}, {condition}: image AUROC {figures['image_auroc']:.3f}")
    return runs


def kernel_distances(
    folder: Path, condition: str, bank: DefectBank | None, count: int, seed: int
) -> dict[str, float | None]:
    """How far what a condition paints on good parts is from real defects of parts that nothing else has seen.

    Args:
        folder: Of the seed, with its parts and the bundle that knows no confirmed defect.
        condition: One of ``CONDITIONS``.
        bank: Confirmed defects, if it has some.
        count: Number of flawed images.
        seed: Of the flaws, and of the halves.

    Returns:
        ``kid`` and ``kid_error``, and ``kid_real``: 95 % of the random halves of the real defects are nearer to each
        other. Nothing for a condition that paints more than one source.
    """
    if condition not in _PAINTED:
        return {}
    painted = folder / f"painted-{condition}"
    good = sorted((folder / "good" / "train").rglob("*.png"))
    write_dataset(good, painted, count, settings=_PAINTED[condition], defects=bank, seed=seed)
    real = read_confirmed([record for record in read_data(folder / "test", seed=seed) if record.defective])
    space = judge_realism(read_synthetic(painted, seed=seed), real, Bundle.load(folder / "none"), seed).space
    if space is None or space.real_synthetic is None or space.real_real is None:
        return {}
    return {
        "kid": space.real_synthetic.value,
        "kid_error": space.real_synthetic.error,
        "kid_real": space.real_real.high,
    }


def confirmed_bank(folder: Path, kind: str, count: int, seed: int, size: int) -> DefectBank:
    """Defects of made-up parts, cut out by their true masks.

    Args:
        folder: To work in.
        kind: Of part.
        count: Least number of defects.
        seed: Of the parts.
        size: Side of the pictures in pixels.
    """
    parts = make_parts(folder, kind, good=1, test_good=1, defective=count, seed=seed + _CONFIRMED_SEED, size=size)
    cuts = [
        cut_from_files(record.path, record.mask, name=record.path.stem, label=record.label, provenance=record.path.name)
        for record in read_data(parts)
        if record.defective and record.mask is not None
    ]
    return bank_of(cuts)


def summarise(condition: str, runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation over the seeds, and the mean gain over training without confirmed defects.

    Args:
        condition: One of ``CONDITIONS``.
        runs: All runs.
    """
    own = {entry["seed"]: entry for entry in runs if entry["condition"] == condition}
    without = {entry["seed"]: entry for entry in runs if entry["condition"] == "none"}
    summary: dict[str, Any] = {"condition": condition, "runs": len(own)}
    for name in ("kid", "kid_real"):
        summary[name] = [entry[name] for entry in own.values() if name in entry]
    for figure in _FIGURES:
        values = [entry[figure] for entry in own.values()]
        spread = statistics.stdev(values) if len(values) > 1 else None
        gains = [entry[figure] - without[seed][figure] for seed, entry in own.items()]
        summary[figure] = {"mean": statistics.fmean(values), "std": spread, "gains": gains}
    return summary


def table(result: dict[str, Any]) -> Table:
    """Draw the summary."""
    drawn = Table(
        title=f"{result['kind']}, {result['confirmed']} confirmed defective parts, {result['steps']} steps, "
        f"seeds {result['seeds']}"
    )
    for heading in ("confirmed defects", *_FIGURES, "gain in image AUROC by seed", "KID to real", "real to real"):
        drawn.add_column(heading.replace("_", " "), justify="left" if heading == "confirmed defects" else "right")
    for summary in result["summary"]:
        gains = " ".join(f"{gain:+.3f}" for gain in summary["image_auroc"]["gains"])
        cells = [_cell(summary[figure]) for figure in _FIGURES]
        distances = [" ".join(f"{value:.3f}" for value in summary[name]) or "–" for name in ("kid", "kid_real")]
        drawn.add_row(summary["condition"], *cells, "–" if summary["condition"] == "none" else gains, *distances)
    return drawn


def _cell(figure: dict[str, Any]) -> str:
    return f"{figure['mean']:.3f}" + (f" ± {figure['std']:.3f}" if figure["std"] is not None else "")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generative", description=__doc__)
    parser.add_argument("--kind", choices=sorted(KINDS), default="tile", help="kind of made-up part")
    parser.add_argument("--confirmed", type=int, default=60, help=f"defective parts, at least {LEAST_DEFECTS}")
    parser.add_argument("--good", type=int, default=80, help="good parts to train on")
    parser.add_argument("--test", type=int, default=70, help="good parts, and as many defective ones, to measure on")
    parser.add_argument("--flawed", type=int, default=200, help="images painted to be held beside real defects")
    parser.add_argument("--size", type=int, default=128, help="side of the pictures")
    parser.add_argument("--batch", type=int, default=8, help="of the detector")
    parser.add_argument("--steps", type=int, default=300, help="of the detector, for each run")
    parser.add_argument("--generator-steps", type=int, default=1000, help="of the generative source")
    parser.add_argument("--seeds", type=lambda text: [int(seed) for seed in text.split(",")], default=[0, 1, 2])
    parser.add_argument("--json", action="store_true", help="print one object as the last line of stdout")
    parser.add_argument("--quick", action="store_true", help="one seed, few steps: the same code, other figures")
    options = parser.parse_args(arguments)
    if options.confirmed < LEAST_DEFECTS:
        parser.error(f"--confirmed must be at least {LEAST_DEFECTS}: with fewer the generative source does not train")
    if options.quick:
        options.seeds, options.steps, options.generator_steps = options.seeds[:1], min(options.steps, 12), 100
        options.good, options.test = min(options.good, 40), min(options.test, 14)
        options.confirmed, options.flawed = min(options.confirmed, 56), min(options.flawed, 40)
    return options


if __name__ == "__main__":
    main()
