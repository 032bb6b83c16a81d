"""Painting once before a clock counts: loops are compiled where they never were, which takes a minute, or loaded."""

from collections.abc import Callable

import torch

from synth.families import ANYWHERE, Context
from synth.foreground import foreground
from synth.image_level import Synthesizer

_IMAGES, _SIDE = 32, 64


def rehearse(progress: Callable[[float, float, str], None]) -> None:
    """Paint small grey pictures with every family that needs no confirmed defects, and forget them.

    Args:
        progress: Told the number of families.
    """
    generator = torch.Generator().manual_seed(0)
    pictures = torch.rand(_IMAGES, 1, _SIDE, _SIDE, generator=generator) / 8 + 0.4
    pictures[..., : _SIDE // 8] = 0
    part, _ = foreground(pictures)
    for done, name in enumerate(sorted(ANYWHERE), start=1):
        progress(done - 1, len(ANYWHERE), "loading what paints flaws (compiled once, in a minute)")
        recipe = Synthesizer([name], (1, 1)).draw(generator, _IMAGES)
        Synthesizer.apply(pictures, recipe, Context(part, pictures.flip(0)))
