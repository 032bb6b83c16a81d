"""Random draws, all from a ``torch.Generator`` on the CPU, one row per flaw."""

import math

import torch
from torch import Generator, Tensor


class Draws:
    """Draws ``count`` rows of whatever is asked for.

    Severity says how visible a flaw is, and size and contrast share it: of two flaws of one severity, one may be small
    and strong and the other large and faint.

    Args:
        generator: On the CPU; the same state gives the same draws.
        count: Number of rows.
        severity: ``[count]``, 0 (barely visible) to 1 (gross); None draws it uniformly.

    Attributes:
        severity: ``[count]``, as given or drawn.
    """

    def __init__(self, generator: Generator, count: int, severity: Tensor | None = None) -> None:
        self.generator = generator
        self.count = count
        self.severity = torch.rand(count, generator=generator) if severity is None else severity.float()
        trade = self.uniform(-0.5, 0.5)
        self._size = (self.severity + trade).clamp(0, 1)
        self._contrast = (self.severity - trade).clamp(0, 1)

    def sized(self, low: float, high: float, exponent: float = 1.0) -> Tensor:
        """A length that grows with the flaw's size, evenly in the logarithm from the least to the greatest.

        Args:
            low: The least, above 0.
            high: The greatest.
            exponent: Above 1 small values are more frequent.
        """
        return low * (high / low) ** self._size**exponent

    def strong(self, low: float, high: float) -> Tensor:
        """An amount that grows with the flaw's contrast, evenly in the logarithm from the least to the greatest."""
        return low * (high / low) ** self._contrast

    def signed(self, low: float, high: float, negative: float) -> Tensor:
        """As ``strong``, with a minus sign with probability ``negative``."""
        return torch.where(self.chance(negative), -1.0, 1.0) * self.strong(low, high)

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

    def seeds(self) -> Tensor:
        """Seeds of noise, which is too large to be a parameter; int64."""
        return torch.randint(2**31, (self.count,), generator=self.generator)
