"""Blobs: blowholes, pits, stains and inclusions of irregular outline, from three pixels upwards."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Generator, Tensor

from synth.draws import Draws, generators
from synth.families.base import Family, shade
from synth.masks import RegionParameters, column, draw_region, place, region_at

_MOST = 4


@dataclass(frozen=True, kw_only=True)
class BlobParameters(RegionParameters):
    """One blob, or a cluster, per image.

    Attributes:
        depth: ``[B]`` change of brightness; negative is darker.
        rim: ``[B]`` change of brightness at the edge, over ``depth``; negative is the other way.
        number: ``[B]`` int64, blobs in the cluster, 1..4.
        spread: ``[B]`` radius of the cluster, in half axes of its blobs.
    """

    depth: Tensor
    rim: Tensor
    number: Tensor
    spread: Tensor


class Blob(Family[BlobParameters]):
    """Draws and paints blobs.

    Args:
        size: Range of half the longer axis, as a fraction of the image's shorter side.
        depth: Range of the change of brightness, without its sign.
    """

    name: ClassVar[str] = "blob"
    parameters_class = BlobParameters

    def __init__(self, size: tuple[float, float] = (0.008, 0.14), depth: tuple[float, float] = (0.08, 0.9)) -> None:
        self.size = size
        self.depth = depth

    def draw(self, generator: Generator, count: int) -> BlobParameters:
        """Draw a blob per image; three in four are dark, one in four is a cluster."""
        draws = Draws(generator, count)
        return BlobParameters(
            **draw_region(draws, self.size, aspect=(0.35, 1.0), softness=(0.1, 1.2), square=0.05),
            depth=draws.signed(*self.depth, negative=0.75),
            rim=draws.uniform(-0.6, 0.4),
            number=(draws.integers(0, 4 * _MOST - 1) - 3 * _MOST + 2).clamp(1, _MOST),
            spread=draws.uniform(1.5, 5.0),
        )

    def paint(self, images: Tensor, parameters: BlobParameters, foreground: Tensor, sources: Tensor | None) -> Tensor:
        """Darken or brighten the images inside the blobs."""
        height, width = images.shape[-2:]
        half = (parameters.size * min(height, width)).clamp_min(1.5)
        centre = place(foreground, parameters.centre)
        rolls = torch.stack([torch.randn(_MOST, 3, generator=g) for g in generators(parameters.seed + 1)])
        inside = region_at(centre, parameters, images)
        for i in range(1, int(parameters.number.max())):
            rows = (parameters.number > i).nonzero().flatten()
            shift = rolls[rows, i, :2] * 0.5 * (half * parameters.spread)[rows, None]
            another = _subset(
                parameters, rows, seed=parameters.seed[rows] + 1 + i, grow=(0.3 * rolls[rows, i, 2]).exp()
            )
            more = region_at(centre[rows] + shift, another, images[rows])
            inside = inside.index_copy(0, rows.to(images.device), torch.maximum(inside[rows], more))
        edge = 4 * inside * (1 - inside)
        return shade(images, inside + column(parameters.rim, images) * edge, parameters.depth)


def _subset(parameters: BlobParameters, rows: Tensor, seed: Tensor, grow: Tensor) -> RegionParameters:
    names = RegionParameters.__dataclass_fields__
    chosen = RegionParameters(**{name: getattr(parameters, name)[rows] for name in names})
    return replace(chosen, seed=seed, size=chosen.size * grow)
