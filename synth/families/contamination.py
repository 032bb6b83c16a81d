"""Contamination: dust, grit and fibres, many small things spread over a part, denser here than there."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from synth.draws import Draws
from synth.families.base import Context, Family
from synth.masks import FlawParameters
from synth.noise import normals, uniforms
from synth.stamps import stamp
from synth.windows import Window

_MOST_SPECKS = 160
_GRAINS = 3
"""Dots that a speck is made of."""
_MOST_FIBRES = 6
_KNOTS = 12
_HEAPS = 4
"""Places around which specks gather."""


@dataclass(frozen=True, kw_only=True)
class ContaminationParameters(FlawParameters):
    """One contaminated region per image.

    Attributes:
        centre: ``[B, 2]`` place on the part, (x, y) in 0..1; see ``Ground.place``.
        spread: ``[B]`` radius of the region, as a fraction of the image's shorter side.
        specks: ``[B]`` int64, how many, 1..160.
        grain: ``[B]`` radius of a middling speck, as a fraction of the image's shorter side; at least half a pixel.
        gathered: ``[B]`` share of the specks that lie in heaps.
        fibres: ``[B]`` int64, hair-like ones, 0..6.
        length: ``[B]`` of the fibres, as a fraction of the image's shorter side.
        curl: ``[B]`` how far a fibre turns along its length, radians.
        contrast: ``[B]`` share of the way to the colour of the dirt; negative is dark dirt.
        mixed: ``[B]`` share of the specks that are of the other brightness.
        colour: ``[B, 3]`` of dark dirt, 0..0.3; bright dirt is as far from white.
        seed: ``[B]`` int64, of all places and shapes.
    """

    centre: Tensor
    spread: Tensor
    specks: Tensor
    grain: Tensor
    gathered: Tensor
    fibres: Tensor
    length: Tensor
    curl: Tensor
    contrast: Tensor
    mixed: Tensor
    colour: Tensor
    seed: Tensor


class Contamination(Family[ContaminationParameters]):
    """Draws and scatters dirt.

    Args:
        spread: Range of the region's radius, as a fraction of the image's shorter side.
        grain: Range of the radius of a middling speck, in the same unit.
        contrast: Range of the contrast, without its sign.
    """

    name: ClassVar[str] = "contamination"
    parameters_class = ContaminationParameters

    def __init__(
        self,
        spread: tuple[float, float] = (0.01, 0.5),
        grain: tuple[float, float] = (0.0025, 0.009),
        contrast: tuple[float, float] = (0.15, 0.95),
    ) -> None:
        self.spread = spread
        self.grain = grain
        self.contrast = contrast

    def draw(self, generator: Generator, count: int, severity: Tensor | None = None) -> ContaminationParameters:
        """Draw a region per image; half of the dirt is dark, and four in ten regions have fibres."""
        draws = Draws(generator, count, severity)
        return ContaminationParameters(
            severity=draws.severity,
            centre=draws.uniform(0, 1, 2),
            spread=draws.sized(*self.spread),
            specks=draws.sized(1.0, _MOST_SPECKS).mul(draws.log_uniform(0.5, 1.0)).round().clamp_min(1).long(),
            grain=draws.sized(*self.grain),
            gathered=draws.uniform(0.0, 0.8),
            fibres=draws.sized(0.7, _MOST_FIBRES).mul(draws.chance(0.4)).round().long(),
            length=draws.uniform(0.04, 0.3),
            curl=draws.log_uniform(0.3, 4.0),
            contrast=draws.signed(*self.contrast, negative=0.5),
            mixed=draws.uniform(0.0, 0.4) * draws.chance(0.3),
            colour=draws.uniform(0.0, 0.2, 1) + draws.uniform(0.0, 0.1, 3),
            seed=draws.seeds(),
        )

    def reach(self, parameters: ContaminationParameters, size: tuple[int, int]) -> Tensor:
        """As far as the outermost dot."""
        points, radii, _ = _dots(parameters, size)
        return ((points.abs() + radii[..., None] + 1) * (radii > 0)[..., None]).amax(dim=1)

    def paint(self, window: Window, parameters: ContaminationParameters, context: Context) -> Tensor:
        """Cover the images with specks and fibres."""
        points, radii, strength = _dots(parameters, window.size)
        dark, pale = window.level.new_tensor(0.12), window.level.new_tensor(0.88)
        level = window.level.mean(dim=(1, 2, 3))[:, None]
        dirt = parameters.contrast[:, None] * strength
        bright = torch.where(level < dark, True, torch.where(level > pale, False, dirt.to(level) > 0)).cpu()
        origin = torch.stack([window.left, window.top], dim=1) - window.centre
        places = points - origin[:, None]
        drawn = radii > 0
        layers = torch.arange(len(points))[:, None] * 2 + bright
        canvas = window.images.new_zeros(2 * len(points), *window.shape)
        stamp(canvas, layers[drawn], places[drawn], radii[drawn], dirt[drawn].abs())
        shadows, lights = canvas.view(-1, 2, *window.shape).split(1, dim=1)
        colour = parameters.colour if window.images.shape[1] == 3 else parameters.colour.mean(dim=1, keepdim=True)
        colours = colour.to(window.images)[:, :, None, None]
        return torch.lerp(torch.lerp(window.images, colours, shadows), 1 - colours, lights)


def _dots(parameters: ContaminationParameters, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """All dots of each image.

    Returns:
        Places from the centre ``[B, N, 2]`` and radii ``[B, N]`` in pixels, where 0 draws nothing, and strengths
        ``[B, N]``, -1..1, negative for dirt of the other brightness.
    """
    speck, fibre = _specks(parameters, size), _fibres(parameters, size)
    points, radii, strength = (torch.cat(both, dim=1) for both in zip(speck, fibre, strict=True))
    return points, radii, strength


def _specks(parameters: ContaminationParameters, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    most = int(parameters.specks.max())
    rolls = normals(parameters.seed, _MOST_SPECKS * 3).view(-1, _MOST_SPECKS, 3)[:, :most]
    chances = uniforms(parameters.seed + 1, _MOST_SPECKS * 4).view(-1, _MOST_SPECKS, 4)[:, :most]
    heaps = normals(parameters.seed + 2, _HEAPS * 3).view(-1, _HEAPS, 3)
    heap = (chances[:, :, 0] * _HEAPS).long()[..., None].expand(-1, -1, 3)
    heap = heaps.gather(1, heap)
    gathered = (chances[:, :, 1] < parameters.gathered[:, None])[..., None]
    scattered = 0.5 * rolls[..., :2]
    heaped = 0.5 * heap[..., :2] + 0.12 * heap[..., 2:].exp() * rolls[..., :2]
    places = torch.where(gathered, heaped, scattered)
    places = places.clamp(-1.5, 1.5) * (parameters.spread * min(size))[:, None, None]
    places[:, 0] = 0

    # Most are small and few are large, as crushed matter is.
    radius = (parameters.grain * min(size))[:, None] * (0.55 * rolls[..., 2]).exp().clamp_max(4)
    number = torch.arange(most) < parameters.specks[:, None]
    grains = normals(parameters.seed + 3, _MOST_SPECKS * _GRAINS * 3).view(-1, _MOST_SPECKS, _GRAINS, 3)[:, :most]
    points = places[:, :, None] + 0.7 * radius[..., None, None] * grains[..., :2].clamp(-2, 2)
    radii = radius[..., None] * (0.65 + 0.2 * grains[..., 2]).clamp(0.3, 1)
    # What is smaller than a pixel is fainter, not larger.
    strength = (0.5 + 0.5 * chances[:, :, 2, None]) * radii.clamp_max(0.6) / 0.6
    other = (chances[:, :, 3] < parameters.mixed[:, None])[..., None]
    strength = torch.where(other, -strength, strength)
    return points.flatten(1, 2), (radii * number[..., None]).flatten(1, 2), strength.flatten(1, 2)


def _fibres(parameters: ContaminationParameters, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    most = int(parameters.fibres.max())
    if not most:
        nothing = torch.zeros(len(parameters.seed), 0)
        return nothing[..., None].expand(-1, -1, 2), nothing, nothing
    rolls = normals(parameters.seed + 4, _MOST_FIBRES * (_KNOTS + 4)).view(-1, _MOST_FIBRES, _KNOTS + 4)[:, :most]
    length = (parameters.length * min(size))[:, None] * (0.4 * rolls[..., 0]).exp().clamp(0.4, 2.0)
    radius = (0.45 * parameters.grain * min(size)).clamp_min(0.3)
    # Dots lie closer than they are thick; fibres that need fewer than the longest draw nothing with the rest.
    count = (length / (0.6 * radius.clamp_min(0.8)[:, None])).ceil().clamp_min(2)
    dots = torch.arange(int(count.max()))
    turns = (parameters.curl[:, None, None] * rolls[..., 4:] / _KNOTS**0.5).cumsum(dim=2) + 3 * rolls[..., 1:2]
    knot = (dots / count[..., None]).clamp_max(1) * (_KNOTS - 1)
    before = knot.long().clamp_max(_KNOTS - 2)
    angles = torch.lerp(turns.gather(2, before), turns.gather(2, before + 1), knot - before)
    steps = torch.stack([angles.cos(), angles.sin()], dim=-1) * (length / count)[..., None, None]
    start = 0.5 * rolls[..., 2:4].clamp(-2, 2) * (parameters.spread * min(size))[:, None, None]
    points = start[:, :, None] + steps.cumsum(dim=2)
    drawn = (torch.arange(most) < parameters.fibres[:, None])[..., None] & (dots < count[..., None])
    radii = radius[:, None, None] * drawn
    return points.flatten(1, 2), radii.flatten(1, 2), torch.full_like(radii, 0.85).flatten(1, 2)
