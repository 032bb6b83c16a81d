"""Options that benchmarks which train on made-up parts and on a data set have in common."""

import argparse
from pathlib import Path

from benchmarks.exam import Exam, exam_on_good, exams_on_parts
from synth.parts import KINDS, LINE

_TEST_GOOD, _DEFECTIVE = 40, 56
"""Made-up parts of each kind that detectors are judged on."""


def add_common(parser: argparse.ArgumentParser, data: str) -> None:
    """Add ``--data``, ``--parts``, ``--skip-parts``, ``--seeds``, ``--json`` and ``--quick``.

    Args:
        parser: Of the benchmark.
        data: What ``--data`` is, for its help.
    """
    parser.add_argument("--data", type=Path, help=data)
    parser.add_argument(
        "--parts", nargs="+", choices=KINDS, default=LINE, metavar="KIND", help="kinds of made-up parts"
    )
    parser.add_argument("--skip-parts", action="store_true", help="judge on --data alone")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--json", action="store_true", help="print one object as the last line of stdout")
    parser.add_argument("--quick", action="store_true", help="under two minutes: one seed, a few steps, small images")


def check_common(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """End the process where they contradict each other; a quick run keeps one seed."""
    if options.data and not options.data.exists():
        parser.error(f"{options.data} does not exist")
    if options.skip_parts and not options.data:
        parser.error("--skip-parts leaves nothing without --data")
    if options.quick:
        options.seeds = options.seeds[:1]


def add_budget(parser: argparse.ArgumentParser, steps: int) -> None:
    """Add ``--steps`` and ``--minutes``, one of which is given."""
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--steps", type=int, default=steps, help="of each training")
    budget.add_argument("--minutes", type=float, help="of each training, instead of steps")


def add_exams(parser: argparse.ArgumentParser) -> None:
    """Add the common options, and those of ``make_exams``."""
    add_common(parser, "a data set, of which only good parts are read")
    parser.add_argument("--good", type=int, default=160, help="made-up good parts of each kind, a quarter held out")
    parser.add_argument("--size", type=int, default=128, help="of made-up parts, as detectors see them")
    parser.add_argument("--data-size", type=int, default=192, help="of the pictures of --data, as detectors see them")


def check_exams(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """As ``check_common``; a quick run has few and small parts."""
    check_common(parser, options)
    if options.good < 8:
        parser.error("--good takes 8 or more")
    if options.quick:
        options.size, options.data_size, options.good = 64, 64, 24


def make_exams(folder: Path, options: argparse.Namespace) -> list[Exam]:
    """Made-up parts in a folder, and held-out good parts of the data set, as the options say."""
    exams = []
    if not options.skip_parts:
        exams += exams_on_parts(folder, options.good, _TEST_GOOD, _DEFECTIVE, options.size, options.parts)
    if options.data:
        exams.append(exam_on_good(options.data, options.data_size))
    return exams
