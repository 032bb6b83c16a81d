"""Parts about which detectors disagree: a committee's uncertainty."""

from typing import ClassVar

import numpy as np
from scipy.special import entr
from scipy.stats import rankdata

from learning.sampling.candidates import Candidates, Floats, Reason, Shares, soft_votes, to_shares


class Disagreement:
    """Query by committee (Seung et al., 1992): the detector, its fallback, and other models of the same parts.

    Each votes softly, by ranks, around a threshold that rejects as many parts as the one in force. The priority is the
    Jensen-Shannon divergence of the votes (McCallum & Nigam, 1998): what the committee's vote leaves open beyond what
    each member is unsure of by itself.
    """

    name: ClassVar[str] = "disagreement"

    def missing(self, candidates: Candidates) -> str:
        """A second opinion."""
        there = any(np.isfinite(opinion).sum() > 1 for opinion in candidates.opinions)
        return "" if there else "there is no second opinion: no fallback is on, and no other model scored these images"

    def shares(self, candidates: Candidates) -> Shares:
        """Zero where all say the same."""
        votes = np.stack([candidates.votes, *(_votes(candidates, opinion) for opinion in candidates.opinions)])
        there = np.isfinite(votes)
        members = there.sum(axis=0)
        mean = np.where(there, votes, 0).sum(axis=0) / members
        alone = np.where(there, _entropy(np.where(there, votes, 0.5)), 0).sum(axis=0) / members
        return {Reason.DISAGREEMENT: to_shares(np.maximum(_entropy(mean) - alone, 0))}


def _votes(candidates: Candidates, opinion: Floats) -> Floats:
    there = np.isfinite(opinion)
    votes = np.full(len(opinion), np.nan)
    if there.any():
        accepted = (candidates.scores <= candidates.threshold).mean()
        ranks = (rankdata(opinion[there]) - 0.5) / there.sum()
        votes[there] = soft_votes(ranks - accepted, candidates.width)
    return votes


def _entropy(votes: Floats) -> Floats:
    entropy: Floats = entr(votes) + entr(1 - votes)
    return entropy
