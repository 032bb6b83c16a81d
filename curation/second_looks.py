"""Images on which inspectors disagree or are unsure go out again, until the answers settle them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from curation.by_hand import GOLD, SECOND_LOOK

if TYPE_CHECKING:
    from curation.ledger import AskEntry, AskRow, Ledger

MOST_LOOKS = 3
"""After as many second looks without a majority an image is left to the data team."""


@dataclass(frozen=True)
class Unsettled:
    """Images about which the answers so far do not decide.

    Attributes:
        due: The second looks that it takes, not yet in the ledger.
        waiting: Images about which somebody is asked already, or not all of the inspectors have answered yet.
        left: Images that ``MOST_LOOKS`` second looks did not settle, or that no model has scored: for the data team.
    """

    due: tuple[AskEntry, ...]
    waiting: tuple[str, ...]
    left: tuple[str, ...]


def unsettled(ledger: Ledger, inspectors: int = 1) -> Unsettled:
    """Look through the images that are unresolved.

    Args:
        ledger: With verdicts.
        inspectors: How many answer each task; an image waits until they all have.
    """
    from curation.ledger import AskEntry

    found = [one for one in ledger.resolved() if one.state == "unresolved"]
    if not found:
        return Unsettled((), (), ())
    asks: dict[str, list[AskRow]] = {}
    for ask in ledger.asks():
        asks.setdefault(ask.image_id, []).append(ask)
    scores = {score.image_id: score for score in ledger.scores()}
    due, waiting, left = [], [], []
    for one in found:
        before = asks.get(one.image_id, [])
        real = [ask for ask in before if ask.strategy != GOLD]
        answers = {v.inspector for v in one.verdicts if real and v.ask_id == real[-1].ask_id}
        shown = real[-1] if real else scores.get(one.image_id)
        # An image has one open ask at a time, be it as a gold item.
        if any(ask.state in ("created", "pushed") for ask in before) or 0 < len(answers) < inspectors:
            waiting.append(one.image_id)
        elif shown is None or sum(ask.strategy == SECOND_LOOK for ask in real) >= MOST_LOOKS:
            left.append(one.image_id)
        else:
            # What chose the image is its first ask: its probability stays.
            chance = one.inclusion_probability or 1.0
            model = (shown.model_id, shown.threshold_version)
            due.append(AskEntry(one.image_id, SECOND_LOOK, chance, SECOND_LOOK, *model))
    return Unsettled(tuple(due), tuple(waiting), tuple(left))


def open_second_looks(ledger: Ledger, inspectors: int = 1) -> int:
    """Ask again about every image that is not settled; repeated, it asks nothing twice.

    Returns:
        How many images inspectors are now asked about again.
    """
    due = unsettled(ledger, inspectors).due
    if due:
        ledger.create_asks(due)
    return len(due)


def chosen_first(asks: Iterable[AskRow]) -> dict[str, AskRow]:
    """What chose the image of each ask: of a second look the first ask about it, else the ask itself.

    Args:
        asks: All of the ledger, in the order they were made.

    Returns:
        By ask id.
    """
    first: dict[str, AskRow] = {}
    found = {}
    for ask in asks:
        if ask.strategy not in (SECOND_LOOK, GOLD):
            first.setdefault(ask.image_id, ask)
        found[ask.ask_id] = first.get(ask.image_id, ask) if ask.strategy == SECOND_LOOK else ask
    return found
