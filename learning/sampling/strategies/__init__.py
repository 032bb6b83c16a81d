"""Strategies: each says how much of a sample a part should get; adding one is a file here and a line in this one."""

from learning.sampling.strategies.balance import Balance
from learning.sampling.strategies.base import Strategy
from learning.sampling.strategies.borderline import Borderline
from learning.sampling.strategies.change import Change
from learning.sampling.strategies.disagreement import Disagreement
from learning.sampling.strategies.diverse import Diverse
from learning.sampling.strategies.even import Even
from learning.sampling.strategies.mix import Mix

DEFAULT = "mix"

STRATEGIES: dict[str, Strategy] = {
    strategy.name: strategy
    for strategy in (Mix(), Borderline(), Diverse(), Disagreement(), Change(), Balance(), Even())
}
"""By name; the first one is the default."""

__all__ = ["DEFAULT", "STRATEGIES", "Strategy"]
