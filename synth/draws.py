"""Random draws, all from a ``torch.Generator`` on the CPU, one row per flaw."""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor


@dataclass(frozen=True)
class Draws:
    """Draws ``count`` rows of whatever is asked for.

    Attributes:
        generator: On the CPU; the same state gives the same draws.
        count: Number of rows.
    """

    generator: Generator
    count: int

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Uniform between two numbers, ``[count, *shape]``."""
        return torch.empty(self.count, *shape).uniform_(low, high, generator=self.generator)

    def log_uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Uniform in the logarithm: as many small values as large ones."""
        return self.uniform(math.log(low), math.log(high), *shape).exp()

    def integers(self, low: int, high: int) -> Tensor:
        """Whole numbers from ``low`` to ``high``, both included; int64."""
        return torch.randint(low, high + 1, (self.count,), generator=self.generator)

    def chance(self, probability: float) -> Tensor:
        """True with that probability; bool."""
        return torch.rand(self.count, generator=self.generator) < probability

    def signed(self, low: float, high: float, negative: float) -> Tensor:
        """Log-uniform magnitude, with a minus sign with probability ``negative``."""
        magnitude = self.log_uniform(low, high)
        return torch.where(self.chance(negative), -magnitude, magnitude)

    def seeds(self) -> Tensor:
        """Seeds of generators for what is too large to be a parameter, such as noise; int64."""
        return torch.randint(2**31, (self.count,), generator=self.generator)


def generators(seeds: Tensor) -> list[Generator]:
    """One generator per seed, so that a flaw looks the same whatever shares its batch."""
    return [Generator().manual_seed(seed) for seed in seeds.tolist()]
