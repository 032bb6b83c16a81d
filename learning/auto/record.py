"""What a bundle keeps of how its detector was chosen."""

from pydantic import BaseModel, ConfigDict

METRIC = "image AUROC of held-out good parts against the same with a flaw, mean over the families left out"


class Judged(BaseModel):
    """How a candidate did.

    Attributes:
        detector: Its name.
        auroc: By ``METRIC``.
        low: Lower end of its 95 % interval, by drawing whole groups again.
        high: Upper end.
        by_family: AUROC of each family left out of which a flaw could be seen.
        steps: That it was trained for.
        seconds: That it was trained and judged for.
        weights: Where its starting weights came from, as in ``FitReport``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    detector: str
    auroc: float
    low: float
    high: float
    by_family: dict[str, float]
    steps: int
    seconds: float
    weights: str


class Choice(BaseModel):
    """Which detector was chosen, and why.

    Attributes:
        detector: The one that was trained in the end, with all families and all training parts.
        reason: In words.
        metric: What candidates were compared by.
        left_out: Flaw families that no candidate was trained on, and that judged.
        trained_groups: Independent groups of good parts that candidates were trained on.
        judged_groups: Independent groups of good parts that they were judged on.
        flaws: Flawed images that they were judged on.
        candidates: How each did, the best first; empty where there was nothing to compare by.
        passed_over: Candidates that were not tried, and why.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    detector: str
    reason: str
    metric: str = METRIC
    left_out: tuple[str, ...] = ()
    trained_groups: int = 0
    judged_groups: int = 0
    flaws: int = 0
    candidates: tuple[Judged, ...] = ()
    passed_over: dict[str, str] = {}

    def table(self) -> list[str]:
        """Candidates as the rows of a table in Markdown; nothing where none was tried."""
        if not self.candidates:
            return []
        rows = [
            f"| {one.detector} | {one.auroc:.3f} ({one.low:.3f} to {one.high:.3f}) | {one.steps} | {one.seconds:.0f} s "
            f"| {', '.join(f'{family} {value:.2f}' for family, value in one.by_family.items())} |"
            for one in self.candidates
        ]
        heading = "| candidate | AUROC (95 % interval) | steps | time | by family left out |"
        return [heading, "|---|---|---|---|---|", *rows]

    def lines(self) -> list[str]:
        """What a person at a terminal is told."""
        said = [f"auto chose {self.detector}: {self.reason}"]
        if self.candidates:
            others = ", ".join(
                f"{one.detector} {one.auroc:.3f} ({one.low:.3f} to {one.high:.3f})" for one in self.candidates
            )
            said.append(
                f"candidates, on {self.judged_groups} held-out groups of good parts and {self.flaws} flaws of families "
                f"that none was trained on ({', '.join(self.left_out)}): {others}"
            )
        return said + [f"{name} was not tried: it {why}" for name, why in self.passed_over.items()]
