"""Which flaws to draw more often: those of which the detector is unsure, on held-out good parts.

Nothing here has ever seen a defect: flaws are painted on good parts that do not train the weights, and what is learnt
is how often each family is drawn, by severity. The rule is a simple form of automated curriculum learning (Graves et
al., 2017, arXiv 1704.03003), with the variance of being found in the place of the learning progress.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Generator, Tensor

from learning.augmentation import augment
from synth.families.base import Context
from synth.foreground import foreground
from synth.image_level import Synthesizer

if TYPE_CHECKING:
    from learning.images.image_set import ImageSet

Scorer = Callable[[Tensor], Tensor]
"""Image scores ``[B]`` of a batch ``[B, C, h, w]``; higher is more anomalous."""

_BATCH = 16


class CurriculumConfig(BaseModel):
    """How often a curriculum looks, how much it believes what it sees, and how far it may go."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    every: int = Field(default=50, ge=1, description="Steps between two looks.")
    bins: int = Field(default=3, ge=1, le=10, description="Equal ranges of severity that are told apart.")
    flaws: int = Field(default=2, ge=1, le=64, description="Flaws of each family and severity in a look.")
    sound: int = Field(default=32, ge=4, le=1024, description="Good images in a look.")
    false_reject: float = Field(
        default=0.1, gt=0, lt=1, description="A flaw is found if it scores above all but this share of the good images."
    )
    memory: float = Field(default=0.7, ge=0, lt=1, description="Weight of earlier looks, for each look since.")
    rate: float = Field(default=0.5, gt=0, le=1, description="How far the odds move to where they should be.")
    most: float = Field(default=2.0, gt=1, description="No odds change by more than this factor in a look.")
    floor: float = Field(default=0.25, gt=0, le=1, description="Least odds, where 1 is as often as without curriculum.")


def unsureness(found: Tensor, shown: Tensor) -> Tensor:
    """How unsure a detector is whether it finds a flaw: 1 where it finds every second one, 0 where all or none.

    Four times the expected variance ``q (1 - q)`` of one look at one flaw, where ``q`` has the posterior of a uniform
    prior, Beta(1 + found, 1 + shown - found): where little was shown, much is unsure.

    Args:
        found: ``[F, S]`` flaws that were found, as counts or discounted counts.
        shown: ``[F, S]`` flaws that were shown, at least ``found``.

    Returns:
        ``[F, S]`` in 0..1; 2/3 where nothing was shown.
    """
    hits, misses = 1 + found, 1 + shown - found
    total = hits + misses
    return 4 * hits * misses / (total * (total + 1))


def step_odds(odds: Tensor, unsure: Tensor, rate: float, most: float) -> Tensor:
    """Move odds towards how unsure the detector is.

    Each is multiplied by ``(target / odds) ** rate``, by ``most`` at most and by one over it at least; the target is
    ``unsure`` over its mean. Under the same ``unsure`` the odds settle at the target, and do not run away.

    Args:
        odds: ``[F, S]``, above 0, with mean 1.
        unsure: ``[F, S]``, at least 0; where all are 0 the target is 1.
        rate: In (0, 1].
        most: Above 1.

    Returns:
        ``[F, S]``, above 0, with mean 1.
    """
    target = unsure / unsure.mean() if unsure.sum() > 0 else torch.ones_like(unsure)
    moved = odds * (target / odds).pow(rate).clamp(1 / most, most)
    return moved / moved.mean()


def with_floor(odds: Tensor, floor: float) -> Tensor:
    """Mix odds of mean 1 with equal ones, so that none is below ``floor`` and the mean stays 1."""
    return floor + (1 - floor) * odds
