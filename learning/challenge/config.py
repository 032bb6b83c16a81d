"""What a challenger has to show, fixed before it is trained."""

from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from learning.errors import ConfigError
from learning.starts import Start
from synth.configuration import read_config
from synth.errors import SynthError


class Metric(StrEnum):
    """What is compared; each model decides by its own threshold.

    ``auroc``: how well scores of the frozen set divide defective from good parts, whatever the threshold.
    ``escape_rate``: share of the frozen set's defective parts that is accepted.
    ``false_reject_rate``: share of its good parts that is rejected.
    ``cost``: of wrong decisions about a part, with the costs of the configuration.
    ``synthetic_escape_rate``: share of made-up defects on its good parts that is accepted.
    """

    AUROC = "auroc"
    ESCAPE = "escape_rate"
    FALSE_REJECT = "false_reject_rate"
    COST = "cost"
    SYNTHETIC_ESCAPE = "synthetic_escape_rate"


PRIMARY = (Metric.AUROC, Metric.ESCAPE, Metric.COST)
"""What may be primary: only confirmed parts can show that a challenger is better."""

_MARGINS = {
    Metric.ESCAPE: 0.1,
    Metric.FALSE_REJECT: 0.05,
    Metric.SYNTHETIC_ESCAPE: 0.1,
}


class ChallengeCosts(BaseModel):
    """What wrong decisions cost, in any unit; for ``cost`` alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    escape: float = Field(default=20.0, gt=0)
    false_reject: float = Field(default=1.0, gt=0)


class ChallengeConfig(BaseModel):
    """How a challenger comes to be, and how it is judged beside the champion.

    Attributes:
        start: What its weights begin with.
        primary: What the challenger has to be better at.
        least_gain: The share of what the champion gets wrong (1 - AUROC, the escape rate, the cost) that it has to get
            right: two trainings on the same data differ by luck, and a change that is within it is not worth making.
        margins: For each other metric, by how much the challenger may be worse at most; those not named are not looked
            at.
        confidence: One-sided, of each bound.
        resamples: Of the bootstrap.
        seed: Of the bootstrap and of made-up defects.
        costs: Of wrong decisions.
        frozen_share: Share of the independent groups with verdicts that is set aside for judging, for good.
        threshold_share: Of the other groups with verdicts, the share that sets the challenger's threshold and fallback
            instead of training it: what has taught a model tells nothing of its threshold.
        synthetic_each: Made-up defects for each good part of the frozen set; 0 for none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    start: Start = Start.AUTO
    primary: Metric = Metric.AUROC
    least_gain: float = Field(default=0.25, ge=0, lt=1)
    margins: dict[Metric, float] = Field(default_factory=lambda: dict(_MARGINS))
    confidence: float = Field(default=0.95, ge=0.5, le=0.999)
    resamples: int = Field(default=2000, ge=200, le=100_000)
    seed: int = Field(default=0, ge=0)
    costs: ChallengeCosts = ChallengeCosts()
    frozen_share: float = Field(default=0.3, ge=0.1, le=0.9)
    threshold_share: float = Field(default=0.3, ge=0, le=0.9)
    synthetic_each: int = Field(default=2, ge=0, le=20)

    @field_validator("primary")
    @classmethod
    def _shown_by_confirmed_parts(cls, primary: Metric) -> Metric:
        if primary not in PRIMARY:
            msg = f"takes one of {', '.join(PRIMARY)}"
            raise ValueError(msg)
        return primary

    @field_validator("margins")
    @classmethod
    def _above_zero(cls, margins: dict[Metric, float]) -> dict[Metric, float]:
        wrong = [
            f"{name}: {margin:g}" for name, margin in margins.items() if not 0 < margin < 1 and name != Metric.COST
        ]
        wrong += [f"{name}: {margin:g}" for name, margin in margins.items() if name == Metric.COST and margin <= 0]
        if wrong:
            msg = f"takes margins above 0, and below 1 for shares; got {', '.join(wrong)}"
            raise ValueError(msg)
        return margins

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.primary in self.margins:
            msg = f"{self.primary} is the primary metric, which has to be better: give it no margin"
            raise ValueError(msg)
        if Metric.SYNTHETIC_ESCAPE in self.margins and not self.synthetic_each:
            msg = "a margin for synthetic_escape_rate takes synthetic_each of 1 or more"
            raise ValueError(msg)
        return self


def load_challenge(path: Path) -> ChallengeConfig:
    """Read a configuration such as ``configs/challenge.yaml``.

    Raises:
        ConfigError: Naming the file, the key and what is allowed.
    """
    try:
        return read_config(path, ChallengeConfig)
    except SynthError as error:
        raise ConfigError(str(error)) from error
