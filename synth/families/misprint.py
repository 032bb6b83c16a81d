"""Misprints: a ghost, smeared ink, ink that is missing, colours out of register, a wrong tone."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Generator, Tensor

from synth.devices import onto, places
from synth.draws import Draws
from synth.families.base import Context, Family, select
from synth.families.shading import shade
from synth.masks import RegionParameters, draw_region, region, region_reach
from synth.noise import Numbers, profile
from synth.sources import displaced
from synth.windows import Window, looked_at, run

GHOST, SMEAR, FADED, REGISTER, TONE = 0, 1, 2, 3, 4

_STEPS = 6
"""Copies that a smear is made of."""


@dataclass(frozen=True, kw_only=True)
class MisprintParameters(RegionParameters):
    """One misprinted area per image.

    Attributes:
        kind: ``[B]`` int64: a ghost, a shifted copy of the structure (0); ink smeared along a direction (1); ink
            that is missing in streaks (2); one colour out of register, in grey pictures half of the ink (3); a wrong
            tone (4).
        direction: ``[B]`` of the shift, the smear or the streaks, radians.
        distance: ``[B]`` of the shift or the smear, as a fraction of the image's shorter side; at least a pixel.
        opacity: ``[B]`` of the ghost, the smear or what is out of register, and of the missing ink, 0..1.
        channel: ``[B]`` int64, colour that is out of register, 0..2.
        tone: ``[B]`` change of brightness where the tone is wrong; the other kinds leave a film a quarter as strong.
        tint: ``[B, 3]`` change of the colours, added to the tone, in the same way; unused in grey pictures.
    """

    kind: Numbers
    direction: Numbers
    distance: Numbers
    opacity: Numbers
    channel: Numbers
    tone: Numbers
    tint: Numbers


class Misprint(Family[MisprintParameters]):
    """Draws and paints misprints.

    Args:
        size: Range of half the longer axis, as a fraction of the image's shorter side.
        distance: Range of the distance, in the same unit.
        tone: Range of the change of brightness, without its sign.
    """

    name: ClassVar[str] = "misprint"
    parameters_class = MisprintParameters

    def __init__(
        self,
        size: tuple[float, float] = (0.03, 0.4),
        distance: tuple[float, float] = (0.005, 0.05),
        tone: tuple[float, float] = (0.05, 0.35),
    ) -> None:
        self.size = size
        self.distance = distance
        self.tone = tone

    def draw(self, generator: Generator, count: int, severity: Tensor | None = None) -> MisprintParameters:
        """Draw a misprint per image, each kind as often."""
        draws = Draws(generator, count, severity)
        shape = draw_region(draws, self.size, aspect=(0.15, 1.0), softness=(0.05, 0.5), square=0.5)
        tone = draws.signed(*self.tone, negative=0.5)
        return MisprintParameters(
            **shape,
            kind=draws.integers(GHOST, TONE),
            direction=draws.uniform(0, 2 * np.pi),
            distance=draws.strong(*self.distance),
            opacity=draws.strong(0.25, 1.0),
            channel=draws.integers(0, 2),
            tone=tone,
            tint=draws.uniform(-0.7, 0.7, 3) * tone[:, None],
        )

    def reach(self, parameters: MisprintParameters, size: tuple[int, int]) -> Numbers:
        """As far as the area."""
        return region_reach(parameters, size)

    def paint(self, window: Window, parameters: MisprintParameters, context: Context) -> Tensor:
        """Blend in what was printed wrong."""
        inside = region(parameters, window)
        printed = _printed(window, parameters)
        blended = torch.lerp(window.images, printed, inside * window.column(parameters.opacity))
        # Without a film nothing would be seen on a part that has no structure.
        film = np.where(parameters.kind == TONE, np.float32(1), np.float32(0.25))
        if window.images.shape[1] > 1:
            blended.addcmul_(inside, window.tensor((parameters.tint * film[:, None])[:, :, None, None]))
        return shade(replace(window, images=blended), inside, parameters.tone * film)


def _printed(window: Window, parameters: MisprintParameters) -> Tensor:
    """What is printed in the area, ``[B, C, h, w]``."""
    kinds = sorted(set(parameters.kind.tolist()))
    if len(kinds) == 1:
        return _PRINTERS[kinds[0]](window, parameters)
    printed = torch.empty_like(window.images)
    for kind in kinds:
        rows = np.flatnonzero(parameters.kind == kind)
        printed[run(rows)] = _PRINTERS[kind](window.rows(rows), select(parameters, rows))
    return printed


def _ghost(window: Window, parameters: MisprintParameters) -> Tensor:
    bare = _paper(window)
    return _stronger(displaced(window, _shift(window, parameters)).sub_(bare), window.images - bare).add_(bare)


def _smear(window: Window, parameters: MisprintParameters) -> Tensor:
    bare = _paper(window)
    ink = window.images - bare
    for step in range(1, _STEPS + 1):
        part = step / _STEPS
        copy = displaced(window, _shift(window, parameters, part))
        ink = _stronger(copy.sub_(bare).mul_(1.1 - part), ink)
    return ink.add_(bare)


def _faded(window: Window, parameters: MisprintParameters) -> Tensor:
    across = window.plane(-np.sin(parameters.direction), np.cos(parameters.direction))
    streaks = profile(parameters.seed + 1, across, np.full_like(parameters.size, max(0.02 * window.side, 2)))
    return torch.lerp(window.images, _paper(window), streaks.add_(0.7).clamp_(0, 1))


def _register(window: Window, parameters: MisprintParameters) -> Tensor:
    copy = displaced(window, _shift(window, parameters))
    if copy.shape[1] == 1:
        return torch.lerp(window.images, copy, 0.5)
    moved = parameters.channel[:, None] == np.arange(copy.shape[1])
    return torch.where(onto(moved[:, :, None, None], copy.device), copy, window.images)


def _untouched(window: Window, parameters: MisprintParameters) -> Tensor:
    return window.images


_PRINTERS = {GHOST: _ghost, SMEAR: _smear, FADED: _faded, REGISTER: _register, TONE: _untouched}


def _paper(window: Window) -> Tensor:
    """Colour of what is printed on, ``[B, C, 1, 1]``: of the darkest and the brightest tenth the more usual one."""
    across, down = looked_at(window.boxes)
    pixels = window.batch[places(window.batch, window.of, down, across)].flatten(2)
    order = pixels.mean(dim=1).argsort(dim=1)
    count = order.shape[1]
    dark, middle, bright = (
        pixels.take_along_dim(order[:, None, start : start + count // 10], dim=2).mean(dim=2)
        for start in (0, count * 9 // 20, count - count // 10)
    )
    darker = (middle - dark).abs().mean(dim=1) < (bright - middle).abs().mean(dim=1)
    return torch.where(darker[:, None], dark, bright)[:, :, None, None].to(window.images)


def _stronger(copy: Tensor, ink: Tensor) -> Tensor:
    """A copy printed over ink, which is what differs from the paper: the stronger is seen."""
    return torch.where(copy.abs() > ink.abs(), copy, ink)


def _shift(window: Window, parameters: MisprintParameters, part: float = 1.0) -> Numbers:
    """Part of the shift in whole pixels, ``[B, 2]`` (x, y) int64."""
    distance = np.maximum(part * parameters.distance * window.side, 1)
    direction = np.stack([np.cos(parameters.direction), np.sin(parameters.direction)], axis=1)
    return (distance[:, None] * direction).round().astype(np.int64)
