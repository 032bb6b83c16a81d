"""Parts of the kinds of which least is confirmed."""

from collections import Counter
from typing import ClassVar

import numpy as np

from learning.images.records import GOOD
from learning.sampling.candidates import Candidates, Reason, Shares, to_shares


class Balance:
    """Good and defective answers alike many, and all kinds of defect too.

    What is expected to be defective, by how surely it is rejected, gets the share of the sample that good answers have
    among those so far, and the other way round: half each to begin with. Among the defective, a part that is most like
    a confirmed kind counts by one over one more than the number confirmed of it.
    """

    name: ClassVar[str] = "balance"

    def missing(self, candidates: Candidates) -> str:
        """Nothing."""
        return ""

    def shares(self, candidates: Candidates) -> Shares:
        """By the kind that a part is expected to be of."""
        labels = Counter(candidates.labels_of_known())
        goods, defects = labels.pop(GOOD, 0), sum(labels.values())
        wanted = (goods + 1) / (goods + defects + 2)
        rare = np.ones(len(candidates))
        kinds = candidates.kinds_alike()
        if kinds is not None:
            rare[candidates.embedded] = [1 / (1 + labels[kind]) for kind in kinds]
        votes = candidates.votes
        return {Reason.BALANCE: wanted * to_shares(votes * rare) + (1 - wanted) * to_shares(1 - votes)}
