"""Parts near the threshold, and a share of all that it rejects."""

from typing import ClassVar

import numpy as np

from learning.sampling.candidates import Candidates, Reason, Shares

_REJECTED_SHARE = 0.3
"""Share of the priority that goes to parts above the threshold, wherever they lie there."""


class Borderline:
    """Uncertainty sampling (Lewis & Gale, 1994), by ranks."""

    name: ClassVar[str] = "borderline"

    def missing(self, candidates: Candidates) -> str:
        """Nothing."""
        return ""

    def shares(self, candidates: Candidates) -> Shares:
        """Falling off exponentially with the distance from the threshold, and even over what lies above it."""
        close = np.exp(-np.abs(candidates.distance) / candidates.width)
        above = (candidates.scores > candidates.threshold).astype(np.float64)
        rejected_share = _REJECTED_SHARE if above.any() else 0.0
        return {
            Reason.REJECTED: rejected_share * above / max(above.sum(), 1),
            Reason.BORDERLINE: (1 - rejected_share) * close / close.sum(),
        }
