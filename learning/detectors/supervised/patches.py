"""Patches of good parts, and of good parts with confirmed defects."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor

from learning.augmentation import augment
from learning.flaw_sources import FlawSources
from learning.images.windows import Windows
from synth.image_level import Synthesizer

if TYPE_CHECKING:
    from learning.images.image_set import ImageSet


@dataclass(frozen=True)
class Patches:
    """What a step learns from.

    Attributes:
        images: ``[B, C, s, s]``, 0..1.
        masks: ``[B, 1, s, s]``, 0 or 1.
    """

    images: Tensor
    masks: Tensor


def make_batch(
    parts: "ImageSet",
    sources: FlawSources,
    *,
    side: int,
    count: int,
    good_share: float,
    generator: Generator,
    augmented: bool,
) -> Patches:
    """Lay confirmed defects on good parts and cut patches out, one of each part.

    Patches lie on a grid, by half a side from one to the next. Of a part with a defect one is taken that shows some of
    it.

    Args:
        parts: Good parts.
        sources: With confirmed defects, at the size of the parts.
        side: Of a patch.
        count: Patches.
        good_share: Share of them that show no defect.
        generator: Every choice follows from it.
        augmented: Flip at random both ways, turn by up to 10 degrees, and move and scale by up to 10 %.
    """
    chosen = torch.randint(len(parts), (count,), generator=generator).tolist()
    good = parts.batch(chosen)
    sound = round(count * good_share)
    context = sources.context(generator, good[sound:], parts.outlines(chosen[sound:]), good.flip(0))
    recipe = Synthesizer(["confirmed"]).draw(generator, count - sound)
    defective, masks = Synthesizer.apply(good[sound:], recipe, context)
    images = torch.cat([good[:sound], defective])
    masks = torch.cat([torch.zeros_like(images[:sound, :1]), masks.to(images)])
    windows = Windows(side, side // 2, images.shape[-2], images.shape[-1])
    both = windows.cut(torch.cat([images, masks], dim=1)).unflatten(0, (count, -1))
    shows = both[:, :, -1].flatten(2).sum(dim=2)
    # Any patch of a part without a defect, and any with some of it of the others.
    weights = torch.where(shows.sum(dim=1, keepdim=True) > 0, (shows > 0).float(), torch.ones_like(shows))
    which = torch.multinomial(weights, 1, generator=generator)[:, 0]
    patches = both[torch.arange(count), which]
    if augmented:
        everywhere = torch.ones_like(patches[:, :1])
        patches, _ = augment(patches, everywhere, generator, mirror=True, turn=10.0, zoom=0.1, shift=0.1, light=0.0)
    return Patches(patches[:, :-1], (patches[:, -1:] >= 0.5).to(patches))
