"""What chooses where nothing real may: held-out good parts, as they are and with made-up flaws."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from learning.adaptive import adaptive_threshold
from synth.families.base import Context
from synth.image_level import Synthesizer

if TYPE_CHECKING:
    from learning.images.image_set import ImageSet

_MOST_IMAGES = 24
"""Held-out parts that are looked at; more hardly change what is chosen."""


@dataclass(frozen=True)
class HeldOut:
    """Held-out good parts, and the same with flaws.

    Attributes:
        good: ``[N, C, h, w]``.
        flawed: ``[M, C, h, w]``, those on which a flaw can be seen; M is N at most, and may be 0.
    """

    good: Tensor
    flawed: Tensor


def held_out_flaws(images: "ImageSet", seed: int) -> HeldOut:
    """Paint one flaw of any family on each of some held-out good parts.

    For detectors that learn from no flaws: then none of the families has trained what is chosen.

    Args:
        images: Good parts that train nothing and calibrate nothing.
        seed: Of which parts and which flaws.
    """
    draws = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(images), generator=draws)[:_MOST_IMAGES].tolist()
    good = images.batch(chosen)
    recipe = Synthesizer().draw(draws, len(good))
    flawed, masks = Synthesizer.apply(good, recipe, Context(foreground=images.outlines(chosen), sources=good.flip(0)))
    return HeldOut(good, flawed[masks.flatten(1).amax(dim=1) > 0])


def describe_divide(good: Tensor, flawed: Tensor) -> dict[str, float]:
    """Divide scores adaptively, as if nobody knew which are which; say where, and what lies above.

    Args:
        good: ``[N]`` scores of held-out good parts.
        flawed: ``[M]`` scores of the same with made-up flaws.
    """
    divide = adaptive_threshold(torch.cat([good, flawed]).double().cpu().numpy())
    figures = {"adaptive threshold": divide.threshold, "separation of scores": divide.separation}
    figures["good parts above it"] = float((good > divide.threshold).float().mean())
    if len(flawed):
        figures["flawed parts above it"] = float((flawed > divide.threshold).float().mean())
    return figures
