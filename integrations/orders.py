"""A challenger that is ordered, and when it is due: what the command line, and a schedule, carry out alike."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from integrations.succession import say_nothing
from learning.progress import Progress, silent
from learning.starts import Start

if TYPE_CHECKING:
    from curation.ledger import ChallengeRow, Ledger
    from curation.triggers import Due
    from integrations.succession import Outcome
    from learning.challenge import ChallengeConfig


class Order(BaseModel):
    """What ``flawsmith retrain challenger`` is to do; it can be written as JSON and read again.

    Attributes:
        data: Good parts, as for training.
        ledger: With verdicts.
        home: Where challengers are kept.
        bundle: The bundle that decides, where no champion was appointed yet.
        rules: What the challenger has to show, a YAML file; None for the defaults.
        config: Of the training, a YAML file; None for the champion's.
        start: Which weights it begins with; None as the rules say.
        minutes: Of the training.
        steps: Instead of minutes.
        if_new: Due only if so many images are newly confirmed; 0 asks for none.
        if_drift: Due only after a drift alarm; with ``if_new`` either will do.
        promote: False to judge only.
        groups: Which images belong together, as for training.
        camera: Whose model; empty for all.
        seed: Of the training.
        device: ``cpu`` or ``cuda``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: Path
    ledger: str
    home: Path
    bundle: Path | None = None
    rules: Path | None = None
    config: Path | None = None
    start: Start | None = None
    minutes: float = Field(default=10.0, gt=0)
    steps: int | None = Field(default=None, ge=1)
    if_new: int = Field(default=0, ge=0)
    if_drift: bool = False
    promote: bool = True
    groups: str | None = None
    camera: str = ""
    seed: int = Field(default=0, ge=0)
    device: str = "cpu"

    @property
    def conditional(self) -> bool:
        """Whether it is due only under a condition."""
        return bool(self.if_new or self.if_drift)


def is_due(order: Order, progress: Progress = silent) -> "Due":
    """Say whether a challenger is due. One that won and was not promoted, as its run was ended before, always is.

    Raises:
        UserError: If the ledger cannot be read, or files are no rules.
    """
    from curation.ledger import Ledger
    from curation.triggers import challenger_due

    with Ledger.open(order.ledger) as ledger:
        due = challenger_due(ledger, order.camera, if_new=order.if_new, if_drift=order.if_drift, progress=progress)
        winner = _unfinished(ledger, order, _rules(order))
    if winner is None:
        return due
    text = f"challenger {winner.challenger_id} has won and was not promoted, as a run was ended before it could be"
    return replace(due, due=True, text=text)


def _unfinished(ledger: "Ledger", order: Order, rules: "ChallengeConfig") -> "ChallengeRow | None":
    """The judgement whose challenger an order promotes before anything else is trained.

    An order without a condition trains on all that is confirmed by now; where nothing is new, that finds the challenger
    again that is there.
    """
    from integrations.succession import waiting_winner

    return waiting_winner(ledger, rules, order.camera) if order.conditional and order.promote else None


def _rules(order: Order) -> "ChallengeConfig":
    from learning.challenge import ChallengeConfig, load_challenge

    rules = load_challenge(order.rules) if order.rules else ChallengeConfig()
    return rules.model_copy(update={"start": order.start}) if order.start else rules


def carry_out(order: Order, progress: Progress = silent, tell: Callable[[str], None] = say_nothing) -> "Outcome":
    """Train, judge and promote as ordered, due or not. Killed at any moment, the same order goes on from where it was.

    Under a condition, a challenger that won and was not promoted is promoted first, and what is new since is left to
    the next order.

    Raises:
        UserError: As ``integrations.succession.challenge``, and for files that are no rules or no configuration.
    """
    from curation.ledger import Ledger
    from integrations.challengers import Options
    from integrations.succession import challenge
    from learning.config import load_config
    from learning.detectors import Budget

    rules = _rules(order)
    budget = Budget(steps=order.steps) if order.steps else Budget(minutes=order.minutes)
    config = load_config(order.config) if order.config else None
    options = Options(budget, config, order.seed, order.device, order.groups)
    with Ledger.open(order.ledger) as ledger:
        return challenge(
            ledger,
            order.data,
            order.home,
            options,
            rules,
            camera=order.camera,
            champion=order.bundle,
            promote=order.promote,
            winner=_unfinished(ledger, order, rules),
            progress=progress,
            tell=tell,
        )
