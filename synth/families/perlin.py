"""Perlin: a texture shows through thresholded Perlin noise.

As in DRAEM (Zavrtanik et al., 2021, arXiv 2108.07610) and GLASS (Chen et al., 2024, arXiv 2407.09359: one mask, the
intersection of two or their union), with procedural textures and other good parts where no folder of textures is given.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Generator, Tensor

from synth.compiled import kernels, usable
from synth.draws import Draws
from synth.families.base import EVERYWHERE, Content, Context, Family, select
from synth.masks import RegionParameters, draw_region, region, region_columns, region_reach
from synth.noise import Numbers, directions, flat_table, perlin
from synth.sources import pattern, patterned, procedural_textures, shifted_sources
from synth.sources.textures import textures
from synth.spots import Spots, paint
from synth.windows import Window, run

SINGLE, INTERSECTION, UNION = 0, 1, 2
PROCEDURAL, PART, PICTURE = 0, 1, 2


@dataclass(frozen=True, kw_only=True)
class PerlinParameters(RegionParameters):
    """One textured field per image.

    Attributes:
        algebra: ``[B]`` int64: one mask (0), the intersection of two (1) or their union (2).
        cells: ``[B, 2]`` bumps of the first mask along height and width.
        other_cells: ``[B, 2]`` of the second mask.
        level: ``[B]`` noise above this belongs to a mask.
        local: ``[B]`` bool, the field is confined to a region.
        content: ``[B]`` int64: a procedural texture (0), another good part (1), or a picture of the context's textures
            (2; a procedural one where there are none).
        grain: ``[B]`` size of the texture's grain, as a fraction of the image's shorter side.
        stretch: ``[B]`` grain's length along x over its length along y.
        brightness: ``[B]`` mean of the texture, 0..1.
        contrast: ``[B]`` spread of the texture, 0..1.
        opacity: ``[B]`` 0..1.
        source: ``[B]`` which part or picture, 0..1 over all of them.
        shift: ``[B, 2]`` (x, y) by which it is moved, as a fraction of width and height.
    """

    algebra: Numbers
    cells: Numbers
    other_cells: Numbers
    level: Numbers
    local: Numbers
    content: Numbers
    grain: Numbers
    stretch: Numbers
    brightness: Numbers
    contrast: Numbers
    opacity: Numbers
    source: Numbers
    shift: Numbers


class Perlin(Family[PerlinParameters]):
    """Draws and blends textures through Perlin masks.

    Args:
        cells: Range of the number of bumps along a side.
        opacity: Range of the opacity.
    """

    name: ClassVar[str] = "perlin"
    parameters_class = PerlinParameters

    def __init__(self, cells: tuple[float, float] = (1.5, 32.0), opacity: tuple[float, float] = (0.12, 1.0)) -> None:
        self.cells = cells
        self.opacity = opacity

    def draw(self, generator: Generator, count: int, severity: Tensor | None = None) -> PerlinParameters:
        """Draw a field per image, of each algebra and content a third; faint ones mostly lie within a region."""
        draws = Draws(generator, count, severity)
        algebra = draws.integers(SINGLE, UNION)
        # An intersection is small, a union large: their levels make up for some of it.
        shift = np.array([0.0, -0.12, 0.06], dtype=np.float32)[algebra]
        return PerlinParameters(
            **draw_region(draws, (0.04, 0.5), softness=(0.05, 0.8), square=0.1),
            algebra=algebra,
            cells=draws.log_uniform(*self.cells, 2),
            other_cells=draws.log_uniform(*self.cells, 2),
            level=draws.uniform(0.05, 0.35) + shift,
            local=draws.uniform(0, 1) > 0.66 * draws.severity,
            content=draws.integers(PROCEDURAL, PICTURE),
            grain=draws.log_uniform(0.004, 0.08),
            stretch=draws.log_uniform(0.2, 5.0),
            brightness=draws.uniform(0.05, 0.95),
            contrast=draws.uniform(0.05, 0.6),
            opacity=draws.strong(*self.opacity),
            source=draws.uniform(0, 1),
            shift=draws.uniform(0.1, 0.9, 2),
        )

    def reach(self, parameters: PerlinParameters, size: tuple[int, int]) -> Numbers:
        """As far as the region, or everywhere."""
        return np.where(parameters.local[:, None], region_reach(parameters, size), EVERYWHERE)

    def shown(self, parameters: PerlinParameters, context: Context) -> list[Content]:
        """Parts, pictures or procedural textures."""
        kinds = _kinds(parameters, context).tolist()
        borrowed: dict[int, Literal["part", "texture"]] = {PART: "part", PICTURE: "texture"}
        return [
            Content(borrowed[kind], place) if kind in borrowed else Content("procedural")
            for kind, place in zip(kinds, parameters.source.tolist(), strict=True)
        ]

    def paint_in_place(self, spots: Spots, parameters: PerlinParameters, context: Context) -> Numbers:
        """In one loop over the pixels."""
        kind = _kinds(parameters, context)
        left = np.flatnonzero((kind == PROCEDURAL) & patterned(parameters.seed + 2))
        here = np.setdiff1d(np.arange(len(kind)), left, assume_unique=True)
        if not len(here):
            return left
        p, some = (parameters, spots) if not len(left) else (select(parameters, here), spots.some(here))
        masks = p.algebra, p.cells, p.other_cells, p.level, p.local
        shown = kind[here], p.grain, p.stretch, p.brightness, p.contrast, p.opacity, p.source, p.shift
        parts = spots.good if context.sources is None else context.sources
        pictures = parts if context.textures is None else context.textures
        sources = (images.contiguous().numpy() for images in (parts, pictures))
        table = some.table(*region_columns(p), *masks, *shown)
        paint("paint_through_noise", some, table, *sources, context.sources is None, flat_table(), *directions())
        return left

    def paint(self, window: Window, parameters: PerlinParameters, context: Context) -> Tensor:
        """Blend the textures in where the noise is high."""
        if usable(window.images):
            return _with_patterns(window, parameters)  # ``paint_in_place`` left nothing else
        mask = _field(window, parameters).sub_(window.column(parameters.level))
        mask.mul_(12).clamp_(0, 1).mul_(window.column(parameters.opacity))
        local = np.flatnonzero(parameters.local)
        if len(local) == len(mask):
            mask.mul_(region(parameters, window))
        elif len(local):
            mask[run(local)] *= region(select(parameters, local), window.rows(local))
        return torch.lerp(window.images, _content(window, parameters, context), mask)


def _with_patterns(window: Window, parameters: PerlinParameters) -> Tensor:
    """As ``Perlin.paint``, of patterns: they are worked out only at the pixels where they show."""
    painted = window.images.clone()
    width, channels = window.shape[1], painted.shape[1]
    numbers = parameters.grain, parameters.stretch, parameters.brightness, parameters.contrast
    for row, share in enumerate(_shares(window, parameters).reshape(len(painted), -1)):
        shown = np.flatnonzero(share)
        one = slice(row, row + 1)
        places = window.left[row] + shown % width, window.top[row] + shown // width
        x, y = (torch.from_numpy(along.astype(np.float32))[None, None, None] for along in places)
        content = textures(pattern(parameters.seed[one] + 2, *(n[one] for n in numbers)), x, y, window.side, channels)
        kernels().lay(shown, content[0, :, 0].numpy(), share, painted[row].view(channels, -1).numpy())
    return painted


def _shares(window: Window, parameters: PerlinParameters) -> Numbers:
    """How much of the content shows at each pixel, ``[B, h, w]`` float32; for ``usable`` images."""
    local, twofold = np.flatnonzero(parameters.local), np.flatnonzero(parameters.algebra != SINGLE)
    count = len(parameters.seed)
    regions = region(select(parameters, local), window.rows(local)) if len(local) else window.images[:0, :1]
    confined, others = np.full(count, -1), np.full(count, -1)
    confined[local], others[twofold] = np.arange(len(local)), count + np.arange(len(twofold))
    lower = parameters.algebra == INTERSECTION
    numbers = (np.ascontiguousarray(values, np.float32) for values in (parameters.level, parameters.opacity))
    shares = np.empty((count, *window.shape), np.float32)
    kernels().uncover(_fields(window, parameters).numpy(), others, lower, *numbers, regions.numpy(), confined, shares)
    return shares


def _field(window: Window, parameters: PerlinParameters) -> Tensor:
    """Noise of one mask, or the lower (intersection) or higher (union) of two; ``[B, 1, h, w]``."""
    rows = np.flatnonzero(parameters.algebra != SINGLE)
    some, there = select(parameters, rows), run(rows)
    field, other = _fields(window, parameters).tensor_split([len(parameters.seed)])
    if len(rows):
        one = field[there]
        both = window.tensor((some.algebra == INTERSECTION).reshape(-1, 1, 1, 1))
        field[there] = torch.maximum(one, other).lerp_(torch.minimum(one, other), both)
    return field


def _fields(window: Window, parameters: PerlinParameters) -> Tensor:
    """Noise of all first masks, then of the second ones, of those that have one; ``[B + K, 1, h, w]``."""
    rows = np.flatnonzero(parameters.algebra != SINGLE)
    some = select(parameters, rows)
    # Both masks at once: what does not depend on the pixels costs as much for two fields as for one.
    seeds = np.concatenate([parameters.seed + 1, some.seed + 3])
    cells = np.concatenate(
        [_cells(parameters, parameters.cells, window.size), _cells(some, some.other_cells, window.size)]
    )
    again = replace(window, left=np.append(window.left, window.left[rows]), top=np.append(window.top, window.top[rows]))
    return perlin(seeds, cells, again)


def _content(window: Window, parameters: PerlinParameters, context: Context) -> Tensor:
    """What shows through, ``[B, C, h, w]``."""
    kind = _kinds(parameters, context)
    kinds = sorted(set(kind.tolist()))
    if len(kinds) == 1:
        return _content_of(kinds[0], window, parameters, context)
    content = torch.empty_like(window.images)
    for one in kinds:
        rows = np.flatnonzero(kind == one)
        content[run(rows)] = _content_of(one, window.rows(rows), select(parameters, rows), context)
    return content


def _kinds(parameters: PerlinParameters, context: Context) -> Numbers:
    """What each flaw shows, where the context has it."""
    wanted = parameters.content
    return wanted if context.textures is not None else np.where(wanted == PICTURE, PROCEDURAL, wanted)


def _content_of(kind: int, window: Window, parameters: PerlinParameters, context: Context) -> Tensor:
    if kind == PROCEDURAL:
        grain, stretch = parameters.grain, parameters.stretch
        return procedural_textures(
            window, parameters.seed + 2, grain, stretch, parameters.brightness, parameters.contrast
        )
    pictures = context.sources if kind == PART else context.textures
    unturned = np.zeros_like(parameters.seed)
    return shifted_sources(window, pictures, parameters.source, parameters.shift, unturned, rolled=True)


def _cells(parameters: PerlinParameters, cells: Numbers, size: tuple[int, int]) -> Numbers:
    """Cells of a mask; at least about one bump in a confining region."""
    bumps = 0.5 / (parameters.size * min(size))[:, None] * np.array(size)
    return np.where(parameters.local[:, None], np.maximum(cells, bumps), cells)
