"""``python -m benchmarks.workers.flawsmith PICTURES``: flawsmith's own families and their default mix."""

import sys
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.workers.jobs import Paint, serve
from synth.families.base import Context
from synth.foreground import foreground
from synth.image_level import Synthesizer

MIX = "mix"
"""All families, one to three flaws on an image, as in training."""
FOREGROUND = "foreground"
"""Finding the part, which training does once for each part."""

_SOURCES = 16


def make(generator: str, batches: list[Tensor], seed: int) -> Paint:
    """``mix``, ``foreground``, or the name of a family, of which every image gets one flaw."""
    if generator == FOREGROUND:
        return lambda index: foreground(batches[index])[0]
    synthesizer = Synthesizer() if generator == MIX else Synthesizer([generator], flaws_per_image=(1, 1))
    random = torch.Generator().manual_seed(seed)
    sources = batches[-1][:_SOURCES]
    contexts = [Context(foreground(batch)[0], sources) for batch in batches]

    def paint(index: int) -> Tensor:
        recipe = synthesizer.draw(random, len(batches[index]))
        return synthesizer.apply(batches[index], recipe, contexts[index])[1]

    return paint


if __name__ == "__main__":
    serve(Path(sys.argv[1]), make)
