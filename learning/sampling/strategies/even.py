"""All parts alike: a simple random sample, which teaches least and proves most."""

from typing import ClassVar

import numpy as np

from learning.sampling.candidates import Candidates, Reason, Shares


class Even:
    """Every part with the same probability."""

    name: ClassVar[str] = "random"

    def missing(self, candidates: Candidates) -> str:
        """Nothing."""
        return ""

    def shares(self, candidates: Candidates) -> Shares:
        """One over their number."""
        return {Reason.AUDIT: np.full(len(candidates), 1 / len(candidates))}
