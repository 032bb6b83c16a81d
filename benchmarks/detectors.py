"""``python -m benchmarks.detectors``: train and evaluate detectors, seed by seed, as ``flawsmith`` does it.

On a data set (``--data``), whose test part is reported and never selected on, or on parts that are made up on the fly
(``--parts tile,label``), whose defects are drawn by other code than the flaws that detectors learn from. ``auto``
brings its candidates along, each with all of the minutes, and its regret: how far its choice is from the best of them.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.console import say
from benchmarks.machine import describe_machine
from benchmarks.peer_detectors import PEERS, Terms, compare, peer_table
from benchmarks.workers.memory import peak_memory
from integrations.cli.console import bar
from learning.bundle import Bundle
from learning.config import AUTO, Auto, TrainConfig
from learning.defects import cut_from_files
from learning.detectors import DETECTORS, Budget, detector_class
from learning.evaluation import evaluate
from learning.images.readers import read_data
from learning.training import train_bundle
from synth.parts import KINDS, make_parts
from synth.sources.defects import DefectBank, bank_of

_QUICK_MINUTES = 0.6
"""Of training, for all detectors of a quick run together; the rest of its two minutes goes into measuring."""
_PARTS = {"good": 120, "test_good": 40, "defective": 60, "seed": 7}
_FEW_PARTS = {"good": 24, "test_good": 8, "defective": 12, "seed": 7}
"""For a quick run beside peers, whose backbones are slow on a processor."""
_OTHER_LOT = 1007
_COLUMNS = ("image_auroc", "pixel_auroc", "aupro", "false_reject_rate", "escape_rate", "ms_per_image")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark.

    Args:
        arguments: Of the command line; by default those of the process.
    """
    options = _parse(arguments)
    with tempfile.TemporaryDirectory(prefix="flawsmith-benchmark-") as folder:
        data = [options.data] if options.data else [_make(Path(folder) / kind, kind, options) for kind in options.parts]
        if options.peers:
            _beside_peers(data, options)
            return
        banks = {place: confirmed_defects(place, options.confirmed) for place in data} if options.confirmed else {}
        runs = []
        for place in data:
            for detector in options.detectors:
                for seed in options.seeds:
                    runs.append(run(place, detector, seed, options.minutes, confirmed=banks.get(place)))
                    say(f"{detector} on {place.name}, seed {seed}: image AUROC {_shown_auroc(runs[-1])}")
    result = {
        "benchmark": "detectors",
        "data": [place.name for place in data],
        "made_up": _PARTS if options.parts else None,
        "minutes": options.minutes,
        "seeds": options.seeds,
        "quick": options.quick,
        "confirmed": options.confirmed,
        "summary": [summarise(detector, runs, place.name) for place in data for detector in options.detectors],
        "regret": regrets(runs),
        "runs": runs,
        "peak_mb": peak_memory(),
        "machine": describe_machine(),
    }
    console = Console(stderr=options.json)
    console.print(table(result))
    if result["regret"]:
        console.print(regret_table(result["regret"]))
    if options.json:
        sys.stdout.write(json.dumps(result, default=str) + "\n")


def _beside_peers(data: Sequence[Path], options: argparse.Namespace) -> None:
    terms = Terms(
        options.minutes, options.peer_minutes, options.peer_size, torch.get_num_threads(), options.peer_memory
    )
    rows = []
    for place in data:
        for seed in options.seeds:
            rows += compare(place, options.detectors, options.peers, seed, terms, say)
    result = {
        "benchmark": "peers",
        "terms": asdict(terms),
        "seeds": options.seeds,
        "quick": options.quick,
        "rows": rows,
        "machine": describe_machine(),
    }
    Console(stderr=options.json).print(peer_table(rows))
    if options.json:
        sys.stdout.write(json.dumps(result, default=str) + "\n")


