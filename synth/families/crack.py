"""Cracks: branching walks of varying width, mostly darker than the surface."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor
from torch.nn import functional

from synth.draws import Draws
from synth.families.base import Context, Family, shade
from synth.masks import FlawParameters
from synth.noise import normals, uniforms
from synth.stamps import stamp
from synth.windows import Window

_KNOTS = 40
_BRANCHES = 3
_MOST_RADIUS = 6
"""Dots of a larger radius, in pixels, are drawn smaller and enlarged."""

_APART = 0.8
"""Distance of neighbouring dots in pixels, at most."""


@dataclass(frozen=True, kw_only=True)
class CrackParameters(FlawParameters):
    """One crack per image.

    Attributes:
        start: ``[B, 2]`` where it begins, (x, y) in 0..1; see ``Ground.place``.
        angle: ``[B]`` first direction, radians.
        length: ``[B]`` along the crack, as a fraction of the image's shorter side.
        wander: ``[B]`` how much the direction drifts from end to end, radians.
        jitter: ``[B]`` how much it changes at every knot, radians.
        width: ``[B]`` full width where it is widest, as a fraction of the image's shorter side.
        depth: ``[B]`` change of brightness; negative is darker.
        branches: ``[B]`` int64, 0..3.
        seed: ``[B]`` int64, of the walk.
    """

    start: Tensor
    angle: Tensor
    length: Tensor
    wander: Tensor
    jitter: Tensor
    width: Tensor
    depth: Tensor
    branches: Tensor
    seed: Tensor


class Crack(Family[CrackParameters]):
    """Draws and paints cracks.

    Args:
        length: Range of the length, as a fraction of the image's shorter side.
        width: Range of the greatest width, in the same unit.
        depth: Range of the change of brightness, without its sign.
    """

    name: ClassVar[str] = "crack"
    parameters_class = CrackParameters

    def __init__(
        self,
        length: tuple[float, float] = (0.08, 1.2),
        width: tuple[float, float] = (0.004, 0.02),
        depth: tuple[float, float] = (0.2, 0.95),
    ) -> None:
        self.length = length
        self.width = width
        self.depth = depth

    def draw(self, generator: Generator, count: int, severity: Tensor | None = None) -> CrackParameters:
        """Draw a crack per image; four in five are dark."""
        draws = Draws(generator, count, severity)
        return CrackParameters(
            severity=draws.severity,
            start=draws.uniform(0, 1, 2),
            angle=draws.uniform(0, 2 * torch.pi),
            length=draws.sized(*self.length),
            wander=draws.uniform(0.1, 2.0),
            jitter=draws.uniform(0.05, 0.6),
            width=draws.sized(*self.width),
            depth=draws.signed(*self.depth, negative=0.8),
            branches=(draws.integers(0, 2 * _BRANCHES) - _BRANCHES).clamp_min(0),
            seed=draws.seeds(),
        )

    def fractions(self, parameters: CrackParameters) -> Tensor:
        """Where the cracks begin."""
        return parameters.start

    def reach(self, parameters: CrackParameters, size: tuple[int, int]) -> Tensor:
        """As far as the farthest point of the walks."""
        points, radii = _knots(parameters, size)
        return ((points.abs() + radii[..., None] + 1) * (radii > 0)[..., None]).flatten(1, 2).amax(dim=1)

    def paint(self, window: Window, parameters: CrackParameters, context: Context) -> Tensor:
        """Darken or brighten the images along the walks."""
        return shade(window, _draw(window, *_knots(parameters, window.size)), parameters.depth)


def _knots(parameters: CrackParameters, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Walks as knots, the first of each crack from its start, then its branches.

    Returns:
        ``[B, W, K, 2]`` (x, y) in pixels from the start, and the radius ``[B, W, K]`` there; 0 draws nothing.
    """
    count = (_BRANCHES + 1) * 3 * _KNOTS
    rolls = normals(parameters.seed, count).view(-1, _BRANCHES + 1, 3, _KNOTS)
    chances = uniforms(parameters.seed + 1, _BRANCHES * 3).view(-1, _BRANCHES, 3)
    drift = parameters.wander[:, None, None] * rolls[:, :, 0].cumsum(dim=2) / _KNOTS**0.5
    turns = drift + parameters.jitter[:, None, None] * rolls[:, :, 1]

    length = parameters.length * min(size)
    main = _walk(torch.zeros(len(length), 1, 2), (parameters.angle[:, None] + turns[:, 0])[:, None], length[:, None])
    widths = (parameters.width * min(size))[:, None, None] * _taper(rolls[:, :, 2])

    where, aside, share = chances.unbind(dim=2)
    knot = (where * 0.8 * _KNOTS).long()
    across = rolls[:, 1:, 0, 0].sign() * (0.4 + 0.8 * aside)
    angle = parameters.angle[:, None] + drift[:, 0].gather(1, knot) + across
    starts = main[:, 0].gather(1, knot[..., None].expand(-1, -1, 2))
    branches = _walk(starts, angle[..., None] + turns[:, 1:], length[:, None] * (0.15 + 0.4 * share))
    thinner = 0.7 * widths[:, 0].gather(1, knot) / widths[:, 0, :1]
    drawn = torch.arange(_BRANCHES) < parameters.branches[:, None]
    radii = torch.cat([widths[:, :1], widths[:, 1:] * (thinner * drawn)[..., None]], dim=1) / 2
    return torch.cat([main, branches], dim=1), radii


