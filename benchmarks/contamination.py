"""``python -m benchmarks.contamination --data DIR``: what defects among the "good" training pictures do to detectors.

Detectors are trained on good pictures of which a share is defective, and judged on others: AUROC, and accuracy,
precision and recall at a threshold that is laid through the scores of the pictures to be judged without their labels
(``learning.adaptive``). For the default detector the same is done with ``flawsmith train --clean``, and how many of the
hidden defects it finds. One row is as simple as it gets: two clusters, whose names are labels for a classifier.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table
from sklearn.cluster import KMeans

from benchmarks.console import say, show, start
from benchmarks.machine import describe_machine
from integrations.cli.console import bar
from learning.adaptive import adaptive_threshold
from learning.bundle import Bundle
from learning.config import Clean, TrainConfig
from learning.detectors import Budget
from learning.images.image_set import ImageSet
from learning.images.readers import read_data
from learning.images.records import GOOD, ImageRecord
from learning.metrics import image_auroc
from learning.supervised import fit_logistic
from learning.training import train_on_records

DETECTORS = ("kmeans", "birch", "autoencoder", "ganomaly", "dcgan", "segment")
CLEANED, CLUSTERS = "segment --clean", "two clusters as labels"
_MOST_JUDGED = 200
_BATCH = 16
_FIGURES = ("auroc", "accuracy", "precision", "recall")


@dataclass(frozen=True)
class Study:
    """Pictures of one seed.

    Attributes:
        good: To train on.
        hidden: Defective ones that may be hidden among them, in the order in which they are.
        judged: Good and defective ones in equal number, none of a group that trains.
    """

    good: list[ImageRecord]
    hidden: list[ImageRecord]
    judged: list[ImageRecord]

    def contaminated(self, level: float) -> tuple[list[ImageRecord], set[str]]:
        """Good pictures with so many hidden defects that these are a share of all; and the files of these."""
        count = round(level / (1 - level) * len(self.good))
        hidden = [replace(record, label=GOOD, split="train", mask=None) for record in self.hidden[:count]]
        return [*self.good, *hidden], {str(record.path) for record in hidden}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark.

    Args:
        arguments: Of the command line; by default those of the process.
    """
    options = _parse(arguments)
    runs = []
    for seed in options.seeds:
        study = draw_study(options.data, seed, max(options.levels), options.most)
        for level in options.levels:
            for name in options.methods:
                runs.append(run(study, name, level, seed, options.minutes, options.size))
                say(f"seed {seed}, {level:.0%} hidden, {name}: AUROC {runs[-1]['auroc']:.3f}")
    result = {
        "benchmark": "contamination",
        "data": options.data.name,
        "minutes": options.minutes,
        "seeds": options.seeds,
        "quick": options.quick,
        "summary": [summarise(name, level, runs) for name in options.methods for level in options.levels],
        "runs": runs,
        "machine": describe_machine(),
    }
    show(result, table(result), options.json)
    if options.plot:
        draw(result, options.plot)


