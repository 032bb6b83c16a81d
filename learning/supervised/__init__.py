"""Learning from confirmed verdicts."""

from learning.supervised.fallback import Fallback
from learning.supervised.linear import LinearModel, fit_logistic

__all__ = ["Fallback", "LinearModel", "fit_logistic"]
