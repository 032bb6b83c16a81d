"""What a backbone is trained on: products made of formulas, good parts of each and others that flaws were put on."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from synth.families import ANYWHERE
from synth.families.base import Context
from synth.image_level import Synthesizer
from synth.surfaces.product import make_parts_of


@dataclass(frozen=True)
class EpisodeConfig:
    """What an episode holds.

    Attributes:
        products: P, each with parts of its own.
        references: R good parts of each product, to compare with.
        queries: Q other parts of each.
        sound: How many of the queries have no flaw.
        size: Side S of the pictures, a multiple of 32.
        marked: Share of products whose parts all carry marks of one family, which are no flaws there.
    """

    products: int = 24
    references: int = 6
    queries: int = 6
    sound: int = 2
    size: int = 160
    marked: float = 0.3


@dataclass(frozen=True)
class Episode:
    """Pictures of several products.

    Attributes:
        images: ``[P, R + Q, S, S]`` uint8, references first.
        masks: ``[P, Q, S, S]`` bool: flaws of the queries.
    """

    images: NDArray[np.uint8]
    masks: NDArray[np.bool_]


def make_episode(config: EpisodeConfig, seed: int, device: str) -> Episode:
    """Draw an episode; products are drawn on the device, flaws on the processor."""
    generator = torch.Generator().manual_seed(seed)
    parts = config.references + config.queries
    images, covers = make_parts_of(config.products, parts, config.size, torch.Generator(device).manual_seed(seed))
    images, covers = _mirror(images, covers, generator)
    images, covers = images.flatten(0, 1)[:, None].cpu().contiguous(), covers.flatten(0, 1)[:, None].cpu().float()
    # A part that lies outside the picture leaves nothing to put flaws on.
    covers = torch.where(covers.flatten(1).any(dim=1)[:, None, None, None], covers, 1.0)
    mark = ANYWHERE[int(torch.randint(len(ANYWHERE), (), generator=generator))]
    marked = (torch.rand(config.products, generator=generator) < config.marked).repeat_interleave(parts)
    if marked.any():
        images[marked] = _flawed(images[marked], covers[marked], [mark], generator)[0]
    order = torch.arange(len(images)).view(config.products, parts)
    targets = order[:, config.references + config.sound :].flatten()
    others = [name for name in ANYWHERE if name != mark]
    images[targets], masks = _flawed(images[targets], covers[targets], others, generator)
    every = torch.zeros_like(covers, dtype=torch.bool)
    every[targets] = masks > 0
    shape = (config.products, parts, config.size, config.size)
    return Episode(
        (images * 255).round().to(torch.uint8).view(shape).numpy(),
        every.view(shape)[:, config.references :].contiguous().numpy(),
    )


def _flawed(images: Tensor, covers: Tensor, families: list[str], generator: Generator) -> tuple[Tensor, Tensor]:
    recipe = Synthesizer(families).draw(generator, len(images))
    return Synthesizer.apply(images, recipe, Context(covers))


def _mirror(images: Tensor, covers: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """All parts of a product alike, so that they stay comparable."""
    turned = torch.rand(len(images), generator=generator) < 0.5
    for picture in (images, covers):
        picture[turned] = picture[turned].mT
    return images, covers