def draw_study(data: Path, seed: int, most: float, images: int | None = None) -> Study:
    """Cut a data set of good and defective pictures, so that no group both trains and is judged.

    Args:
        data: As ``read_data`` reads it, with a labelled test part.
        seed: Of the draw.
        most: Highest share of hidden defects.
        images: Good pictures to train on at most.

    Raises:
        SystemExit: If there are too few defective pictures.
    """
    rng = np.random.default_rng(seed)
    records = read_data(data, seed=seed)
    good = _shuffled([one for one in records if one.label == GOOD and one.split == "train"], rng)[:images]
    needed = round(most / (1 - most) * len(good))
    defective = _shuffled([one for one in records if one.defective and one.split == "test"], rng)
    hidden, rest = defective[:needed], defective[needed:]
    training = {one.group for one in (*good, *hidden)}
    sound = [one for one in records if one.label == GOOD and one.split == "test" and one.group not in training]
    rest = [one for one in rest if one.group not in training]
    count = min(len(rest), len(sound), _MOST_JUDGED // 2)
    if len(hidden) < needed or not count:
        sys.exit(f"{data} has {len(defective)} defective pictures: too few to hide {needed} and judge by others")
    return Study(good, hidden, [*_shuffled(sound, rng)[:count], *rest[:count]])


def run(study: Study, name: str, level: float, seed: int, minutes: float, size: int | None) -> dict[str, Any]:
    """Train one method at one level and judge it.

    Args:
        study: The pictures.
        name: Of a detector, ``CLEANED`` or ``CLUSTERS``.
        level: Share of hidden defects.
        seed: Of the training.
        minutes: Of the training.
        size: That pictures are brought to; None: the detector's own.

    Returns:
        ``name``, ``level``, ``seed``, ``seconds``, ``steps``, the figures, and for ``CLEANED`` how many were suspected,
        and how many of them rightly.
    """
    records, hidden = study.contaminated(level)
    started = time.monotonic()
    defective = np.array([record.defective for record in study.judged])
    detector = {CLEANED: "segment", CLUSTERS: "kmeans"}.get(name, name)
    config = TrainConfig(detector=detector, size=size, clean=Clean() if name == CLEANED else None)
    with tempfile.TemporaryDirectory(prefix="flawsmith-benchmark-") as folder:
        with bar("benchmarks are not continued: run it again") as progress:
            bundle = train_on_records(
                records,
                Path(folder) / "bundle",
                config=config,
                budget=Budget(minutes=minutes),
                seed=seed,
                progress=progress,
            )
        seconds = time.monotonic() - started
        scores = (
            _by_clusters(bundle, records, study.judged, seed) if name == CLUSTERS else _scores(bundle, study.judged)
        )
        known: dict[str, Any] = {"name": name, "level": level, "seed": seed, "hidden": len(hidden), "seconds": seconds}
        known["steps"] = bundle.manifest.steps
        if bundle.manifest.cleaned is not None:
            suspects = {one.image for one in bundle.manifest.cleaned.suspects}
            train = hidden - set(_held_back(bundle))
            known |= {"suspects": len(suspects), "rightly": len(suspects & hidden), "to_find": len(train)}
    return known | figures(scores, defective)


def figures(scores: NDArray[np.float64], defective: NDArray[np.bool_]) -> dict[str, float]:
    """AUROC, and accuracy, precision and recall at the adaptive threshold.

    Args:
        scores: ``[N]``.
        defective: ``[N]``.
    """
    called = scores > adaptive_threshold(scores).threshold
    right = int((called & defective).sum())
    return {
        "auroc": image_auroc(scores, defective),
        "accuracy": float((called == defective).mean()),
        "precision": right / int(called.sum()) if called.any() else 0.0,
        "recall": right / int(defective.sum()),
    }


def summarise(name: str, level: float, runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means over the seeds; and for a cleaner, precision and recall over all suspects.

    Args:
        name: Of the method.
        level: Share of hidden defects.
        runs: All runs.
    """
    own = [one for one in runs if one["name"] == name and one["level"] == level]
    summary: dict[str, Any] = {"name": name, "level": level, "runs": len(own)}
    for figure in _FIGURES:
        values = [one[figure] for one in own]
        summary[figure] = statistics.fmean(values)
        summary[f"{figure}_std"] = statistics.stdev(values) if len(values) > 1 else None
    if "suspects" in own[0]:
        suspects, rightly, to_find = (sum(one[key] for one in own) for key in ("suspects", "rightly", "to_find"))
        summary["suspects"] = suspects
        summary["cleaner_precision"] = rightly / suspects if suspects else None
        summary["cleaner_recall"] = rightly / to_find if to_find else None
    return summary


def table(result: dict[str, Any]) -> Table:
    """Draw the summary: a row for each method and level."""
    drawn = Table(title=f"{result['data']}, {result['minutes']:g} minutes each, seeds {result['seeds']}")
    for heading in ("method", "hidden", *_FIGURES, "suspects", "of them hidden", "of hidden found"):
        drawn.add_column(heading, justify="left" if heading == "method" else "right")
    for row in result["summary"]:
        shares = [row.get(key) for key in ("cleaner_precision", "cleaner_recall")]
        drawn.add_row(
            row["name"],
            f"{row['level']:.0%}",
            *(f"{row[figure]:.3f}" for figure in _FIGURES),
            str(row.get("suspects", "")),
            *("" if share is None else f"{share:.0%}" for share in shares),
        )
    return drawn


def draw(result: dict[str, Any], file: Path) -> None:
    """Draw AUROC against the share of hidden defects.

    Args:
        result: Of the benchmark.
        file: PNG or SVG to write.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    names = list(dict.fromkeys(row["name"] for row in result["summary"]))
    for name in names:
        rows = [row for row in result["summary"] if row["name"] == name]
        axes.plot(
            [100 * row["level"] for row in rows],
            [row["auroc"] for row in rows],
            marker="o",
            label=name,
            linewidth=2.4 if name.startswith("segment") else 1.2,
            linestyle="--" if name == CLEANED else "-",
        )
    axes.axhline(0.5, color="0.7", linewidth=0.8)
    axes.set_xlabel('defective pictures among the "good" ones that train, %')
    axes.set_ylabel("image AUROC")
    axes.set_xticks(sorted({100 * row["level"] for row in result["summary"]}))
    figure.legend(loc="outside right center", frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=130)


def _by_clusters(
    bundle: Bundle, train: Sequence[ImageRecord], judged: Sequence[ImageRecord], seed: int
) -> NDArray[np.float64]:
    """Two clusters of the training pictures name them, the smaller one defective; a classifier learns the names."""
    embedded = _embed(bundle, train)
    names = KMeans(2, n_init=10, random_state=seed).fit_predict(embedded)
    rarer = names == np.bincount(names, minlength=2).argmin()
    return fit_logistic(embedded, rarer).predict(_embed(bundle, judged))


def _embed(bundle: Bundle, records: Sequence[ImageRecord]) -> NDArray[np.float32]:
    images = ImageSet(records, bundle.preprocessing)
    batches = [range(first, min(first + _BATCH, len(images))) for first in range(0, len(images), _BATCH)]
    return np.concatenate([bundle.detector.embed(images.batch(batch)).float().numpy() for batch in batches])


def _scores(bundle: Bundle, records: Sequence[ImageRecord]) -> NDArray[np.float64]:
    images = ImageSet(records, bundle.preprocessing)
    batches = [range(first, min(first + _BATCH, len(images))) for first in range(0, len(images), _BATCH)]
    scores = [bundle.detector.predict(images.batch(batch)).scores.double().numpy() for batch in batches]
    return np.concatenate(scores)


def _held_back(bundle: Bundle) -> list[str]:
    """Pictures that select or calibrate, among which nothing is looked for."""
    return [*bundle.calibration.image, *bundle.selection.image]


def _shuffled(records: Sequence[ImageRecord], rng: np.random.Generator) -> list[ImageRecord]:
    return [records[i] for i in rng.permutation(len(records))]


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.contamination", description=__doc__)
    every = (*DETECTORS, CLEANED, CLUSTERS)
    parser.add_argument("--data", type=Path, required=True, help="a data set with good and defective pictures")
    parser.add_argument("--levels", type=_numbers, default=[0, 0.01, 0.05, 0.1, 0.2], help="shares of hidden defects")
    parser.add_argument("--methods", type=lambda text: text.split(","), default=list(every), help=", ".join(every))
    parser.add_argument("--minutes", type=float, default=1.0, help="of each training")
    parser.add_argument("--size", type=int, help="side that pictures are brought to; by default each detector's own")
    parser.add_argument("--most", type=int, help="good pictures to train on at most")
    parser.add_argument("--seeds", type=lambda text: [int(seed) for seed in text.split(",")], default=[0])
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw AUROC against the share of hidden defects")
    parser.add_argument("--json", action="store_true", help="print one object as the last line of stdout")
    parser.add_argument("--quick", action="store_true", help="under two minutes: one seed, two levels, few methods")
    options = parser.parse_args(arguments)
    if not options.data.exists():
        parser.error(f"{options.data} does not exist")
    if unknown := sorted(set(options.methods) - set(every)):
        parser.error(f"unknown: {', '.join(unknown)}; there are: {', '.join(every)}")
    if not all(0 <= level <= 0.25 for level in options.levels):
        parser.error("--levels are shares from 0 to 0.25")
    if options.quick:
        options.seeds, options.levels, options.size = options.seeds[:1], [0.0, 0.2], 64
        options.methods, options.minutes = ["autoencoder", "segment", CLEANED, CLUSTERS], 0.1
    return options


def _numbers(text: str) -> list[float]:
    return [float(number) for number in text.split(",")]


if __name__ == "__main__":
    start(main)
