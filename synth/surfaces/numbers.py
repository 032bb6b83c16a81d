"""Random numbers for many products at once, on any device."""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor


@dataclass(frozen=True)
class Numbers:
    """Draws for ``products`` products, and for ``parts`` parts of each; shapes broadcast against ``[P, N, S, S]``.

    Attributes:
        generator: On the device that pictures are drawn on.
        products: P.
        parts: N.
    """

    generator: Generator
    products: int
    parts: int

    def of(self, products: int) -> "Numbers":
        """For so many products, from the same generator."""
        return Numbers(self.generator, products, self.parts)

    def uniform(self, low: float, high: float, *shape: int, each: bool = False) -> Tensor:
        """Uniform in low..high: ``[P, 1, 1, 1]``, or ``[P, N, 1, 1]`` for each part; a shape replaces the ``1, 1``."""
        drawn = torch.rand(self._shape(shape, each), generator=self.generator, device=self.generator.device)
        return low + (high - low) * drawn

    def scale(self, low: float, high: float, *shape: int) -> Tensor:
        """As ``uniform``, but uniform in the logarithm."""
        return self.uniform(math.log(low), math.log(high), *shape).exp()

    def normal(self, deviation: float, *shape: int, each: bool = True) -> Tensor:
        """Gaussian around zero; shapes as in ``uniform``, by default for each part."""
        drawn = torch.randn(self._shape(shape, each), generator=self.generator, device=self.generator.device)
        return deviation * drawn

    def chance(self, probability: float, *shape: int, each: bool = False) -> Tensor:
        """True with that probability, bool; shapes as in ``uniform``."""
        return self.uniform(0, 1, *shape, each=each) < probability

    def sign(self) -> Tensor:
        """-1 or 1, ``[P, 1, 1, 1]``."""
        return torch.where(self.chance(0.5), 1.0, -1.0)

    def _shape(self, shape: tuple[int, ...], each: bool) -> tuple[int, ...]:
        return self.products, self.parts if each else 1, *(shape or (1, 1))
