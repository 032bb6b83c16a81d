"""A network that finds flaws in a picture by what it shows, and by comparing it with good parts of the same product."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from learning.detectors.segment.network import UNet

LEVEL = 2
"""Of the features that are compared: at a stride of eight pixels, fine enough for small flaws, and few to search."""

DIMENSIONS = 64


class Compared(NamedTuple):
    """Places beside the most similar good ones.

    Attributes:
        logits: ``[B, 1, h, w]``, of being flawed by the similarity alone.
        difference: ``[B, DIMENSIONS, h, w]``, from the most similar good place.
    """

    logits: Tensor
    difference: Tensor


class Comparison(nn.Module):
    """How unlike its most similar good place each place is: what a memory bank measures, as a layer that learns.

    PatchCore (Roth et al., 2022, arXiv 2106.08265) takes the distance between features of a network that was trained
    for something else. Here the distance itself is trained to tell flaws: features are projected and normalised, and
    the cosine with the most similar good place gives a logit by a slope and an offset.

    Args:
        channels: Of the features.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(channels, DIMENSIONS, 1)
        self.slope = nn.Parameter(torch.tensor(math.log(20.0)))
        self.offset = nn.Parameter(torch.tensor(3.0))

    def embed(self, features: Tensor) -> Tensor:
        """``[B, channels, h, w]`` to unit vectors ``[B, DIMENSIONS, h, w]``."""
        return functional.normalize(self.project(features).float(), dim=1)

    def forward(self, queries: Tensor, references: Tensor) -> Compared:
        """Compare.

        Args:
            queries: ``[P * Q, DIMENSIONS, h, w]``, unit vectors; Q pictures of each of P products.
            references: ``[P, M, DIMENSIONS]``, unit vectors of good places.
        """
        places = queries.flatten(2).mT.unflatten(0, (len(references), -1)).flatten(1, 2)
        # Cosines of good places are next to one, where bfloat16 has two digits.
        with torch.autocast(queries.device.type, enabled=False):
            similarity, index = torch.bmm(places.float(), references.float().mT).max(dim=2)
            nearest = references.gather(1, index[..., None].expand(-1, -1, DIMENSIONS))
            logits = self.slope.exp() * (1 - similarity) - self.offset
        pictures, _, height, width = queries.shape
        difference = (places - nearest).unflatten(1, (-1, height * width)).flatten(0, 1).mT
        return Compared(
            logits.view(pictures, 1, height, width), difference.reshape(pictures, DIMENSIONS, height, width)
        )


class Comparer(nn.Module):
    """The network of ``segment``, which is told on the way up how each place compares with good ones.

    Args:
        channels: Of the input.
        widths: As in ``UNet``.
        stem: As in ``UNet``.
    """

    def __init__(self, channels: int, widths: tuple[int, ...], stem: int) -> None:
        super().__init__()
        self.network = UNet(channels, widths, stem)
        self.comparison = Comparison(widths[LEVEL])
        self.tell = nn.Conv2d(1 + DIMENSIONS, widths[LEVEL], 1)
        nn.init.zeros_(self.tell.weight)
        nn.init.zeros_(self.tell.bias)  # type: ignore[arg-type]

    def compare(self, images: Tensor, references: Tensor) -> Compared:
        """What the comparison alone says; arguments as in ``look``."""
        return self.comparison(self.places(images), references)

    def places(self, images: Tensor) -> Tensor:
        """Unit vectors of the places of pictures: ``[B, channels, h, w]`` to ``[B, DIMENSIONS, h / 8, w / 8]``."""
        levels = self.network.encode(images)
        return self.comparison.embed(_climb(self.network, levels[-1], levels, LEVEL))

    def forward(
        self, images: Tensor, good: Tensor, products: int = 1, told: Tensor | None = None
    ) -> tuple[Tensor, Compared]:
        """As ``look``, the references from pictures ``[P * R, channels, h, w]``, R of each of P products."""
        return self.look(images, rows(self.places(good), products), told)

    def look(self, images: Tensor, references: Tensor, told: Tensor | None = None) -> tuple[Tensor, Compared]:
        """Logits of being flawed.

        Args:
            images: ``[P * Q, channels, h, w]``, Q of each of P products.
            references: ``[P, M, DIMENSIONS]``, places of good parts.
            told: ``[P * Q, 1, 1, 1]``, 0 where a picture is to be seen alone, 1 elsewhere; None is 1 everywhere.

        Returns:
            ``[P * Q, 1, h, w]``, and what the comparison says.
        """
        levels = self.network.encode(images)
        features = _climb(self.network, levels[-1], levels, LEVEL)
        compared = self.comparison(self.comparison.embed(features), references)
        heard = self.tell(torch.cat([compared.logits, compared.difference * 4], dim=1))
        features = features + (heard if told is None else heard * told)
        finest = _climb(self.network, features, levels, 0)
        return functional.pixel_shuffle(self.network.head(finest), self.network.stem), compared


def _climb(network: UNet, features: Tensor, levels: list[Tensor], to: int) -> Tensor:
    """Bring features of a level up to a finer one, 0 for the finest, as ``UNet.dense`` does."""
    deepest = len(levels) - 1
    at = next(i for i, level in enumerate(levels) if level.shape[-2:] == features.shape[-2:])
    for level in range(at - 1, to - 1, -1):
        reduce, block = network.reduce[deepest - 1 - level], network.up[deepest - 1 - level]
        features = block(functional.interpolate(reduce(features), scale_factor=2, mode="nearest") + levels[level])
    return features


def rows(places: Tensor, products: int) -> Tensor:
    """Places of good parts, as references: ``[P * R, D, h, w]`` to ``[P, R * h * w, D]``."""
    return places.flatten(2).mT.unflatten(0, (products, -1)).flatten(1, 2)


def coarse(masks: Tensor, compared: Compared) -> tuple[Tensor, Tensor]:
    """What the comparison says, and what it should: both at the masks' resolution, in the places' steps."""
    size = compared.logits.shape[-2:]
    cells = functional.interpolate(functional.adaptive_max_pool2d(masks, size), size=masks.shape[-2:])
    return functional.interpolate(compared.logits, size=masks.shape[-2:]), cells
