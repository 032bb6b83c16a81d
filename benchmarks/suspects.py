"""``python -m benchmarks.suspects``: how many defects are among the first pictures that ``curate check`` shows.

Plain folders of good and defective made-up parts, without labels, groups or a model, as a person has them who starts.
The check ranks all of them; counted are the defects among as many first ones as there are defects.
"""

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from benchmarks.console import say, show
from benchmarks.machine import describe_machine
from curation.quality import Cache, check_quality
from learning.images.readers import list_data
from learning.metrics import image_auroc
from synth.parts import make_parts

KINDS = ("tile", "label", "fastener", "board")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark.

    Args:
        arguments: Of the command line; by default those of the process.
    """
    options = _parse(arguments)
    rows = []
    for kind in KINDS:
        for seed in options.seeds:
            say(f"{kind}, seed {seed}")
            with tempfile.TemporaryDirectory(prefix="flawsmith-benchmark-") as folder:
                rows.append(measure(Path(folder), kind, options.good, options.defective, seed))
    result = {"benchmark": "suspects", "rows": rows, "machine": describe_machine()}
    show(result, _drawn(rows), options.json)


def measure(folder: Path, kind: str, good: int, defective: int, seed: int) -> dict[str, Any]:
    """Check one plain folder.

    Args:
        folder: For its pictures.
        kind: Of parts.
        good: How many are good.
        defective: How many are not.
        seed: Of the parts.

    Returns:
        ``kind``, ``seed``, ``good``, ``defective``, ``first`` (defects among as many first ones as there are),
        ``by_chance`` (as many there would be in a random order), ``found`` (suspects beyond what is usual), ``right``
        (of those) and ``auroc`` of the order.
    """
    made, plain = folder / "made", folder / "plain"
    make_parts(made, kind, good=1, test_good=good, defective=defective, seed=seed, size=128)
    plain.mkdir()
    for image in sorted((made / "test").rglob("*.png")):
        shutil.copy(image, plain / f"{image.parent.name}-{image.name}")
    records = list_data(plain)
    with Cache(folder / "cache.db") as cache:
        report = check_quality(records, cache)
    defect = np.array([not record.path.name.startswith("good-") for record in records])
    # What is ranked behind those that are kept is taken to be the least odd.
    oddness = np.zeros(len(records))
    oddness[list(report.ranking)] = np.arange(len(report.ranking), 0, -1)
    found = [place for finding in report.findings.get("suspect", ()) for place in finding.images]
    return {
        "kind": kind,
        "seed": seed,
        "good": good,
        "defective": defective,
        "first": int(defect[list(report.ranking[:defective])].sum()),
        "by_chance": defective**2 / (good + defective),
        "found": len(found),
        "right": int(defect[found].sum()),
        "auroc": image_auroc(oddness, defect),
    }


def _drawn(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table(title="Defects among the first pictures that are shown")
    for heading in ("parts", "seed", "among the first", "by chance", "suspects, right", "AUROC"):
        table.add_column(heading, justify="left" if heading == "parts" else "right")
    for row in rows:
        table.add_row(
            row["kind"],
            str(row["seed"]),
            f"{row['first']} of {row['defective']}",
            f"{row['by_chance']:.1f}",
            f"{row['found']}, {row['right']}",
            f"{row['auroc']:.2f}",
        )
    return table


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.suspects", description=__doc__)
    parser.add_argument("--good", type=int, default=26, help="good parts in a folder; at most 50 pictures in all")
    parser.add_argument("--defective", type=int, default=14)
    parser.add_argument("--seeds", type=int, nargs="+", default=[21, 22, 23])
    parser.add_argument("--json", action="store_true", help="print one object as the last line of stdout")
    parser.add_argument("--quick", action="store_const", dest="seeds", const=[21], help="one seed")
    options = parser.parse_args(arguments)
    if not 0 < options.defective < options.good or options.good + options.defective > 50:
        parser.error("--good and --defective: fewer defective than good ones, and at most 50 in all")
    return options


if __name__ == "__main__":
    main()