def run(
    data: Path, detector: str, seed: int, minutes: float, device: str = "cpu", confirmed: DefectBank | None = None
) -> dict[str, Any]:
    """Train one detector with one seed and measure it on the test part.

    Args:
        data: Data set with a labelled test part.
        detector: Its name.
        seed: Of the split and of the training.
        minutes: Of training, calibration included.
        device: ``cpu`` or ``cuda``.
        confirmed: Confirmed defects, for detectors that can use them.

    Returns:
        What ``learning.evaluation.evaluate`` measures, with ``data``, ``detector``, ``seed``, ``steps``, ``seconds``,
        ``weights``: where the weights came from that training started from, ``choice``: how ``auto`` chose,
        ``size_mb`` of the bundle, and ``train_images``.
    """
    with tempfile.TemporaryDirectory(prefix="flawsmith-benchmark-") as folder:
        out = Path(folder) / "bundle"
        started = time.monotonic()
        with bar("benchmarks are not continued: run it again") as progress:
            train_bundle(
                data,
                out,
                config=TrainConfig(detector=detector),
                budget=Budget(minutes=minutes),
                seed=seed,
                device=device,
                defects=confirmed if _uses(detector) else None,
                progress=progress,
            )
            seconds = time.monotonic() - started
            # Loaded again, so that what is measured is what lies on disk.
            bundle = Bundle.load(out, device=device)
            figures = evaluate(bundle, read_data(data, seed=seed), progress=progress)
        known: dict[str, Any] = {"data": data.name, "detector": detector, "seed": seed}
        known["weights"] = bundle.manifest.weights
        choice = bundle.manifest.auto
        known["size_mb"] = sum(file.stat().st_size for file in out.rglob("*") if file.is_file()) / 1e6
        known["train_images"] = bundle.manifest.images["train"]
        known["choice"] = choice.model_dump() if choice else None
        return {**known, "steps": bundle.manifest.steps, "seconds": seconds, **figures}


def confirmed_defects(data: Path, count: int) -> DefectBank:
    """Defects of made-up parts of another lot than those that test, as if inspectors had confirmed and marked them.

    Args:
        data: Made-up parts.
        count: Defective parts; one may have several defects.
    """
    with tempfile.TemporaryDirectory(prefix="flawsmith-benchmark-") as folder:
        lot = make_parts(Path(folder) / "lot", data.name, good=1, test_good=1, defective=count, seed=_OTHER_LOT)
        marked = [(record.path, record.mask) for record in read_data(lot) if record.mask is not None]
        return bank_of(cut_from_files(image, mask, name=image.stem) for image, mask in marked)


def _uses(detector: str) -> bool:
    return detector == AUTO or detector_class(detector).learns_from_flaws


