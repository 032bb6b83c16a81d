"""What the ``segment`` detector is shown in a step: sound parts, parts with made-up flaws, and confirmed defects."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional

from learning.augmentation import augment, mix
from learning.detectors.surface import is_surface
from learning.flaw_sources import FlawSources
from learning.images.windows import windows_around
from synth.image_level import Recipe, Synthesizer

if TYPE_CHECKING:
    from learning.images.image_set import ImageSet


_MIXED = 0.5
_LOOKED_AT = 32

_SHOWN = 0.5
"""Share of the flawed images that are confirmed defects as they were photographed, where there are any."""


@dataclass(frozen=True)
class Batch:
    """What a step is shown.

    Attributes:
        images: ``[B, C, h, w]``, 0..1.
        masks: ``[B, 1, h, w]``, 0 or 1.
        marked: ``[B]`` bool; false where an image is flawed, and nobody said where.
        parts: ``[B]``, the number of the good part that each image was made of; -1 for pictures of defects.
    """

    images: Tensor
    masks: Tensor
    marked: Tensor
    parts: Tensor


@dataclass(frozen=True)
class Shares:
    """What batches are made of.

    Attributes:
        batch: Images of one.
        good: Share of them without flaws; the rest have made-up ones, or are confirmed defects.
        flips: Whether images are mirrored.
        mixed: See ``SegmentConfig.mixed``.
        window: Side of the windows that are cut out of the pictures, in pixels; None is whole pictures.
    """

    batch: int
    good: float
    flips: bool
    mixed: float
    window: int | None = None


def make_batch(
    train: "ImageSet",
    sources: FlawSources,
    draw: Callable[[Generator, int], Recipe],
    shares: Shares,
    generator: Generator,
) -> Batch:
    """Draw one from good parts and sources."""
    chosen = torch.randint(len(train), (2 * shares.batch,), generator=generator).tolist()
    pictures, outlines = train.batch(chosen), train.outlines(chosen)
    if shares.window:
        pictures, outlines = windows_around(pictures, outlines, shares.window, generator)
    pictures, outlines = augment(pictures, outlines, generator, shares.flips)
    good, others = mix(pictures, generator, shares.mixed).chunk(2)
    sound = round(shares.batch * shares.good)
    confirmed = sources.pictures and (sources.pictures.marked() if shares.window else sources.pictures)
    shown = round((shares.batch - sound) * _SHOWN) if confirmed else 0
    flawed = slice(sound, shares.batch - shown)
    context = sources.context(generator, good[flawed], outlines[flawed], others)
    made, masks = Synthesizer.apply(good[flawed], draw(generator, len(good[flawed])), context)
    images = [good[:sound], made]
    marks = [torch.zeros_like(good[:sound, :1]), masks]
    marked = torch.ones(shares.batch, dtype=torch.bool)
    parts = torch.tensor(chosen[: shares.batch])
    if shown:
        assert confirmed
        defective, drawn, known = confirmed.draw(generator, shown, shares.flips)
        if shares.window:
            defective, drawn = windows_around(defective, drawn, shares.window, generator)
        marked[shares.batch - shown :] = known
        parts[shares.batch - shown :] = -1
        images.append(defective)
        marks.append(drawn)
    return Batch(torch.cat(images), torch.cat(marks), marked, parts)


def share_mixed(train: "ImageSet", window: int | None = None) -> float:
    """Half of the good parts where up to 32 show a surface: what objects have in common is no nuisance.

    Args:
        train: Good parts.
        window: Pictures are looked at reduced to about this side, if they are larger; see ``Shares``.
    """
    looked = np.unique(np.linspace(0, len(train) - 1, min(_LOOKED_AT, len(train))).round().astype(int)).tolist()
    times = 1 if window is None else max(1, min(train.preprocessing.height, train.preprocessing.width) // window)
    pictures, outlines = (functional.avg_pool2d(read(looked), times) for read in (train.batch, train.outlines))
    return _MIXED if is_surface(pictures, (outlines > 0.5).float()) else 0.0
