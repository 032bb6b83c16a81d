"""Whether a challenger replaces the champion: both judged on the same parts, by gates that were fixed beforehand."""

from learning.challenge.config import ChallengeConfig, Metric, load_challenge
from learning.challenge.gains import Pairs
from learning.challenge.judging import Gate, Judgement, RegressionCase, check_carries, judge

__all__ = [
    "ChallengeConfig",
    "Gate",
    "Judgement",
    "Metric",
    "Pairs",
    "RegressionCase",
    "check_carries",
    "judge",
    "load_challenge",
]
