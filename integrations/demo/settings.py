"""What a demo can be told."""

from pydantic import BaseModel, ConfigDict, Field


class DemoSettings(BaseModel):
    """A demo's line, training and questions; two runs in one folder must agree on them.

    Attributes:
        seed: Every random choice follows from it.
        minutes: Budget of the training, of all cameras together.
        steps: Train exactly this many steps for each camera instead.
        good: Good parts of each kind to learn from.
        stream: Parts in each of the two streams.
        defect_rate: Share of them that is defective.
        size: Side of the pictures in pixels.
        answers: Questions to the inspector, shared evenly by the cameras.
        max_false_reject: What the plant can bear; the threshold promises to stay below it.
        cost_escape: What a defective part that is let through costs, a good one that is rejected costing 1.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(default=0, ge=0)
    minutes: float = Field(default=5.0, gt=0)
    steps: int | None = Field(default=None, gt=0)
    good: int = Field(default=200, ge=5)
    stream: int = Field(default=180, ge=6)
    defect_rate: float = Field(default=0.3, gt=0, lt=1)
    size: int = Field(default=256, ge=64, le=1024)
    answers: int = Field(default=90, ge=1)
    max_false_reject: float = Field(default=0.05, gt=0, lt=1)
    cost_escape: float = Field(default=20.0, gt=0)
