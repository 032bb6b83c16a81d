"""What a simulated month can be told."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from learning.challenge import ChallengeConfig, Metric
from synth.parts import Month

DAYS_OF_A_WEEK = 7

RULES = ChallengeConfig(
    margins={Metric.ESCAPE: 0.2, Metric.FALSE_REJECT: 0.1, Metric.SYNTHETIC_ESCAPE: 0.2},
    frozen_share=0.5,
    synthetic_each=1,
)
"""Of its challengers: wider margins and a larger share to judge by than by default, as weeks of one line have few
defects."""


class MonthSettings(BaseModel):
    """A month's line, training and questions; two runs in one folder must agree on them.

    Attributes:
        demo: What it is, as other demos are kept in such folders too.
        seed: Every random choice follows from it.
        days: How many there are.
        kind: Kind of the parts.
        good: Good parts to learn from before the first day.
        parts: Parts of a day.
        defect_rates: Lowest and highest share of them that is defective.
        drift_day: From this day on the light is another.
        new_defect: Kind of defect that is not seen before ``new_day``.
        new_day: From this day on half of the defective parts have it.
        size: Side of the pictures in pixels.
        steps: Of each training.
        questions: In a day; two inspectors answer each, and a third one where they disagree.
        reading_error: Share of the answers that are wrong.
        new_verdicts: A challenger is trained at the end of a week if so many images are newly confirmed, or at a drift
            alarm.
        max_false_reject: What the plant can bear; all thresholds promise to stay below it, the first one too.
        cost_escape: What a defective part that is let through costs, a good one that is rejected costing 1.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    demo: Literal["month"] = "month"
    seed: int = Field(default=0, ge=0)
    days: int = Field(default=28, ge=1, le=99)
    kind: str = "label"
    good: int = Field(default=200, ge=5)
    parts: int = Field(default=150, ge=4)
    defect_rates: tuple[float, float] = (0.02, 0.04)
    drift_day: int = Field(default=10, ge=1)
    new_defect: str = "wrinkle"
    new_day: int = Field(default=15, ge=1)
    size: int = Field(default=128, ge=64, le=1024)
    steps: int = Field(default=250, ge=1)
    questions: int = Field(default=75, ge=1)
    reading_error: float = Field(default=0.05, ge=0, lt=0.5)
    new_verdicts: int = Field(default=30, ge=1)
    max_false_reject: float = Field(default=0.05, gt=0, lt=1)
    cost_escape: float = Field(default=20.0, gt=0)

    def line(self) -> Month:
        """What comes off the line."""
        return Month(
            kind=self.kind,
            before=self.good,
            parts=self.parts,
            defect_rates=self.defect_rates,
            drift_day=self.drift_day,
            new_defect=self.new_defect,
            new_day=self.new_day,
            seed=self.seed,
            size=self.size,
        )
