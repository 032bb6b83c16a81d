"""Parts whose answer would change most decisions."""

from typing import ClassVar

import numpy as np

from learning.sampling.candidates import Candidates, Floats, Reason, Shares, fill_in, nearest_rows, to_shares

_NEIGHBOURS = 16
"""Parts that an answer is taken to reach."""

_LOOKED_AT = 4096
"""Parts whose neighbours are looked for, the least certain ones: it bounds the time for long streams."""


class Change:
    """Expected change of the decisions (after expected model output change, Freytag et al., 2014).

    An answer changes something where it contradicts the decision; it then reaches parts that look alike, and turns
    those of them that lie near the threshold:

        (probability that the answer contradicts) x (1 + sum over neighbours of likeness x 4 v (1 - v)),

    v being how surely a neighbour is rejected, and likeness ``exp(-d^2 / median d^2)`` of the distance d.
    """

    name: ClassVar[str] = "change"

    def missing(self, candidates: Candidates) -> str:
        """Embeddings."""
        return "" if candidates.embedded.sum() > 1 else "the images have no embeddings in the ledger"

    def shares(self, candidates: Candidates) -> Shares:
        """By what an answer is expected to turn."""
        there = candidates.embedded
        votes = candidates.votes[there]
        rejected = (candidates.scores > candidates.threshold)[there]
        contradicts = np.where(rejected, 1 - votes, votes)
        rows = candidates.standardised
        looked_at = np.argsort(-contradicts, kind="stable")[:_LOOKED_AT]
        # The nearest of all is the part itself, or its double.
        distances, nearest = nearest_rows(rows[looked_at], rows, _NEIGHBOURS + 1)
        distances, alike = distances[:, 1:], nearest[:, 1:]
        turned = np.zeros(len(rows))
        turned[looked_at] = (_likeness(distances) * (4 * votes * (1 - votes))[alike]).sum(axis=1)
        return {Reason.CHANGE: to_shares(fill_in(contradicts * (1 + turned), there))}


def _likeness(distances: Floats) -> Floats:
    squares = distances**2
    typical = float(np.median(squares))
    likeness: Floats = np.exp(-squares / typical) if typical > 0 else np.ones_like(squares)
    return likeness
