"""Random draws, all from a ``torch.Generator`` on the CPU, one row per flaw.

Rows are NumPy arrays: there are few numbers, on which NumPy starts to work several times as quickly as torch does.
"""

import math

import numpy as np
import torch
from torch import Generator, Tensor

from synth.noise import Numbers

DRAWS = 8
"""Raised when the same seed gives other flaws, or the same parameters other pixels, than before: a set is not gone on
with in another way, and a manifest is not replayed to other pixels."""

_SUBDUED = 0.82
"""Exponent that brings, of changes of 0.06 to 0.95, the greatest to 0.58."""

_BLOCK = 48
"""Numbers that are drawn at once for each row: about as many as a family takes."""


class Draws:
    """Draws ``count`` rows of whatever is asked for.

    Severity says how visible a flaw is, and size and contrast share it: of two flaws of one severity, one may be small
    and strong and the other large and faint. At 0 a flaw is as small and faint as its family makes them, at 1 neither.

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
        self._block: Numbers = np.empty(0, np.float32)
        self.severity: Numbers = self._rolls() if severity is None else severity.float().cpu().numpy()
        trade = self.uniform(-1, 1) * np.minimum(self.severity, 1 - self.severity)
        self._size = self.severity + trade
        self._contrast = self.severity - trade

    def sized(self, low: float, high: float, exponent: float = 1.0) -> Numbers:
        """A length that grows with the flaw's size, evenly in the logarithm from the least to the greatest.

        Args:
            low: The least, above 0.
            high: The greatest.
            exponent: Above 1 small values are more frequent, below 1 large ones.
        """
        return low * (high / low) ** (self._size if exponent == 1 else self._size**exponent)

    def strong(self, low: float, high: float, exponent: float = 1.0) -> Numbers:
        """An amount that grows with the flaw's contrast, as ``sized`` does with its size."""
        return low * (high / low) ** (self._contrast if exponent == 1 else self._contrast**exponent)

    def signed(self, low: float, high: float, negative: float, exponent: float = 1.0) -> Numbers:
        """As ``strong``, with a minus sign with probability ``negative``."""
        return np.where(self.chance(negative), np.float32(-1), np.float32(1)) * self.strong(low, high, exponent)

    def uniform(self, low: float, high: float, *shape: int) -> Numbers:
        """Uniform between two numbers, ``[count, *shape]`` float32."""
        return self._rolls(*shape) * np.float32(high - low) + np.float32(low)

    def log_uniform(self, low: float, high: float, *shape: int) -> Numbers:
        """Uniform in the logarithm: as many small values as large ones."""
        return np.exp(self.uniform(math.log(low), math.log(high), *shape))

    def integers(self, low: int, high: int) -> Numbers:
        """Whole numbers from ``low`` to ``high``, both included; int64."""
        # A number just below 1 may be rounded up to one too many.
        return np.minimum((self._rolls() * np.float32(high + 1 - low)).astype(np.int64) + low, high)

    def chance(self, probability: float) -> Numbers:
        """True with that probability; bool."""
        return self._rolls() < probability

    def _rolls(self, *shape: int) -> Numbers:
        """Uniform in 0..1, ``[count, *shape]``; drawn for many calls at once, as each costs as much as a thousand."""
        number = self.count * math.prod(shape)
        if len(self._block) < number:
            self._block = torch.rand(max(number, _BLOCK * self.count), generator=self.generator).numpy()
        rolls, self._block = self._block[:number], self._block[number:]
        return rolls.reshape(self.count, *shape)

    def seeds(self) -> Numbers:
        """Seeds of noise, which is too large to be a parameter; int64."""
        return torch.randint(2**31, (self.count,), generator=self.generator).numpy()


def subdued(amounts: Numbers, least: float) -> Numbers:
    """Amounts of which those above 0, which brighten, come out nearer to the least of their range and stay within it.

    A part can be made black, by a hole; white comes from dust, a crushed rim or a dried liquid, and is never as strong.
    """
    return np.where(amounts > 0, least * (np.abs(amounts) / least) ** _SUBDUED, amounts).astype(np.float32)
