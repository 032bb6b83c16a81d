"""``python -m benchmarks.workers.anomalib PICTURES TEXTURES``: anomalib's Perlin generator, as its DRAEM uses it.

Runs in an environment of its own; see ``benchmarks.peers``.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from anomalib.data.utils.generators.perlin import PerlinAnomalyGenerator
from torch import Tensor

from benchmarks.workers.jobs import Paint, serve

_BLEND = (0.1, 1.0)
"""What anomalib's DRAEM passes."""


def make(generator: str, batches: Sequence[Tensor], seed: int, textures: Path) -> Paint:
    """``textures``: sources are read from the folder, as in DRAEM; ``noise``: the noise itself is the source."""
    source = {"textures": textures, "noise": None}[generator]
    # Every image is painted: by default the generator leaves half of them as they are.
    paint = PerlinAnomalyGenerator(anomaly_source_path=source, probability=1.0, blend_factor=_BLEND)
    torch.manual_seed(seed)
    return lambda index: paint(batches[index])[1]


if __name__ == "__main__":
    folder = Path(sys.argv[2])
    serve(Path(sys.argv[1]), lambda generator, batches, seed: make(generator, batches, seed, folder))
