"""Which flaws to draw more often: those of which the detector is unsure, on held-out good parts.

Nothing here has ever seen a defect: flaws are painted on good parts that do not train the weights, and what is learnt
is how often each family is drawn, by severity. The rule is a simple form of automated curriculum learning (Graves et
al., 2017, arXiv 1704.03003), with the variance of being found in the place of the learning progress.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Generator, Tensor, nn

from learning.augmentation import augment
from synth.families.base import Context
from synth.image_level import Group, Odds, Recipe, Synthesizer

if TYPE_CHECKING:
    from learning.images.image_set import ImageSet

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


class Curriculum:
    """Draws flaws for training, and now and then looks at what the detector finds on held-out good parts.

    It is a callback of ``learning.loop.train``: its state goes into the checkpoint, so that a run that was killed goes
    on with the odds it had.

    Args:
        families: Names of the flaw families; None is all of them.
        images: Good parts that do not train the weights.
        score: Scores a batch with a network as it is.
        config: How it looks and learns.
        severity: Least and greatest, 0 (barely visible) to 1 (gross); ranges of severity divide what is between.
        mirror: Whether parts are mirrored, as in training.
    """

    def __init__(
        self,
        families: Sequence[str] | None,
        images: "ImageSet",
        score: Callable[[nn.Module, Tensor], Tensor],
        config: CurriculumConfig,
        *,
        severity: tuple[float, float] = (0.0, 1.0),
        mirror: bool = True,
    ) -> None:
        self.config = config
        self._images = images
        self._score = score
        self._mirror = mirror
        self._synthesizer = Synthesizer(families, severity=severity)
        shape = len(self._synthesizer.families), config.bins
        self._found = torch.zeros(shape, dtype=torch.float64)
        self._shown = torch.zeros(shape, dtype=torch.float64)
        self._odds = torch.ones(shape, dtype=torch.float64)

    @property
    def every(self) -> int:
        """Steps between two looks."""
        return self.config.every

    @property
    def odds(self) -> Odds:
        """What flaws are drawn by at present; 1 is as often as without a curriculum."""
        table = with_floor(self._odds, self.config.floor).tolist()
        return Odds(dict(zip(self._synthesizer.families, table, strict=True)))

    def describe(self) -> str:
        """The present odds in words: each family's by ranges of severity, what is drawn most first."""
        rows = sorted(self.odds.table.items(), key=lambda row: -sum(row[1]))
        drawn = "; ".join(f"{name} {' '.join(f'{value:.2f}' for value in odds)}" for name, odds in rows)
        return f"odds by {self.config.bins} ranges of severity, faint first: {drawn}"

    def draw(self, generator: Generator, count: int) -> Recipe:
        """Draw flaws for ``count`` images by the present odds."""
        every = self._synthesizer
        return Synthesizer(list(every.families), severity=every.severity, odds=self.odds).draw(generator, count)

    def update(self, model: nn.Module, generator: Generator) -> None:
        """Look at what a network finds, and move the odds."""
        found, shown = self._look(partial(self._score, model), generator)
        self._found = self.config.memory * self._found + found
        self._shown = self.config.memory * self._shown + shown
        unsure = unsureness(self._found, self._shown)
        self._odds = step_odds(self._odds, unsure, self.config.rate, self.config.most)

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that looks have changed."""
        return {"found": self._found, "shown": self._shown, "odds": self._odds}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what ``state_dict`` gave."""
        self._found, self._shown, self._odds = state["found"], state["shown"], state["odds"]

    @torch.no_grad()
    def _look(self, score: Callable[[Tensor], Tensor], generator: Generator) -> tuple[Tensor, Tensor]:
        """Flaws found and shown, ``[F, S]`` each; one that cannot be seen counts as shown and not found."""
        sound = [score(self._good(_BATCH, generator)[0]) for _ in range(-(-self.config.sound // _BATCH))]
        limit = torch.cat(sound).double().quantile(1 - self.config.false_reject)
        bins, flaws = self.config.bins, self.config.flaws
        found = torch.zeros_like(self._odds)
        least, greatest = torch.tensor(self._synthesizer.severity)
        for row, (name, family) in enumerate(self._synthesizer.families.items()):
            place = torch.arange(bins).repeat_interleave(flaws) + torch.rand(bins * flaws, generator=generator)
            pictures, outlines = self._good(2 * bins * flaws, generator)
            good, sources = pictures.chunk(2)
            parameters = family.draw(generator, bins * flaws, torch.lerp(least, greatest, place / bins))
            recipe = Recipe(bins * flaws, (Group(0, name, np.arange(bins * flaws), parameters),))
            flawed, masks = Synthesizer.apply(good, recipe, Context(outlines[: len(good)], sources))
            hit = (score(flawed).double() > limit) & (masks.flatten(1).amax(dim=1) > 0).to(limit.device)
            found[row] = hit.view(bins, flaws).sum(dim=1).to(found)
        return found, torch.full_like(found, flaws)

    def _good(self, count: int, generator: Generator) -> tuple[Tensor, Tensor]:
        chosen = torch.randint(len(self._images), (count,), generator=generator).tolist()
        return augment(self._images.batch(chosen), self._images.outlines(chosen), generator, self._mirror)
