"""Regularised logistic regression, kept as plain arrays."""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

_SMALLEST_SPREAD = 1e-6


@dataclass(frozen=True)
class LinearModel:
    """Log-odds that are linear in standardised features.

    Attributes:
        centre: ``[D]`` mean of each feature over the good parts.
        spread: ``[D]`` its standard deviation there, times the square root of D.
        weight: ``[D]``.
        bias: ``[1]``.
    """

    centre: NDArray[np.float64]
    spread: NDArray[np.float64]
    weight: NDArray[np.float64]
    bias: NDArray[np.float64]

    def predict(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Log-odds of being defective: ``[..., D]`` to ``[...]``."""
        # One product instead of a standardised copy: there can be millions of places.
        scaled = self.weight / self.spread
        log_odds: NDArray[np.float64] = np.asarray(features) @ scaled + (self.bias[0] - self.centre @ scaled)
        return log_odds

    def arrays(self, prefix: str) -> dict[str, NDArray[np.float64]]:
        """Everything it consists of, by name."""
        return {f"{prefix}.{field.name}": getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[np.float64]], prefix: str) -> Self:
        """Undo ``arrays``."""
        return cls(**{field.name: arrays[f"{prefix}.{field.name}"] for field in fields(cls)})


def fit_logistic(
    features: NDArray[np.floating], defective: NDArray[np.bool_], strength: float = 10.0, iterations: int = 1000
) -> LinearModel:
    """Fit a logistic regression with an L2 penalty, both classes weighing the same.

    Features are standardised by the good rows, and divided by the square root of their number, so that one strength
    suits embeddings of any width.

    Args:
        features: ``[N, D]``.
        defective: ``[N]``; both values must occur.
        strength: Inverse of the penalty; see ``C`` of ``sklearn.linear_model.LogisticRegression``.
        iterations: At most; the fit is convex, so that fewer only leave it less sharp.

    Raises:
        ValueError: If only one class occurs.
    """
    if defective.all() or not defective.any():
        msg = "a classifier needs good and defective examples"
        raise ValueError(msg)
    good = np.asarray(features, dtype=np.float64)[~defective]
    centre = good.mean(axis=0)
    # A feature that never moves on good parts says nothing about how far a defect moved it.
    deviation = good.std(axis=0)
    typical = max(float(np.median(deviation)), _SMALLEST_SPREAD)
    spread = np.maximum(deviation, 0.1 * typical) * np.sqrt(features.shape[1])
    regression = LogisticRegression(C=strength, class_weight="balanced", max_iter=iterations)
    regression.fit((features - centre) / spread, defective)
    return LinearModel(centre, spread, regression.coef_[0].astype(np.float64), regression.intercept_.astype(np.float64))
