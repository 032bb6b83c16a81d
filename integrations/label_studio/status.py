"""Where the asks are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from curation.by_hand import GOLD, SECOND_LOOK
from curation.second_looks import unsettled
from integrations.label_studio.client import server_errors, url_of

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

    from curation.ledger import Ledger


@dataclass(frozen=True)
class ReviewStatus:
    """Counts for ``flawsmith review status``.

    Attributes:
        waiting: Asks that have not been sent, gold items aside.
        open: Asks that were sent and have no verdict in the ledger, gold items aside.
        answered: Asks with a verdict in the ledger, gold items aside.
        good: Images that inspectors found good.
        defect: Images that inspectors found defective.
        unresolved: Images where inspectors disagree or are unsure.
        second_looks: Images among them that somebody is asked about again.
        left: Images among them for the data team: second looks did not settle them, or no model has scored them.
        gold: Gold items among the open asks.
        tasks: Tasks on the server; None where it was not asked.
        annotated: Tasks on the server with an answer or a skip.
    """

    waiting: int
    open: int
    answered: int
    good: int
    defect: int
    unresolved: int
    second_looks: int
    left: int
    gold: int
    tasks: int | None = None
    annotated: int | None = None


def review_status(ledger: Ledger, client: LabelStudio | None = None, project: int | None = None) -> ReviewStatus:
    """Count asks by state.

    Args:
        ledger: The truth.
        client: Asked too, if given.
        project: From ``ensure_project``.

    Raises:
        ServerError: If a server is given and fails.
    """
    asks = ledger.asks()
    open_asks = [ask for ask in asks if ask.state in ("created", "pushed")]
    states = [ask.state for ask in asks if ask.strategy != GOLD]
    found = [resolution.state for resolution in ledger.resolved()]
    tasks = annotated = None
    if client is not None and project is not None:
        with server_errors(url_of(client)):
            seen = client.projects.get(project)
            tasks, annotated = seen.task_number or 0, seen.num_tasks_with_annotations or 0
    return ReviewStatus(
        waiting=states.count("created"),
        open=states.count("pushed"),
        answered=states.count("answered"),
        good=found.count("good"),
        defect=found.count("defect"),
        unresolved=found.count("unresolved"),
        second_looks=sum(ask.strategy == SECOND_LOOK for ask in open_asks),
        left=len(unsettled(ledger).left),
        gold=sum(ask.strategy == GOLD for ask in open_asks),
        tasks=tasks,
        annotated=annotated,
    )