def regrets(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """How far each choice of ``auto`` is from the best in hindsight, by image AUROC on test parts.

    Args:
        runs: All runs; those of the candidates, by the same seed on the same data, had all of the minutes.

    Returns:
        For each run of ``auto``: ``data``, ``seed``, ``chosen``, ``best`` (of the candidates, in hindsight), ``regret``
        (of the choice: best less chosen, both with all of the minutes), and ``loss`` (best less what ``auto`` itself
        reached, whose winner had less time).
    """
    found = []
    for one in runs:
        if one["detector"] != AUTO or not one.get("choice"):
            continue
        same = {
            other["detector"]: other for other in runs if (other["data"], other["seed"]) == (one["data"], one["seed"])
        }
        known = {name: same[name]["image_auroc"] for name in Auto().candidates if name in same}
        best = max(known, key=lambda name: known[name])
        chosen = one["choice"]["detector"]
        found.append(
            {
                **{key: one[key] for key in ("data", "seed")},
                "chosen": chosen,
                "best": best,
                "regret": known[best] - known[chosen],
                "loss": known[best] - one["image_auroc"],
                "reason": one["choice"]["reason"],
            }
        )
    return found


def regret_table(rows: Sequence[dict[str, Any]]) -> Table:
    """Draw what ``regrets`` gives."""
    drawn = Table(title="auto: distance to the best candidate in hindsight, image AUROC")
    for heading in ("data", "seed", "chosen", "best", "regret", "loss"):
        drawn.add_column(heading, justify="right" if heading in ("seed", "regret", "loss") else "left")
    for row in rows:
        figures = (f"{row['regret']:.3f}", f"{row['loss']:.3f}")
        drawn.add_row(row["data"], str(row["seed"]), row["chosen"], row["best"], *figures)
    return drawn


def summarise(detector: str, runs: Sequence[dict[str, Any]], data: str) -> dict[str, Any]:
    """Mean and standard deviation over the seeds.

    Args:
        detector: Whose runs.
        runs: All runs.
        data: On which data.

    Returns:
        ``data``, ``detector`` and, for each figure, ``{"mean", "std"}``; the deviation of a single run is None.
        ``lowest`` is the lower end of the image AUROC's interval, the lowest of all seeds.
    """
    own = [entry for entry in runs if (entry["detector"], entry["data"]) == (detector, data)]
    ends = [entry["image_auroc_interval"] for entry in own if entry.get("image_auroc_interval")]
    summary: dict[str, Any] = {"data": data, "detector": detector, "runs": len(own)}
    summary["weights"] = own[0]["weights"]
    summary["lowest"] = min((low for low, _ in ends if low is not None), default=None)
    for column in _COLUMNS:
        values = [entry[column] for entry in own if entry.get(column) is not None]
        if values:
            spread = statistics.stdev(values) if len(values) > 1 else None
            summary[column] = {"mean": statistics.fmean(values), "std": spread}
    return summary


def table(result: dict[str, Any]) -> Table:
    """Draw the summary."""
    drawn = Table(title=f"{', '.join(result['data'])}, {result['minutes']:g} minutes, seeds {result['seeds']}")
    for heading in ("data", "detector", "weights"):
        # Of what is too wide for a terminal, figures are cut first.
        drawn.add_column(heading, no_wrap=True, min_width=6)
    for heading in ("interval from", *_COLUMNS):
        drawn.add_column(heading.replace("_", " "), justify="right")
    for summary in result["summary"]:
        known = (summary["data"], summary["detector"], summary["weights"], _shown(summary["lowest"]))
        drawn.add_row(*known, *(_cell(summary.get(column)) for column in _COLUMNS))
    return drawn


def _make(folder: Path, kind: str, options: argparse.Namespace) -> Path:
    made = _FEW_PARTS if options.quick and options.peers else _PARTS
    return make_parts(folder, kind, **made)  # type: ignore[arg-type]


def _shown_auroc(figures: dict[str, Any]) -> str:
    low, high = figures.get("image_auroc_interval") or (None, None)
    return f"{_shown(figures['image_auroc'])} ({_shown(low)} to {_shown(high)})"


def _cell(figure: dict[str, float | None] | None) -> str:
    if figure is None:
        return "–"
    return _shown(figure["mean"]) + (f" ± {_shown(figure['std'])}" if figure["std"] is not None else "")


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detectors", description=__doc__)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--data", type=Path, help="data set with a labelled test part")
    where.add_argument("--parts", type=lambda text: text.split(","), default=[], help="kinds of made-up parts")
    parser.add_argument("--detectors", type=lambda text: text.split(","), default=["segment"], help="names, by commas")
    parser.add_argument("--minutes", type=float, default=10.0, help="of training, for each run")
    parser.add_argument("--seeds", type=lambda text: [int(seed) for seed in text.split(",")], default=[0, 1, 2])
    parser.add_argument(
        "--confirmed",
        type=int,
        default=0,
        help="defective made-up parts of another lot whose defects are confirmed; for supervised, segment and glass",
    )
    parser.add_argument(
        "--peers",
        nargs="?",
        const=list(PEERS),
        type=lambda text: text.split(","),
        help="train anomalib's detectors beside, in an environment that is made for them: " + ", ".join(PEERS),
    )
    parser.add_argument("--peer-minutes", type=float, help="of training, for each peer; default: --minutes")
    parser.add_argument("--peer-size", type=int, default=256, help="side of the pictures that peers see")
    parser.add_argument(
        "--peer-memory", type=float, default=8.0, help="GB that a peer may take; PatchCore learns from fewer images"
    )
    parser.add_argument("--json", action="store_true", help="print one object as the last line of stdout")
    parser.add_argument("--quick", action="store_true", help="one seed, half a minute: the same code, other figures")
    options = parser.parse_args(arguments)
    for name in options.detectors:
        if name not in (AUTO, *DETECTORS):
            parser.error(f"no detector is called {name!r}; there are: {AUTO}, {', '.join(sorted(DETECTORS))}")
    if options.confirmed and not options.parts:
        parser.error("--confirmed takes made-up parts: --parts")
    for name in options.detectors:
        if name != AUTO and detector_class(name).needs_defects and not options.confirmed:
            parser.error(f"{name} learns from confirmed defects: --parts KINDS --confirmed 20")
    if AUTO in options.detectors:
        options.detectors += [name for name in Auto().candidates if name not in options.detectors]
    for kind in options.parts:
        if kind not in KINDS:
            parser.error(f"there are no parts of kind {kind!r}; there are: {', '.join(sorted(KINDS))}")
    if options.data and not options.data.exists():
        parser.error(f"{options.data} does not exist")
    for name in options.peers or []:
        if name not in PEERS:
            parser.error(f"no peer is called {name!r}; there are: {', '.join(PEERS)}")
    if options.quick:
        runs = (len(options.detectors) + len(options.peers or [])) * max(1, len(options.parts))
        options.minutes = min(options.minutes, _QUICK_MINUTES / runs)
        options.seeds = options.seeds[:1]
    if options.peer_minutes is None:
        options.peer_minutes = options.minutes
    return options


if __name__ == "__main__":
    main()
