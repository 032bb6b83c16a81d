"""Fraying: a contour that has come undone, in teeth of uneven length, and the loosened surface behind it."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Generator, Tensor

from synth.devices import onto
from synth.draws import Draws
from synth.families.base import Context, Family
from synth.families.shading import relative
from synth.masks import FlawParameters, box_blur
from synth.noise import Numbers, perlin, uniforms
from synth.windows import Window

_TEETH = 256
"""Teeth in the table of each fray; as many are drawn as fit its extent."""


@dataclass(frozen=True, kw_only=True)
class FrayParameters(FlawParameters):
    """One frayed stretch of the contour per image.

    Attributes:
        centre: ``[B, 2]`` place on the contour, (x, y) in 0..1; see ``Ground.place_at_border``.
        extent: ``[B]`` half the length of the stretch, as a fraction of the image's shorter side.
        depth: ``[B]`` length of the longest gaps between the teeth, in the same unit.
        pitch: ``[B]`` distance of the teeth, in the same unit; at least 1.5 pixels.
        angle: ``[B]`` direction of the teeth, from that of the contour's normal, radians.
        wave: ``[B]`` how far the teeth are bent, in pitches.
        brightness: ``[B]`` of the gaps where the image has no background, over the level around: -1 (black) to 1.
        opacity: ``[B]`` 0..1, of the gaps.
        loose: ``[B]`` change of brightness of the loosened surface behind, 0..1.
        seed: ``[B]`` int64, of the teeth.
    """

    centre: Numbers
    extent: Numbers
    depth: Numbers
    pitch: Numbers
    angle: Numbers
    wave: Numbers
    brightness: Numbers
    opacity: Numbers
    loose: Numbers
    seed: Numbers


class Fray(Family[FrayParameters]):
    """Draws frays and undoes contours.

    Args:
        extent: Range of half the length, as a fraction of the image's shorter side.
        depth: Range of the length of the longest gaps, in the same unit.
    """

    name: ClassVar[str] = "fray"
    parameters_class = FrayParameters
    at_contour = True

    def __init__(self, extent: tuple[float, float] = (0.012, 0.3), depth: tuple[float, float] = (0.006, 0.06)) -> None:
        self.extent = extent
        self.depth = depth

    def draw(self, generator: Generator, count: int, severity: Tensor | None = None) -> FrayParameters:
        """Draw a frayed stretch per image."""
        draws = Draws(generator, count, severity)
        return FrayParameters(
            severity=draws.severity,
            centre=draws.uniform(0, 1, 2),
            extent=draws.sized(*self.extent),
            depth=draws.sized(*self.depth),
            pitch=draws.log_uniform(0.006, 0.03),
            angle=draws.uniform(-0.7, 0.7),
            wave=draws.uniform(0.0, 1.5),
            brightness=np.where(draws.chance(0.6), draws.uniform(-0.9, -0.4), draws.uniform(0.2, 0.7)),
            opacity=np.minimum(draws.strong(0.15, 2.0), 1),
            loose=draws.strong(0.05, 0.5),
            seed=draws.seeds(),
        )

    def reach(self, parameters: FrayParameters, size: tuple[int, int]) -> Numbers:
        """As far as the stretch, and the depth that distances are measured over."""
        extent, _, _ = _pixels(parameters, size)
        return (extent + _radii(parameters, size) + 2)[:, None].repeat(2, axis=1)

    def margin(self, parameters: FrayParameters, size: tuple[int, int]) -> int:
        """What distances from the contour are measured over."""
        return int(_radii(parameters, size).max()) + 1

    def paint(self, window: Window, parameters: FrayParameters, context: Context) -> Tensor:
        """Open gaps between the teeth, and roughen what lies behind."""
        extent, depth, pitch = _pixels(parameters, window.size)
        x, y = window.offsets
        inside = _depth(window, _radii(parameters, window.size))
        near = torch.hypot(x, y).div_(window.column(extent)).neg_().add_(1).mul_(3).clamp_(0, 1)

        # Along the contour, where its direction is taken to be the same all along the stretch.
        normal = window.inward + parameters.angle
        along = window.plane(-np.sin(normal) / pitch, np.cos(normal) / pitch)
        cells = 0.5 * np.array(window.size) / pitch[:, None]
        bend = perlin(parameters.seed + 1, cells * 0.4, window)
        along.add_(bend.mul_(window.column(parameters.wave)))
        longest = near.mul_(window.column(depth))
        gap = _teeth(parameters.seed, along).mul_(longest)

        # Gaps are open from the contour to their length.
        open_ = (gap - inside).add_(0.5).clamp_(0, 1).mul_(window.column(parameters.opacity))
        strands = perlin(parameters.seed + 2, cells * 1.5, window, octaves=2)
        behind = longest.mul_(1.2).sub_(inside).div_(window.column(depth)).clamp_(0, 1)
        loose = behind.mul_(strands).mul_(window.column(2 * parameters.loose)).clamp_(-1, 1)
        rough = torch.lerp(window.images, (loose > 0).to(loose), loose.abs_())
        fill = np.where(window.has_background[:, None], window.background, relative(window, parameters.brightness))
        return torch.lerp(rough, window.colours(fill), open_)


def _pixels(parameters: FrayParameters, size: tuple[int, int]) -> tuple[Numbers, Numbers, Numbers]:
    """Half the extent, the depth and the pitch in pixels, ``[B]`` each."""
    side = min(size)
    extent, depth = np.maximum(parameters.extent * side, 3), np.maximum(parameters.depth * side, 1.5)
    return extent, depth, np.maximum(parameters.pitch * side, 1.5)


def _radii(parameters: FrayParameters, size: tuple[int, int]) -> Numbers:
    """How far from the contour distances are known, in whole pixels, ``[B]``."""
    return np.maximum(np.ceil(1.3 * parameters.depth * min(size)), 3)


def _depth(window: Window, radii: Numbers) -> Tensor:
    """Distance of the pixels from the contour, in pixels, up to about a radius; ``[B, 1, h, w]``."""
    height, width = window.size
    x, y = window.offsets_from(np.zeros_like(window.centre))
    depth = torch.minimum(torch.minimum(x, width - 1 - x), torch.minimum(y, height - 1 - y)).add(0.5)
    if window.allowed is None:
        return depth
    # The share of a square around a pixel that is inside the part is 1/2 on a straight contour.
    share = box_blur(window.allowed, radii.astype(int))
    return torch.minimum(depth, share.mul_(2).sub_(1).mul_(window.column(radii + 0.5))).clamp_min_(0.5)


def _teeth(seeds: Numbers, along: Tensor) -> Tensor:
    """Length of the gaps, 0..1, at places counted in teeth: peaks of uneven height and sharp tips; ``[B, 1, h, w]``."""
    table = onto(uniforms(seeds, _TEETH) ** 2, along.device).to(along.dtype)
    place = along + _TEETH / 2
    first = place.floor()
    index = first.long().clamp_(0, _TEETH - 2).flatten(1)
    low, high = (table.gather(1, index + i).view_as(along) for i in (0, 1))
    return torch.lerp(low, high, place.sub_(first))
