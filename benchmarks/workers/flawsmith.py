"""``python -m benchmarks.workers.flawsmith PICTURES``: flawsmith's own families and their default mix."""

import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.workers.jobs import Paint, serve
from synth.families.base import Context
from synth.foreground import foreground
from synth.image_level import Synthesizer
from synth.parts import DEFECTS, LINE, draw_lot, make_part
from synth.sources.defects import DefectBank, bank_of, cut_defects

MIX = "mix"
"""All families, one to three flaws on an image, as in training."""
FOREGROUND = "foreground"
"""Finding the part, which training does once for each part."""

_SOURCES = 16

_CONFIRMED = ("scratch", "stain", "chip", "crack")
"""Defects of made-up parts that stand for confirmed ones, as far as a kind of part has them."""


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
    sources, defects = batches[-1][:_SOURCES], made_up_defects(batches[0].shape[1])
    return [Context(foreground(batch)[0], sources, defects=defects) for batch in batches]


@lru_cache(maxsize=2)
def made_up_defects(channels: int) -> DefectBank:
    """Defects of made-up parts of 256², cut out by their masks as if an inspector had confirmed them."""
    rng = np.random.default_rng(0)
    cuts = []
    for kind in LINE:
        for defect in sorted(set(_CONFIRMED) & set(DEFECTS[kind])):
            part = make_part(kind, draw_lot(rng), rng, defect=defect, severity=0.7)
            image = torch.from_numpy(part.images[0])[None].expand(channels, -1, -1).float() / 255
            cuts.append(cut_defects(image, torch.from_numpy(part.masks[0]), name=f"{kind}-{defect}"))
    return bank_of(cuts)


if __name__ == "__main__":
    serve(Path(sys.argv[1]), make)
