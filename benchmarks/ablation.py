"""``python -m benchmarks.ablation``: does every flaw family help, and is all of them better than Perlin alone?

The default detector is trained without each family, with Perlin only, and with everything, for the same number of
steps. Decisions follow from held-out parts with flaws of families that a detector was not trained on, and from made-up
parts, whose defects are drawn by other code; a real test set is looked at once, when they are taken.
"""

import argparse
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.ablation_figures import EVERYTHING, PERLIN_ONLY, summarise, variants, without
from benchmarks.console import say, start
from benchmarks.exam import Exam, exam_on_data, exams_on_parts
from benchmarks.machine import describe_machine
from benchmarks.options import add_budget, add_common, check_common
from learning.detectors import Budget, create
from learning.errors import DataError
from synth.families import ANYWHERE

DETECTOR = "segment"


@dataclass(frozen=True)
class Settings:
    """What all cells of a table have in common.

    Attributes:
        steps: Of each training, or None.
        minutes: Of each training, or None.
        size: Side of the images.
        families: All of them.
        good: Made-up good parts of each kind, a quarter of which is held out.
        test_good: Made-up good parts of each kind in the test set.
        defective: Made-up defective parts of each kind.
    """

    steps: int | None
    minutes: float | None
    size: int
    families: tuple[str, ...]
    good: int
    test_good: int
    defective: int


