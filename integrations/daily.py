"""How much inspectors are asked in a day: kept by what is open, as Label Studio Community assigns tasks to nobody."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from curation.by_hand import MARKED

if TYPE_CHECKING:
    from curation.ledger import Ledger


@dataclass(frozen=True)
class DailyBudget:
    """What inspectors can answer in a day.

    Attributes:
        each: Answers of one inspector.
        inspectors: How many of them there are.
    """

    each: int
    inspectors: int = 1

    def left(self, answered: Mapping[str, int]) -> int:
        """Questions that may be open now: what all inspectors together may still answer today.

        Nobody can be kept from answering what was meant for another; it is the sum that is kept.

        Args:
            answered: Answers of today by inspector.
        """
        return max(0, self.each * self.inspectors - sum(answered.values()))


def answers_of_the_day(ledger: "Ledger", now: datetime) -> dict[str, int]:
    """Questions that each inspector has answered on the calendar day of ``now``, in this machine's time zone.

    An answer that was edited counts once; a skip is no answer; what was said without a question does not count.
    """
    today = now.astimezone().date()
    answered = {
        (verdict.inspector, verdict.ask_id)
        for verdict in ledger.verdicts()
        if verdict.ask_id is not None
        and verdict.verdict not in ("skipped", "withdrawn")
        and verdict.source != MARKED
        and verdict.at.astimezone().date() == today
    }
    return dict(Counter(inspector for inspector, _ in answered))