def _walk(start: Tensor, angles: Tensor, length: Tensor) -> Tensor:
    """Knots ``[B, W, K, 2]`` of walks of a length ``[B, W]`` from ``[B, W, 2]`` along directions ``[B, W, K]``."""
    steps = torch.stack([angles.cos(), angles.sin()], dim=-1) * (length / _KNOTS)[..., None, None]
    return start[:, :, None] + steps.cumsum(dim=2)


def _taper(rolls: Tensor) -> Tensor:
    """Relative width along walks ``[B, W, K]``: uneven, and thin at the ends."""
    smooth = functional.avg_pool1d(functional.pad(rolls, (2, 2), mode="replicate"), 5, stride=1)
    along = torch.linspace(0, 1, _KNOTS)
    # A crack opens within a few knots from its start, is widest there, and runs out slowly.
    opening = (0.4 + 6 * along).clamp_max(1) * (1 - 0.75 * along**2)
    return opening * (0.75 + 0.6 * smooth).clamp(0.25, 1.4)


def _draw(window: Window, points: Tensor, radii: Tensor) -> Tensor:
    """Draw walks, the widest counting where they meet; ``[B, 1, h, w]`` in 0..1, soft over a pixel at the edges."""
    origin = torch.stack([window.left, window.top], dim=1) - window.centre
    drawn = [
        _draw_crack(knots[width[:, 0] > 0], width[width[:, 0] > 0], window.shape)
        for knots, width in zip(points - origin[:, None, None], radii, strict=True)
    ]
    return torch.stack(drawn)[:, None].to(window.images)


def _draw_crack(knots: Tensor, radii: Tensor, size: tuple[int, int]) -> Tensor:
    """Draw the walks ``[W, K, 2]`` of one crack with radii ``[W, K]``, all in pixels of a window; ``[h, w]``.

    Thick ones are drawn smaller and enlarged, as dots of many pixels cost too much.
    """
    height, width = size
    shrink = max(1, int(radii.max()) // _MOST_RADIUS)
    small = -(-height // shrink), -(-width // shrink)
    places = (knots + 0.5) / shrink - 0.5
    between = max(2, math.ceil(float(places.diff(dim=1).norm(dim=-1).max()) / _APART))
    dots = _resample(torch.cat([places, radii[..., None] / shrink], dim=-1), between).flatten(0, 1)
    drawn = torch.zeros(1, *small)
    stamp(drawn, torch.zeros(len(dots), dtype=torch.int64), dots[:, :2], dots[:, 2], torch.ones(len(dots)))
    if shrink > 1:
        drawn = functional.interpolate(drawn[None], scale_factor=float(shrink), mode="bilinear")[0]
    return drawn[0, :height, :width]


def _resample(values: Tensor, between: int) -> Tensor:
    """Put ``between`` points between neighbouring knots of ``[W, K, D]``."""
    steps = torch.arange(between)[:, None] / between
    return torch.lerp(values[:, :-1, None], values[:, 1:, None], steps).flatten(1, 2)
