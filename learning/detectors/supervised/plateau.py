"""A learning rate that falls where the loss on held-out parts does not."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

_FACTOR = 0.1


class Plateau:
    """Lowers the rate tenfold after some looks without a gain, down to a least one.

    A schedule and a callback of ``learning.loop``; its state is part of the checkpoint.

    Args:
        loss: Of a network on held-out parts.
        peak: First learning rate.
        lowest: Last one.
        every: Steps between two looks.
        patience: Looks without a gain that are borne.
    """

    def __init__(
        self, loss: Callable[[nn.Module], float], peak: float, lowest: float, every: int, patience: int
    ) -> None:
        self.peak = peak
        self.least = float("inf")
        self._loss = loss
        self._lowest = lowest
        self._every = every
        self._patience = patience
        self._rate = peak
        self._stale = 0

    @property
    def every(self) -> int:
        """Steps between two looks."""
        return self._every

    def rate(self, fraction: float) -> float:
        """Learning rate at present, whatever the fraction of the run."""
        return self._rate

    def update(self, model: nn.Module, generator: torch.Generator) -> None:
        """Look at the held-out parts."""
        loss = self._loss(model)
        self._stale = 0 if loss < self.least else self._stale + 1
        self.least = min(self.least, loss)
        if self._stale >= self._patience:
            self._stale = 0
            self._rate = max(self._lowest, _FACTOR * self._rate)

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that looks have changed."""
        return {"plateau": torch.tensor([self._rate, self.least, self._stale], dtype=torch.float64)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what ``state_dict`` gave."""
        self._rate, self.least, stale = state["plateau"].tolist()
        self._stale = int(stale)
