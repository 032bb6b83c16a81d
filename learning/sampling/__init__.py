"""Which parts to ask an inspector about: priorities, drawn by a design whose probabilities are known.

Labels of parts that were chosen because they are borderline are no random sample. So priorities (``strategies``) never
choose by themselves: they are the sizes of a randomised ``design``, mixed with a uniform share. Every part has a
probability of being asked about that is known, exact and above zero.
"""

from learning.sampling.candidates import Candidates, Known, Reason
from learning.sampling.design import horvitz_thompson_total, inclusion_probabilities, systematic_sample
from learning.sampling.drawing import AUDIT_SHARE, Draw, ask_probabilities, draw_asks, strategy_named
from learning.sampling.strategies import DEFAULT, STRATEGIES, Strategy

__all__ = [
    "AUDIT_SHARE",
    "DEFAULT",
    "STRATEGIES",
    "Candidates",
    "Draw",
    "Known",
    "Reason",
    "Strategy",
    "ask_probabilities",
    "draw_asks",
    "horvitz_thompson_total",
    "inclusion_probabilities",
    "strategy_named",
    "systematic_sample",
]
