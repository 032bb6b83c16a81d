"""Cracks: branching walks of varying width, mostly darker than the surface."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor
from torch.nn import functional

from synth.draws import Draws, generators
from synth.families.base import Family, shade
from synth.masks import place

_KNOTS = 40
_BRANCHES = 3


@dataclass(frozen=True)
class CrackParameters:
    """One crack per image.

    Attributes:
        start: ``[B, 2]`` where it begins, (x, y) in 0..1; see ``synth.masks.place``.
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
        width: tuple[float, float] = (0.005, 0.03),
        depth: tuple[float, float] = (0.15, 0.9),
    ) -> None:
        self.length = length
        self.width = width
        self.depth = depth

    def draw(self, generator: Generator, count: int) -> CrackParameters:
        """Draw a crack per image; four in five are dark."""
        draws = Draws(generator, count)
        return CrackParameters(
            start=draws.uniform(0, 1, 2),
            angle=draws.uniform(0, 2 * torch.pi),
            length=draws.log_uniform(*self.length),
            wander=draws.uniform(0.1, 2.0),
            jitter=draws.uniform(0.05, 0.6),
            width=draws.log_uniform(*self.width),
            depth=draws.signed(*self.depth, negative=0.8),
            branches=(draws.integers(0, 2 * _BRANCHES) - _BRANCHES).clamp_min(0),
            seed=draws.seeds(),
        )

    def paint(self, images: Tensor, parameters: CrackParameters, foreground: Tensor, sources: Tensor | None) -> Tensor:
        """Darken or brighten the images along the walks."""
        height, width = images.shape[-2:]
        points, radii = _walks(parameters, place(foreground, parameters.start), min(height, width))
        profile = _stamp(points, radii, height, width)[:, None].to(images)
        return shade(images, profile, parameters.depth)


def _walks(parameters: CrackParameters, start: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Points ``[B, N, 2]`` (x, y) in pixels, under a pixel apart, and the radius ``[B, N]`` there (0 draws nothing)."""
    rolls = torch.stack([torch.randn(_BRANCHES + 1, 3, _KNOTS, generator=g) for g in generators(parameters.seed)])
    uniforms = torch.stack([torch.rand(_BRANCHES, 3, generator=g) for g in generators(parameters.seed + 1)])
    drift = parameters.wander[:, None, None] * rolls[:, :, 0].cumsum(dim=2) / _KNOTS**0.5
    turns = drift + parameters.jitter[:, None, None] * rolls[:, :, 1]

    length = parameters.length * side
    main = _walk(start, parameters.angle[:, None] + turns[:, 0], length)
    widths = (parameters.width * side)[:, None, None] * _taper(rolls[:, :, 2])
    points, radii = [main], [widths[:, 0]]
    rows = torch.arange(len(start))
    for branch in range(_BRANCHES):
        where, aside, share = uniforms[:, branch].unbind(dim=1)
        knot = (where * 0.8 * _KNOTS).long()
        angle = parameters.angle + drift[:, 0][rows, knot] + (0.4 + 0.8 * aside) * rolls[:, branch + 1, 0, 0].sign()
        reach = length * (0.15 + 0.4 * share)
        points.append(_walk(main[rows, knot], angle[:, None] + turns[:, branch + 1], reach))
        drawn = (parameters.branches > branch)[:, None]
        radii.append(widths[:, branch + 1] * widths[:, 0].gather(1, knot[:, None]) * 0.7 / widths[:, :1, 0] * drawn)

    # As many points between knots as a walk of the greatest length needs to have no gaps.
    between = max(2, int(1.3 * side / _KNOTS) + 1)
    return (
        torch.cat([_resample(walk, between) for walk in points], dim=1),
        torch.cat([_resample(half[..., None], between)[..., 0] for half in radii], dim=1) / 2,
    )


def _walk(start: Tensor, angles: Tensor, length: Tensor) -> Tensor:
    steps = torch.stack([angles.cos(), angles.sin()], dim=-1) * (length / _KNOTS)[:, None, None]
    return start[:, None] + steps.cumsum(dim=1)


def _taper(rolls: Tensor) -> Tensor:
    """Relative width along walks ``[B, W, K]``: uneven, and thin at the ends."""
    smooth = functional.avg_pool1d(functional.pad(rolls, (2, 2), mode="replicate"), 5, stride=1)
    along = torch.linspace(0, 1, _KNOTS)
    return (1 - 0.75 * along**2) * (0.75 + 0.5 * smooth).clamp(0.25, 1.4)


def _resample(values: Tensor, between: int) -> Tensor:
    """Put ``between`` points between neighbouring knots of ``[B, K, D]``."""
    steps = torch.arange(between)[:, None] / between
    dense = values[:, :-1, None] * (1 - steps) + values[:, 1:, None] * steps
    return dense.flatten(1, 2)


def _stamp(points: Tensor, radii: Tensor, height: int, width: int) -> Tensor:
    """Draw a round dot of compact support at every point, the highest counts; ``[B, H, W]`` in 0..1."""
    drawn = radii > 0
    reach = torch.where(drawn, radii.clamp_min(0.25) + 0.6, 0.0)
    window = int(reach.max().ceil()) + 1
    shifts = torch.arange(-window, window + 1)
    batch, point = drawn.nonzero(as_tuple=True)
    corner = points[batch, point].round()
    near = corner[:, :, None] + shifts
    x, y = near[:, 0], near[:, 1]
    dx, dy = (near - points[batch, point][:, :, None]).square().unbind(dim=1)
    closeness = (reach[batch, point][:, None, None] - (dy[:, :, None] + dx[:, None, :]).sqrt()).clamp(0, 1)
    valid = ((y >= 0) & (y < height))[:, :, None] & ((x >= 0) & (x < width))[:, None, :] & (closeness > 0)
    index = (batch[:, None, None] * height + y.long()[:, :, None]) * width + x.long()[:, None, :]
    canvas = torch.zeros(len(points) * height * width)
    canvas.scatter_reduce_(0, index[valid], closeness[valid], "amax")
    return canvas.view(len(points), height, width)
