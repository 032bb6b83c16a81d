"""Scratches: thin grooves that wander and lose contact, alone or several side by side, with a burr beside them."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Generator, Tensor

from synth.devices import onto
from synth.draws import Draws
from synth.families.base import Context, Family
from synth.families.shading import brightens, shade
from synth.masks import FlawParameters
from synth.noise import Numbers, uniforms
from synth.spots import NO_FLAWS, Spots, paint
from synth.windows import Window, run

_MOST = 3
_ROLLS = 6
"""Numbers that each groove has of its own: two phases, start, end, depth and distance."""

_WAVES = (1.7, 4.3)
"""Turns from end to end of the waves by which a scratch wanders; the second is half as high."""

_CONTACTS = (3.1, 7.9)
"""Turns from end to end of the waves by which it fades."""

_TAPER = 8.0
"""A groove is as deep as it gets where the product of the shares of it before and behind is over one in so many."""

_BURR = 2.6
"""Distance of the burr from the middle of its groove, in standard deviations of its profile."""


@dataclass(frozen=True, kw_only=True)
class ScratchParameters(FlawParameters):
    """One scratch, or a few side by side, per image.

    Attributes:
        middle: ``[B, 2]`` its middle, (x, y) in 0..1; see ``Ground.place``.
        angle: ``[B]`` direction of the chord, radians.
        length: ``[B]`` of the chord, as a fraction of the image's shorter side.
        bend: ``[B]`` height of the arc over the length of its chord; 0 is straight.
        width: ``[B]`` full width at half depth, as a fraction of the image's shorter side.
        depth: ``[B]`` change of brightness in the middle; negative is darker.
        number: ``[B]`` int64, grooves side by side, 1..3; the others are shorter and fainter than the first.
        pitch: ``[B]`` distance between them, in widths.
        wander: ``[B]`` how far it wanders to the sides, in widths.
        fading: ``[B]`` how far it fades where the tool loses contact, 0..1.
        burr: ``[B]`` height of the material that is pushed up beside it, over its depth; below 0 is on the other side.
        seed: ``[B]`` int64, of where it wanders and fades.
    """

    middle: Numbers
    angle: Numbers
    length: Numbers
    bend: Numbers
    width: Numbers
    depth: Numbers
    number: Numbers
    pitch: Numbers
    wander: Numbers
    fading: Numbers
    burr: Numbers
    seed: Numbers


class Scratch(Family[ScratchParameters]):
    """Draws and paints scratches.

    Args:
        length: Range of the chord, as a fraction of the image's shorter side.
        width: Range of the full width, in the same unit.
        depth: Range of the change of brightness, without its sign.
    """

    name: ClassVar[str] = "scratch"
    parameters_class = ScratchParameters

    def __init__(
        self,
        length: tuple[float, float] = (0.08, 1.2),
        width: tuple[float, float] = (0.003, 0.014),
        depth: tuple[float, float] = (0.1, 0.7),
    ) -> None:
        self.length = length
        self.width = width
        self.depth = depth

    def draw(self, generator: Generator, count: int, severity: Tensor | None = None) -> ScratchParameters:
        """Draw a scratch per image; as many dark as bright ones, and four in ten have a burr."""
        draws = Draws(generator, count, severity)
        return ScratchParameters(
            severity=draws.severity,
            middle=draws.uniform(0, 1, 2),
            angle=draws.uniform(0, np.pi),
            length=draws.sized(*self.length),
            bend=draws.uniform(-0.15, 0.15),
            width=draws.sized(*self.width),
            depth=draws.signed(*self.depth, negative=0.5),
            number=np.maximum(draws.integers(0, 6) - 3, 1),
            pitch=draws.uniform(3.0, 9.0),
            wander=draws.log_uniform(0.05, 0.6),
            fading=draws.uniform(0.1, 0.8),
            burr=draws.uniform(-0.5, 0.5) * draws.chance(0.4),
            seed=draws.seeds(),
        )

    def fractions(self, parameters: ScratchParameters) -> Numbers:
        """Middles of the chords."""
        return parameters.middle

    def reach(self, parameters: ScratchParameters, size: tuple[int, int]) -> Numbers:
        """As far as the ends of the chord, and the outermost groove beside it."""
        length, sigma = _pixels(parameters, size)
        # As far apart as grooves are at most, and as far as the waves go together.
        widths = (parameters.number - 1) * 1.2 * parameters.pitch + 1.5 * parameters.wander
        aside = np.abs(parameters.bend) * length + (2.355 * widths + _BURR + 4) * sigma
        cos, sin = np.abs(np.cos(parameters.angle)), np.abs(np.sin(parameters.angle))
        return np.stack([0.5 * length * cos + aside * sin, 0.5 * length * sin + aside * cos], axis=1)

    def paint_in_place(self, spots: Spots, parameters: ScratchParameters, context: Context) -> Numbers:
        """In one loop over the pixels."""
        p = parameters
        length, sigma = _pixels(p, spots.size)
        lines = np.cos(p.angle), np.sin(p.angle), length, sigma, p.bend
        table = spots.table(*lines, p.depth, p.number, 2.355 * p.pitch, 2.355 * p.wander, p.fading, p.burr)
        paint("paint_scratches", spots, spots.level, _WAVES, _CONTACTS, _TAPER, _BURR, table, _grooves(p))
        return NO_FLAWS

    def paint(self, window: Window, parameters: ScratchParameters, context: Context) -> Tensor:
        """Darken or brighten the images along the grooves."""
        cos, sin, rolls = np.cos(parameters.angle), np.sin(parameters.angle), _grooves(parameters)
        length, sigma = _pixels(parameters, window.size)
        along = window.plane(cos / length, sin / length, np.full_like(length, 0.5))
        arch = (1 - along).mul_(along)
        # Across the groove, in standard deviations of its profile.
        across = window.plane(-sin / sigma, cos / sigma).addcmul_(
            arch, window.column(-4 * parameters.bend * length / sigma)
        )
        swing = _waves(along, _WAVES, rolls[:, 0, :2]).mul_(window.column(2.355 * parameters.wander))
        across.sub_(swing)
        groove, burr = torch.zeros_like(across), torch.zeros_like(across)
        for i in range(int(parameters.number.max())):
            rows = np.flatnonzero(parameters.number > i)
            there, some, own = run(rows), window.rows(rows), rolls[rows, i]
            place = along[there]
            begin, end = some.column(own[:, 2]), some.column(own[:, 3])
            deep = ((place - begin) * (end - place)).mul_(_TAPER).clamp_(0, 1).mul_(some.column(own[:, 4]))
            contact = _waves(place, _CONTACTS, own[:, :2], even=True).mul_(0.5).add_(0.4)
            deep.mul_(contact.mul_(some.column(-parameters.fading[rows])).add_(1).clamp_(0, 1))
            beside = across[there] - some.column(own[:, 5] * parameters.pitch[rows] * 2.355)
            aside = beside - some.column(np.sign(parameters.burr[rows]) * _BURR)
            for field, off in ((groove, beside), (burr, aside)):
                field[there] = torch.maximum(field[there], off.square_().mul_(-0.5).exp_().mul_(deep))
        amount = np.abs(parameters.depth * parameters.burr)
        raised = window.column(1 - brightens(window, parameters.depth).astype(np.float32))
        return torch.lerp(shade(window, groove, parameters.depth), raised, burr.mul_(window.column(amount)))


def _grooves(parameters: ScratchParameters) -> Numbers:
    """What grooves have of their own, ``[B, 3, 6]``: two phases, start, end, depth, and pitches beside the first."""
    rolls = uniforms(parameters.seed, _MOST * _ROLLS).reshape(-1, _MOST, _ROLLS)
    first = np.arange(_MOST) == 0
    rolls[..., 2] = np.where(first, 0, 0.3 * rolls[..., 2])
    rolls[..., 3] = np.where(first, 1, 1 - 0.3 * rolls[..., 3])
    rolls[..., 4] = np.where(first, 1, 0.35 + 0.65 * rolls[..., 4])
    rolls[..., 5] = np.arange(_MOST) * (0.8 + 0.4 * rolls[..., 5])
    return rolls


def _waves(along: Tensor, turns: tuple[float, float], phases: Numbers, *, even: bool = False) -> Tensor:
    """Two sines along scratches, of which the second is half as high where they are not even; ``[B, 1, h, w]``."""
    first, second = (
        (along * turn).add_(onto(phase.astype(np.float32), along.device)[:, None, None, None]).mul_(2 * math.pi).sin_()
        for turn, phase in zip(turns, phases.T, strict=True)
    )
    return first.add_(second, alpha=1.0 if even else 0.5)


def _pixels(parameters: ScratchParameters, size: tuple[int, int]) -> tuple[Numbers, Numbers]:
    """Length of the chord and standard deviation of a groove's profile in pixels, ``[B]`` both."""
    side = min(size)
    # Full width at half depth of a Gaussian is 2.355 standard deviations.
    return np.maximum(parameters.length * side, 3), np.maximum(parameters.width * side / 2.355, 0.45)
