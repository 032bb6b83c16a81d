"""Products of no particular kind: surfaces and simple objects made of formulas, to learn seeing on.

Parts of a product differ as those of one lot do: by where they lie, by grain and by light.
"""

import torch
from torch import Generator, Tensor

from synth.errors import SynthError
from synth.surfaces.numbers import Numbers
from synth.surfaces.patterns import PATTERNS, Grid, blur, smooth

SMALLEST = 32
"""Least side of a picture, in pixels."""

_OBJECT, _SPLIT = 0.25, 0.15
"""Shares of products that are objects before a background, and of those that show two materials."""

_LAYERS = 3
_MARGIN = 8
"""Pixels that are drawn around a picture and cut off: blurring wraps around."""


def make_parts_of(products: int, parts: int, size: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Pictures of good parts.

    Args:
        products: How many products to draw, P.
        parts: Of each product, N.
        size: Side of the pictures in pixels, at least 32.
        generator: On the device to draw on; the same state there gives the same pictures.

    Returns:
        ``[P, N, size, size]`` pictures, 0..1, and where the part is in them, bool.

    Raises:
        SynthError: If the pictures would be too small, or none.
    """
    if size < SMALLEST or products < 1 or parts < 1:
        msg = (
            f"parts of a surface need pictures of at least {SMALLEST} pixels, and at least one product and part; "
            f"got {size}, {products} and {parts}"
        )
        raise SynthError(msg)
    numbers = Numbers(generator, products, parts)
    grid = _grid(numbers, size + 2 * _MARGIN, size / 256)
    kind = numbers.uniform(0, 1)
    is_object, two = kind < _OBJECT, kind < _OBJECT + _SPLIT
    picture = _material(numbers, grid, torch.arange(products, device=generator.device))
    both = two.flatten().nonzero().flatten()
    cover = torch.ones_like(picture)
    if len(both):
        some = numbers.of(len(both))
        shape = torch.where(is_object[both], _shape(some, grid.of(both)), _halves(some, grid.of(both)))
        near, far = (blur(shape, torch.full_like(kind[both], sigma)) for sigma in (2.0, 7.0))
        rim = 1 + some.uniform(-0.4, 0.4) * (near - far)
        behind = _material(some, grid.of(both), torch.arange(len(both), device=generator.device))
        picture[both] = behind * (1 - shape) + picture[both] * rim * shape
        cover[both] = torch.where(is_object[both], shape, 1.0)
    picture = _photograph(numbers, grid, picture)
    inner = slice(_MARGIN, -_MARGIN)
    return picture[..., inner, inner].clamp(0, 1), cover[..., inner, inner] > 0.5


def _material(numbers: Numbers, grid: Grid, products: Tensor) -> Tensor:
    """A material for each product: one to three patterns, as tones or as relief."""
    odds = torch.tensor([weight for weight, _ in PATTERNS.values()], device=products.device)
    chosen = torch.multinomial(odds, len(products) * _LAYERS, replacement=True, generator=numbers.generator)
    chosen = chosen.view(len(products), _LAYERS)
    layers = numbers.uniform(1, 4).floor().flatten()
    chosen = torch.where(torch.arange(_LAYERS, device=products.device) < layers[:, None], chosen, -1).cpu()
    field = torch.zeros_like(grid.u)
    for layer in range(_LAYERS):
        for index, (_, pattern) in enumerate(PATTERNS.values()):
            having = (chosen[:, layer] == index).nonzero().flatten().to(products.device)
            if len(having):
                some = numbers.of(len(having))
                field[having] += some.uniform(0.25, 1) * pattern(some, grid.of(having))
    bend = numbers.uniform(0.3, 1.2)
    field = torch.tanh(field * bend) / bend
    contrast = numbers.scale(0.02, 0.4) * numbers.normal(0.1).exp()
    tones = numbers.uniform(0.1, 0.75)
    flat = tones * torch.exp(contrast * field)
    # A surface that is lit from one side shows its slopes, not its heights.
    side = numbers.uniform(0, 2 * torch.pi)
    down, right = torch.gradient(field, dim=(-2, -1))
    slopes = right * side.cos() + down * side.sin()
    slopes = slopes / (slopes.std(dim=(-2, -1), keepdim=True) + 1e-3)
    return torch.where(numbers.chance(0.3), tones * torch.exp(contrast * torch.tanh(slopes / 2) * 2), flat)


def _shape(numbers: Numbers, grid: Grid) -> Tensor:
    """Outlines that all parts of a product share: rounded polygons, with holes in some."""
    half_u, half_v = numbers.uniform(60, 118), numbers.uniform(60, 118)
    u, v = grid.u / half_u, grid.v / half_v
    around = torch.atan2(v, u)
    square = numbers.chance(0.5)
    wavy = torch.zeros_like(u)
    for turns in range(2, 7):
        size = 0.12 / (turns - 1)
        wavy = wavy + numbers.normal(size, each=False) * torch.cos(turns * around)
        wavy = wavy + numbers.normal(size, each=False) * torch.sin(turns * around)
    radius = torch.where(square, torch.maximum(u.abs(), v.abs()), torch.hypot(u, v) - wavy)
    outside = (radius - 1) * torch.minimum(half_u, half_v)
    for _ in range(3):
        hole = torch.hypot(grid.u - numbers.uniform(-50, 50), grid.v - numbers.uniform(-50, 50))
        outside = torch.where(numbers.chance(0.4), torch.maximum(outside, numbers.uniform(5, 24) - hole), outside)
    return (0.5 - outside).clamp(0, 1)


def _halves(numbers: Numbers, grid: Grid) -> Tensor:
    """Two materials side by side: an edge of the part, a band, a seam."""
    width = torch.where(numbers.chance(0.5), 400.0, numbers.uniform(8, 60))
    across = grid.along(numbers.uniform(0, torch.pi)) - numbers.uniform(-90, 90) - numbers.normal(2)
    return (0.5 - ((across - width).abs() - width) / numbers.uniform(0.7, 6)).clamp(0, 1)


def _photograph(numbers: Numbers, grid: Grid, picture: Tensor) -> Tensor:
    axis = torch.linspace(-1, 1, grid.size, device=picture.device)
    direction = numbers.uniform(0, 2 * torch.pi, each=True)
    slant = axis * direction.cos() + axis[:, None] * direction.sin()
    picture = picture * (1 + numbers.uniform(0, 0.25) * slant)
    far = torch.full_like(direction[:, :1], 110.0)
    picture = picture * (1 + numbers.uniform(0, 0.12) * smooth(numbers, grid, far)) * numbers.normal(0.08).exp()
    sharp = numbers.chance(0.4)
    picture = blur(picture, torch.where(sharp, 0.0, numbers.uniform(0, 1.6)))
    return picture + numbers.uniform(0, 0.02) * numbers.normal(1, grid.size, grid.size)


def _grid(numbers: Numbers, size: int, scale: float) -> Grid:
    axis = (torch.arange(size, device=numbers.generator.device) + 0.5 - size / 2) / scale
    angle = numbers.uniform(0, 0.04) * numbers.normal(1)
    play = numbers.uniform(0, 6)
    x, y = axis - play * numbers.normal(1), axis[:, None] - play * numbers.normal(1)
    return Grid(x * angle.cos() + y * angle.sin(), y * angle.cos() - x * angle.sin())
