"""What flaws are learnt from beside the good parts: confirmed defects and pictures of textures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Generator, Tensor

from synth.families import ANYWHERE
from synth.families.base import Context
from synth.image_level import Odds, Synthesizer
from synth.settings import CONFIRMED_SHARE
from synth.sources.defects import DefectBank
from synth.sources.folder import TextureFolder

if TYPE_CHECKING:
    from learning.confirmed_pictures import ConfirmedPictures

_TEXTURES = 8
"""Textures at hand for a batch."""


@dataclass(frozen=True)
class FlawSources:
    """Sources for training.

    Attributes:
        defects: Confirmed defects that training may see, brought to the channels and the size of its images.
        textures: Pictures of surfaces; None is procedural ones.
        pictures: Confirmed defects as they were photographed, with masks where there are any; detectors that do not
            look at them learn from ``defects`` alone.
    """

    defects: DefectBank | None = None
    textures: TextureFolder | None = None
    pictures: "ConfirmedPictures | None" = None

    def synthesizer(self, families: Sequence[str] | None, severity: tuple[float, float] = (0.0, 1.0)) -> Synthesizer:
        """Draws from the families named, or all that can be drawn from, and from confirmed defects where there are any.

        Args:
            families: Their names; None is all.
            severity: Least and greatest, 0 (barely visible) to 1 (gross).

        Raises:
            SynthError: If a family is unknown, or severities make no range.
        """
        others = families or ANYWHERE
        if not self.defects or "confirmed" in others:
            return Synthesizer(others, severity=severity)
        odds = dict.fromkeys(others, (1.0,)) | {"confirmed": (len(others) * CONFIRMED_SHARE / (1 - CONFIRMED_SHARE),)}
        return Synthesizer([*others, "confirmed"], severity=severity, odds=Odds(odds))

    def context(self, generator: Generator, images: Tensor, foreground: Tensor | None, parts: Tensor) -> Context:
        """What flaws on a batch may use.

        Args:
            generator: Draws the textures.
            images: ``[B, C, h, w]``.
            foreground: ``[B, 1, h, w]`` or None; see ``Context``.
            parts: ``[S, C, h, w]`` other good parts.
        """
        textures = None
        if self.textures is not None:
            size = (images.shape[-2], images.shape[-1])
            textures = self.textures.draw(generator, _TEXTURES, images.shape[1], size)
        return Context(foreground, parts, textures=textures, defects=self.defects)


NO_SOURCES = FlawSources()