@dataclass(frozen=True)
class Cell:
    """One training, and what it scores.

    Attributes:
        exam: Name of the data.
        fingerprint: Of the images that it scored.
        variant: Which families it was trained on.
        seed: Of the training.
        steps: That it took.
        seconds: Of training.
        scores: Of all images of the exam.
    """

    exam: str
    fingerprint: str
    variant: str
    seed: int
    steps: int
    seconds: float
    scores: list[float]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark.

    Args:
        arguments: Of the command line; by default those of the process.
    """
    options = _parse(arguments)
    settings = _settings(options)
    cells = Cells(options.resume_file, settings)
    with tempfile.TemporaryDirectory(prefix="flawsmith-benchmark-") as made:
        exams = []
        if not options.skip_parts:
            counts = (settings.good, settings.test_good, settings.defective)
            exams += exams_on_parts(Path(made), *counts, settings.size, options.parts)
        if options.data:
            exams.append(exam_on_data(options.data, settings.size))
        for exam in exams:
            run(exam, settings, options.variants, options.seeds, cells, say)
        result = {
            "benchmark": "ablation",
            "detector": DETECTOR,
            "seeds": options.seeds,
            "quick": options.quick,
            "settings": asdict(settings),
            "exams": {exam.name: figures(exam, settings, options.variants, options.seeds, cells) for exam in exams},
            "machine": describe_machine(),
        }
    console = Console(stderr=options.json)
    for name, found in result["exams"].items():
        for drawn in tables(name, found):
            console.print(drawn)
    if options.json:
        sys.stdout.write(json.dumps(_without_nan(result)) + "\n")


class Cells:
    """Cells that are done, in a file of one JSON object a line, the first of which says the settings.

    Args:
        file: Is made; None keeps nothing.
        settings: Of all cells.

    Raises:
        DataError: If the file holds cells of other settings, or is none of these.
    """

    def __init__(self, file: Path | None, settings: Settings) -> None:
        self._file = file
        self._done: dict[tuple[str, str, int], Cell] = {}
        if file is None:
            return
        head = json.dumps(asdict(settings)) + "\n"
        text = file.read_text() if file.exists() else ""
        if head.startswith(text):  # nothing yet, or killed while it was begun
            file.write_text(head)
            return
        # A line that a kill cut short has no end.
        whole = text[: text.rfind("\n") + 1]
        first, *lines = whole.splitlines() or [text]
        try:
            began = json.loads(first)
            for line in lines:
                self._keep(Cell(**json.loads(line)))
        except (ValueError, TypeError) as error:
            msg = f"{file} holds something else than cells of the ablation ({error}); name another file"
            raise DataError(msg) from error
        differing = [key for key, value in json.loads(head).items() if began.get(key) != value]
        if differing:
            msg = f"{file} was begun with other {', '.join(differing)}; name another file, or give the same"
            raise DataError(msg)
        if whole != text:
            file.write_text(whole)

    def get(self, exam: Exam, variant: str, seed: int) -> Cell | None:
        """A cell, if it is done.

        Raises:
            DataError: If it scored other images.
        """
        cell = self._done.get((exam.name, variant, seed))
        if cell and cell.fingerprint != exam.fingerprint:
            msg = f"{self._file} holds scores of other images of {exam.name}, as families or data changed; name another"
            raise DataError(msg)
        return cell

    def add(self, cell: Cell) -> None:
        """Keep a cell, on disk before anything else is done."""
        self._keep(cell)
        if self._file:
            with self._file.open("a") as opened:
                opened.write(json.dumps(asdict(cell)) + "\n")
                opened.flush()
                os.fsync(opened.fileno())

    def _keep(self, cell: Cell) -> None:
        self._done[cell.exam, cell.variant, cell.seed] = cell


def run(
    exam: Exam,
    settings: Settings,
    names: Sequence[str],
    seeds: Sequence[int],
    cells: Cells,
    say: Callable[[str], None],
) -> None:
    """Train and judge what is not done yet, seed by seed, so that a run that is cut short has whole seeds."""
    missing = [(name, seed) for seed in seeds for name in names if cells.get(exam, name, seed) is None]
    started = time.monotonic()
    for done, (name, seed) in enumerate(missing):
        cells.add(train_cell(exam, settings, name, seed))
        left = (time.monotonic() - started) / (done + 1) * (len(missing) - done - 1)
        say(f"{exam.name}: {name}, seed {seed}; {done + 1} of {len(missing)}, about {left / 60:.0f} minutes left")


def train_cell(exam: Exam, settings: Settings, variant: str, seed: int) -> Cell:
    """Train the default detector on the families of a variant, and let it score the exam."""
    families = variants(settings.families)[variant]
    # Mirrored views would quadruple the time of scoring, and help every variant alike.
    detector = create(DETECTOR, {"families": families, "flips": False}, exam.train.preprocessing)
    report = detector.fit(exam.train, exam.train, seed, Budget(minutes=settings.minutes, steps=settings.steps))
    return Cell(exam.name, exam.fingerprint, variant, seed, report.steps, report.seconds, exam.scores(detector))


def figures(exam: Exam, settings: Settings, names: Sequence[str], seeds: Sequence[int], cells: Cells) -> dict[str, Any]:
    """Figures of one exam; see ``benchmarks.ablation_figures.summarise``."""
    found = {name: [cells.get(exam, name, seed) for seed in seeds] for name in names}
    scores = {name: np.array([cell.scores for cell in own if cell]) for name, own in found.items()}
    steps = {name: [cell.steps for cell in own if cell] for name, own in found.items()}
    return {
        **summarise(exam.rows, scores, settings.families),
        "images": len(exam.rows),
        "groups": len({row.group for row in exam.rows}),
        "steps": steps,
    }


def tables(name: str, found: dict[str, Any]) -> list[Table]:
    """Draw the figures of one exam."""
    on_test = Table(title=f"{name}: image AUROC on the test set")
    for heading in ("trained on", "AUROC", "difference from everything", "95 % interval"):
        on_test.add_column(heading, justify="left" if heading == "trained on" else "right")
    for variant, row in found["test"].items():
        difference = row["difference"]
        on_test.add_row(variant, _shown(row["auroc"]), _signed(difference), _interval(difference))
    left_out = Table(
        title=f"{name}: image AUROC on a family's flaws, on held-out good parts; in brackets on all others"
    )
    for heading in ("family", "trained without it", PERLIN_ONLY, EVERYTHING):
        left_out.add_column(heading, justify="left" if heading == "family" else "right")
    for family, by in found["left_out"].items():
        left_out.add_row(family, *(_with_others(by[key]) for key in (without(family), PERLIN_ONLY, EVERYTHING)))
    if mean := found["left_out_mean"]:
        left_out.add_section()
        left_out.add_row("never seen by either", _shown(mean["without each"]), _shown(mean[PERLIN_ONLY]), "")
        left_out.add_row("difference", _signed(mean["difference"]), _interval(mean["difference"]), "")
    return [on_test, left_out]


def _shown(figure: dict[str, Any] | None) -> str:
    if figure is None:
        return "–"
    return f"{figure['mean']:.3f}" + (f" ± {figure['std']:.3f}" if figure["std"] is not None else "")


def _with_others(figure: dict[str, Any] | None) -> str:
    return "–" if figure is None else f"{_shown(figure)} ({figure['others']['mean']:.3f})"


def _signed(figure: dict[str, Any] | None) -> str:
    return "–" if figure is None else f"{figure['mean']:+.3f}"


def _interval(figure: dict[str, Any] | None) -> str:
    return "–" if figure is None else f"{figure['interval'][0]:+.3f} to {figure['interval'][1]:+.3f}"


def _without_nan(value: Any) -> Any:
    """JSON has no NaN."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return value


def _settings(options: argparse.Namespace) -> Settings:
    families = tuple(ANYWHERE)
    if options.quick:
        return Settings(5, None, 64, families, good=12, test_good=4, defective=7)
    steps = None if options.minutes else options.steps
    return Settings(steps, options.minutes, options.size, families, good=80, test_good=40, defective=56)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ablation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = list(variants(tuple(ANYWHERE)))
    add_common(parser, "a data set with a labelled test part, judged beside made-up parts")
    add_budget(parser, steps=200)
    parser.add_argument("--size", type=int, default=96, help="side of the images")
    parser.add_argument("--variants", nargs="+", choices=known, default=known, metavar="NAME", help="only some")
    parser.add_argument("--resume-file", type=Path, help="cells go there as they are done, and are not done again")
    options = parser.parse_args(arguments)
    check_common(parser, options)
    if options.steps < 1 or (options.minutes is not None and options.minutes <= 0) or options.size < 64:
        parser.error("--steps and --minutes take numbers above 0, --size takes 64 or more")
    return options


if __name__ == "__main__":
    start(main)
