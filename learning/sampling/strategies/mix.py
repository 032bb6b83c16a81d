"""The default: all strategies, each with a share."""

from typing import ClassVar

import numpy as np

from learning.sampling.candidates import Candidates, Floats, Reason, Shares
from learning.sampling.strategies.balance import Balance
from learning.sampling.strategies.base import Strategy
from learning.sampling.strategies.borderline import Borderline
from learning.sampling.strategies.change import Change
from learning.sampling.strategies.disagreement import Disagreement
from learning.sampling.strategies.diverse import Diverse

WEIGHTS: tuple[tuple[Strategy, float], ...] = (
    (Borderline(), 0.4),
    (Diverse(), 0.4),
    (Balance(), 0.1),
    (Change(), 0.05),
    (Disagreement(), 0.05),
)
"""Share of each, chosen by how soon it finds made-up defects (docs/active-learning.md).

What one that cannot be used would get goes to the others.
"""


class Mix:
    """A bit of everything: no strategy is the best on every line, and a mixture is never far from the best one."""

    name: ClassVar[str] = "mix"

    def missing(self, candidates: Candidates) -> str:
        """Nothing: it takes what can be used."""
        return ""

    def shares(self, candidates: Candidates) -> Shares:
        """The weighted mean of those that can be used."""
        usable = [(strategy, weight) for strategy, weight in WEIGHTS if not strategy.missing(candidates)]
        total = sum(weight for _, weight in usable)
        mixed: dict[Reason, Floats] = {}
        for strategy, weight in usable:
            for reason, shares in strategy.shares(candidates).items():
                mixed[reason] = mixed.get(reason, np.zeros(len(candidates))) + weight / total * shares
        return mixed
