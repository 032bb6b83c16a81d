"""Realism, measured: synthetic flaws beside confirmed defects."""

from learning.realism.examples import Example, Examples, find_confirmed, read_confirmed, read_synthetic
from learning.realism.judging import Close, Match, Realism, Space, judge_realism

__all__ = [
    "Close",
    "Example",
    "Examples",
    "Match",
    "Realism",
    "Space",
    "find_confirmed",
    "judge_realism",
    "read_confirmed",
    "read_synthetic",
]
