"""``python -m benchmarks.agreement``: ``patchcore`` beside anomalib's, with equal weights, images and options.

The weights are drawn at random, as none can be downloaded everywhere: what is compared is the method, not the backbone.
Each row is one seed, of the weights and of both coresets, on one kind of made-up parts.
"""

import argparse
import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from rich.table import Table
from safetensors.torch import save_file
from scipy.stats import spearmanr
from torch import Tensor

from benchmarks.console import show
from benchmarks.machine import describe_machine
from benchmarks.peers import ROOT, peer_python
from learning.detectors import Budget, create
from learning.images.image_set import ImageSet
from learning.images.pixels import read_mask
from learning.images.preprocessing import Preprocessing
from learning.images.readers import read_data
from learning.metrics import image_auroc, pixel_auroc
from synth.parts import KINDS, make_parts

TOLERANCE = 0.01
"""Image AUROC that the two may differ by. Maps differ a little more: anomalib's are enlarged by repetition, ours, as in
the paper, by bilinear interpolation."""

_LAYERS = {1: "layer1", 2: "layer2", 3: "layer3"}
_BATCH = 8


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark; the process ends with 1 where the two differ by more than the tolerance.

    Args:
        arguments: Of the command line; by default those of the process.
    """
    options = _parse(arguments)
    python = peer_python()
    rows = []
    for kind in options.parts:
        with tempfile.TemporaryDirectory(prefix="flawsmith-agreement-") as folder:
            data = make_parts(Path(folder) / kind, kind, **options.counts, seed=7, size=options.size)
            rows += [compare(data, Path(folder), seed, options.size, python) for seed in options.seeds]
    result = {
        "benchmark": "agreement",
        "size": options.size,
        "seeds": options.seeds,
        "quick": options.quick,
        "rows": rows,
        "machine": describe_machine(),
    }
    show(result, table(rows), options.json)
    if any(row["difference"] > TOLERANCE for row in rows):
        raise SystemExit(1)


def compare(
    data: Path,
    folder: Path,
    seed: int,
    size: int,
    python: Path,
    backbone: str = "resnet18",
    levels: tuple[int, ...] = (2, 3),
) -> dict[str, Any]:
    """Fit and score both on the same images with the same weights.

    Args:
        data: Data set with a labelled test part.
        folder: For what the two exchange.
        seed: Of the weights and of both coresets.
        size: Height and width of the images.
        python: Of the environment with anomalib.
        backbone: A ResNet of timm.
        levels: Levels of it that features are taken from.

    Returns:
        ``data``, ``seed``, image and pixel AUROC of both, the ``difference`` in image AUROC, and the rank correlation
        of the image scores.
    """
    records = read_data(data)
    preprocessing = Preprocessing(channels=3, height=size, width=size)
    train = ImageSet([record for record in records if record.split == "train"], preprocessing)
    tested = [record for record in records if record.split == "test"]
    test = ImageSet(tested, preprocessing)
    labels = [record.defective for record in tested]
    masks = [
        read_mask(record.mask).numpy() > 0 if record.mask else np.zeros((size, size), dtype=bool) for record in tested
    ]
    torch.manual_seed(seed)
    weights = folder / "weights.safetensors"
    save_file(timm.create_model(backbone).state_dict(), weights)
    options = {
        "backbone": {"name": backbone, "levels": levels, "weights": "file", "file": str(weights)},
        "places": len(train) * size**2,
    }
    detector = create("patchcore", options, preprocessing)
    detector.fit(train, train, seed, Budget(steps=len(train)))
    parts = [detector.predict(test.batch(chosen)) for chosen in _batches(len(test))]
    ours = torch.cat([part.scores for part in parts]).numpy(), torch.cat([part.maps for part in parts]).numpy()

    config: Any = detector.config
    job = {"seed": seed, "backbone": backbone, "layers": [_LAYERS[level] for level in levels]}
    job |= {"coreset": config.coreset, "neighbours": config.neighbours}
    (folder / "job.json").write_text(json.dumps(job))
    for name, images in (("train", train), ("test", test)):
        np.save(folder / f"{name}.npy", _normalised(images.batch(range(len(images))), backbone).numpy())
    command = [str(python), "-m", "benchmarks.workers.anomalib_patchcore", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    theirs = np.load(folder / "scores.npy"), np.load(folder / "maps.npy")

    figures = {
        f"{who}_{what}": value
        for who, (scores, maps) in {"ours": ours, "anomalib": theirs}.items()
        for what, value in {"image": image_auroc(scores, labels), "pixel": pixel_auroc(list(maps), masks)}.items()
    }
    difference = abs(figures["ours_image"] - figures["anomalib_image"])
    ranks = spearmanr(ours[0], theirs[0]).statistic
    return {"data": data.name, "seed": seed, **figures, "difference": difference, "rank_correlation": float(ranks)}


def table(rows: Sequence[dict[str, Any]]) -> Table:
    """Draw the rows."""
    drawn = Table(title="patchcore beside anomalib's, equal random weights")
    columns = [column for column in rows[0] if column != "data"]
    for heading in ("data", *columns):
        drawn.add_column(heading.replace("_", " "), justify="left" if heading == "data" else "right")
    for row in rows:
        drawn.add_row(row["data"], str(row["seed"]), *(f"{row[column]:.4f}" for column in columns[1:]))
    return drawn


def _batches(count: int) -> list[range]:
    return [range(first, min(first + _BATCH, count)) for first in range(0, count, _BATCH)]


def _normalised(images: Tensor, backbone: str) -> Tensor:
    defaults: Any = timm.get_pretrained_cfg(backbone)
    mean, deviation = (torch.tensor(values)[:, None, None] for values in (defaults.mean, defaults.std))
    return (images - mean) / deviation


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.agreement", description=__doc__)
    parser.add_argument("--parts", type=lambda text: text.split(","), default=["tile", "label"], help="kinds of parts")
    parser.add_argument("--seeds", type=lambda text: [int(seed) for seed in text.split(",")], default=[0, 1, 2])
    parser.add_argument("--size", type=int, default=192, help="height and width of the pictures")
    parser.add_argument("--json", action="store_true", help="print one object as the last line of stdout")
    parser.add_argument("--quick", action="store_true", help="one kind and seed, few and small pictures: the same code")
    options = parser.parse_args(arguments)
    options.counts = {"good": 40, "test_good": 40, "defective": 60}
    if options.quick:
        options.parts, options.seeds, options.size = options.parts[:1], options.seeds[:1], min(options.size, 128)
        options.counts["good"] = 20
    for kind in options.parts:
        if kind not in KINDS:
            parser.error(f"there are no parts of kind {kind!r}; there are: {', '.join(sorted(KINDS))}")
    return options


if __name__ == "__main__":
    main()
