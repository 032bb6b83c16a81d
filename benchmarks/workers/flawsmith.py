"""``python -m benchmarks.workers.flawsmith PICTURES``: flawsmith's own families and their default mix."""

import sys
from collections.abc import Sequence
from functools import lru_cache
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


def make(generator: str, batches: Sequence[Tensor], seed: int) -> Paint:
    """``mix``, ``foreground``, or the name of a family, of which every image gets one flaw."""
    if generator == FOREGROUND:
        return lambda index: foreground(batches[index])[0]
    synthesizer = Synthesizer() if generator == MIX else Synthesizer([generator], flaws_per_image=(1, 1))
    random = torch.Generator().manual_seed(seed)
    contexts = _contexts(tuple(batches))

    def paint(index: int) -> Tensor:
        recipe = synthesizer.draw(random, len(batches[index]))
        return synthesizer.apply(batches[index], recipe, contexts[index])[1]

    return paint


@lru_cache(maxsize=4)
def _contexts(batches: tuple[Tensor, ...]) -> list[Context]:
    """Of each batch; the same parts are not looked for again in the next job."""
    sources = batches[-1][:_SOURCES]
    return [Context(foreground(batch)[0], sources) for batch in batches]


if __name__ == "__main__":
    serve(Path(sys.argv[1]), make)
