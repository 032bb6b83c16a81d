"""``python -m benchmarks.small_defects``: are defects found that are small in large pictures of a surface?

Surfaces are made of formulas, a product for each seed, and defects are drawn by code that no detector trains on, on
windows of the pictures from a fifth of a side to all of it. The default, which sees whole pictures, is laid beside
``configs/segment_small_defects.yaml``, which learns from windows of them, and beside any other configuration.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from rich.table import Table
from torch.nn import functional

from benchmarks.console import say, show, start
from benchmarks.machine import describe_machine
from integrations.cli.console import bar
from learning.bundle import Bundle
from learning.config import TrainConfig, load_config
from learning.detectors import Budget
from learning.evaluation import evaluate
from learning.images.readers import read_data
from learning.training import train_bundle
from synth.parts.transfer import TRANSFERRED, transfer
from synth.surfaces.product import make_parts_of

WINDOWS = "windows"
_SHARES = (0.2, 0.25, 0.375, 0.5, 1.0)
"""Of a picture's side: windows that defects are drawn on, which are some 3 to 30 % of a window wide."""
_LEAST_SEVERITY = 0.35
_NOISE = 0.01
_OWN = Path(__file__).parents[1] / "configs" / "segment_small_defects.yaml"
_QUICK = {"side": 256, "good": 16, "test_good": 8, "defective": 10}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark.

    Args:
        arguments: Of the command line; by default those of the process.
    """
    options = _parse(arguments)
    runs = []
    for seed in options.seeds:
        with tempfile.TemporaryDirectory(prefix="flawsmith-benchmark-") as folder:
            data = make_surface(Path(folder) / "surface", seed, **options.made)
            for name, config in options.configs.items():
                found = run(data, Path(folder) / name, config, seed, options.budget)
                runs.append({"configuration": name, "seed": seed, **found})
                say(f"{name}, surface {seed}: {_shown(runs[-1])}, {found['ms_per_image']:.0f} ms a picture")
    result = {
        "benchmark": "small_defects",
        "budget": str(options.budget),
        "quick": options.quick,
        **options.made,
        "runs": runs,
        "machine": describe_machine(),
    }
    show(result, table(result), options.json)


def make_surface(folder: Path, seed: int, side: int, good: int, test_good: int, defective: int) -> Path:
    """Make a data set in MVTec AD's layout, its classes being the shares of the side that defects were drawn on."""
    pictures = _surfaces(seed, good + test_good + defective, side)
    for place in range(good):
        _save(next(pictures), folder / "train" / "good" / f"{place:03}.png")
    for place in range(test_good):
        _save(next(pictures), folder / "test" / "good" / f"{place:03}.png")
    rng, names = np.random.default_rng(seed), sorted(TRANSFERRED)
    for place in range(defective):
        picture, share = next(pictures), _SHARES[place % len(_SHARES)]
        length = round(share * side)
        top, left = rng.integers(side - length + 1, size=2)
        window = picture[None, top : top + length, left : left + length]
        name = names[rng.integers(len(names))]
        severity = float(rng.uniform(_LEAST_SEVERITY, 1))
        picture[top : top + length, left : left + length] = transfer(window.copy(), name, rng, severity=severity)[0]
        _save(picture, folder / "test" / f"{share:g}" / f"{place:03}_{name}.png")
    return folder


def run(data: Path, out: Path, config: TrainConfig, seed: int, budget: Budget) -> dict[str, Any]:
    """Train as ``flawsmith train`` does, and measure as ``flawsmith evaluate`` does.

    Returns:
        ``steps`` and figures of ``learning.evaluation.evaluate``.
    """
    with bar("benchmarks are not continued: run it again") as progress:
        train_bundle(data, out, config=config, budget=budget, seed=seed, progress=progress)
        bundle = Bundle.load(out)
        figures = evaluate(bundle, read_data(data), progress=progress)
    kept = ("image_auroc", "image_auroc_interval", "image_auroc_by_class", "escape_rate", "false_reject_rate")
    shape = bundle.preprocessing
    return {"steps": bundle.manifest.steps, "seen": [shape.width, shape.height]} | {
        name: figures[name] for name in (*kept, "ms_per_image")
    }


def table(result: dict[str, Any]) -> Table:
    """A row for each run, a column for each share of the side that defects were drawn on."""
    classes = sorted({name for one in result["runs"] for name in one["image_auroc_by_class"]}, key=float)
    drawn = Table(title=f"{result['side']} x {result['side']}, {result['budget']}: image AUROC by where defects lie")
    for name in ("configuration", "surface", "all", *(f"{float(name):.0%} of a side" for name in classes), "ms"):
        drawn.add_column(name, justify="left" if name == "configuration" else "right")
    for one in result["runs"]:
        by_class = (f"{one['image_auroc_by_class'][name]:.3f}" for name in classes)
        drawn.add_row(
            f"{one['configuration']}, {one['steps']} steps",
            str(one["seed"]),
            _shown(one),
            *by_class,
            f"{one['ms_per_image']:.0f}",
        )
    return drawn


def _surfaces(seed: int, count: int, side: int) -> Iterator[np.ndarray]:
    """Pictures ``[side, side]`` float32, 0..1, of one product that is a surface: the first one that a seed draws.

    They are drawn at half of the side, in a tenth of the time, and enlarged with a sensor's noise, as a lens would
    show them.
    """
    generator = torch.Generator().manual_seed(seed)
    while True:
        pictures, cover = make_parts_of(1, count, side // 2, generator)
        if cover.all():
            for picture in pictures[0]:
                large = functional.interpolate(picture[None, None], (side, side), mode="bicubic", align_corners=False)
                yield (large[0, 0] + _NOISE * torch.randn(side, side, generator=generator)).clamp(0, 1).numpy()
            return


def _save(picture: np.ndarray, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((picture.clip(0, 1) * 255).round().astype(np.uint8)).save(file)


def _shown(one: dict[str, Any]) -> str:
    low, high = one["image_auroc_interval"]
    return f"{one['image_auroc']:.3f} ({low:.3f} to {high:.3f})"


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.small_defects",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("configs", type=Path, nargs="*", metavar="CONFIG", help="further configurations")
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--minutes", type=float, default=10.0, help="of each training")
    budget.add_argument("--steps", type=int, help="instead: a machine that is not free takes as many")
    parser.add_argument("--side", type=int, default=1024, help="of the pictures, in pixels")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="a surface for each")
    parser.add_argument("--json", action="store_true", help="print one object as the last line of stdout")
    parser.add_argument("--quick", action="store_true", help="under two minutes: a small surface, a few steps")
    options = parser.parse_args(arguments)
    if min(options.minutes, options.steps or 1) <= 0 or options.side < 256:
        parser.error("--minutes and --steps take numbers above 0, --side 256 or more")
    options.configs = {"default": TrainConfig(), WINDOWS: load_config(_OWN)} | {
        path.stem: load_config(path) for path in options.configs
    }
    options.made = {"side": options.side, "good": 60, "test_good": 40, "defective": 80}
    if options.quick:
        options.made, options.seeds, options.steps = _QUICK, options.seeds[:1], options.steps or 10
        options.configs["default"] = TrainConfig(size=64)
        options.configs[WINDOWS] = TrainConfig(size=192, detector_config={"window": 64})
    options.budget = Budget(steps=options.steps) if options.steps else Budget(minutes=options.minutes)
    return options


if __name__ == "__main__":
    start(main)
