"""Asks from the ledger become tasks in Label Studio, each exactly once."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from curation.by_hand import BY_HAND, GOLD
from integrations.errors import ServerError
from integrations.label_studio.client import ONCE, find_tasks, server_errors, url_of
from integrations.label_studio.gallery import Gallery, LocalFiles, SignedPictures
from integrations.label_studio.page import IMAGE, TASK_KEYS
from integrations.label_studio.project import ensure_storage, is_ours, predictions_of
from integrations.label_studio.tasks import TaskBuilder
from learning.errors import DataError
from learning.progress import Progress, silent

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

    from curation.ledger import AskRow, Ledger

_WORKERS = 2
"""Threads that make pictures; most of it is compiled code that lets others run."""


@dataclass
class PushReport:
    """What a push did.

    Attributes:
        pushed: Asks that became tasks now.
        adopted: Asks whose task was there already, from a push that was cut short.
        restored: Asks among ``pushed`` that had been pushed before and whose task was gone.
        doubles_removed: Second tasks of one ask, unanswered, that were deleted.
        unreadable: Images that cannot be shown, each with the reason; their asks stay as they are.
    """

    pushed: int = 0
    adopted: int = 0
    restored: int = 0
    doubles_removed: int = 0
    unreadable: list[str] = field(default_factory=list)


def push(
    ledger: Ledger,
    client: LabelStudio,
    project: int,
    images_root: Path,
    progress: Progress = silent,
    *,
    signed: SignedPictures | None = None,
    chunk: int = 200,
    after_import: Callable[[], None] | None = None,
) -> PushReport:
    """Send every open ask that has no task yet.

    The server is asked first which asks have a task, because a push can have been killed between the import and the
    ledger, and Label Studio removes no doubles. Killed at any moment and run again, every ask has exactly one task.
    Asks whose task was deleted, or went with a deleted project, are sent again as long as they are unanswered.

    Args:
        ledger: Where asks come from, and where their tasks are written down.
        client: The connection.
        project: From ``ensure_project``.
        images_root: The server's folder for local files; pictures are written below it.
        progress: Told the number of tasks.
        signed: Show pictures by signed addresses, instead of by the server itself.
        chunk: Tasks in one import.
        after_import: Called after each import, before the ledger knows of it.

    Raises:
        ServerError: If the server fails, or another push to the same folder is running.
    """
    report = PushReport()
    gallery: Gallery = signed or LocalFiles(ensure_storage(client, project, images_root))
    with _alone(images_root), server_errors(url_of(client)):
        asks = _waiting(ledger, client, project)
        progress(0, len(asks), "looking for tasks that are there already")
        present = _reconcile(ledger, client, project, asks, report)
        predictions = predictions_of(client, project, ledger)
        _renew(ledger, client, asks, present, gallery, predictions)
        missing = _mixed([ask for ask in asks if ask.ask_id not in present])
        builder = TaskBuilder(ledger, missing, gallery, predictions)
        batches = _made(builder, missing, chunk, report, progress)
        # While the server takes in one batch, the pictures of the next are made.
        for sent, ids in _imported(client, project, batches):
            if after_import:
                after_import()
            ledger.mark_pushed([(ask.ask_id, project, ids[ask.ask_id]) for ask in sent])
            report.pushed += len(sent)
            report.restored += sum(ask.state == "pushed" for ask in sent)
        progress(len(missing), len(missing), "sending images to Label Studio")
    return report


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Hold a lock that ends with the process: of two pushes at once each could miss the other's tasks."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".push.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            msg = f"another push to {root} is running; wait until it ends"
            raise ServerError(msg) from error
        yield


def _waiting(ledger: Ledger, client: LabelStudio, project: int) -> list[AskRow]:
    """Asks that should have a task in this project: new ones, its own, and those of projects that are gone."""
    pushed = ledger.asks("pushed")
    others = {ask.project_id for ask in pushed} - {project}
    alive = {other for other in others if other is not None and is_ours(client, int(other))}
    asks = [*ledger.asks("created"), *(ask for ask in pushed if ask.project_id not in alive)]
    # What people chose or sent back comes first: Label Studio shows tasks in the order in which they were made.
    return sorted(asks, key=lambda ask: ask.strategy != BY_HAND)


def _mixed(asks: Sequence[AskRow]) -> list[AskRow]:
    """Take models in turn, so that who stops early has answered about parts of all cameras.

    Those of one model keep their order; what people chose or sent back stays first. Gold items lie at random.
    """
    places: dict[str, float] = {}
    others = [ask for ask in asks if ask.strategy not in (GOLD, BY_HAND)]
    for model in {ask.model_id for ask in others}:
        own = [ask.ask_id for ask in others if ask.model_id == model]
        places |= {ask_id: (number + 0.5) / len(own) for number, ask_id in enumerate(own)}
    # Ask ids are random.
    places |= {ask.ask_id: int(ask.ask_id[:8], 16) / 2**32 for ask in asks if ask.strategy == GOLD}
    return sorted(asks, key=lambda ask: places.get(ask.ask_id, 0.0))


def _reconcile(
    ledger: Ledger, client: LabelStudio, project: int, asks: Sequence[AskRow], report: PushReport
) -> dict[str, Any]:
    """Write down tasks that the ledger does not know of, and delete second tasks of one ask.

    Returns:
        The task of each ask that has one.
    """
    found = find_tasks(client, project, [ask.ask_id for ask in asks])
    kept = {}
    known = {ask.ask_id: ask.task_id for ask in asks if ask.project_id == project}
    adopted = []
    for ask_id, tasks in found.items():
        # Answered ones first: an answer is never deleted.
        best, *rest = sorted(tasks, key=lambda task: (not _answers(task), task.id))
        for task in rest:
            if not _answers(task):
                client.tasks.delete(task.id)
                report.doubles_removed += 1
        kept[ask_id] = best
        if known.get(ask_id) != best.id:
            adopted.append((ask_id, project, best.id))
    ledger.mark_pushed(adopted)
    report.adopted += len(adopted)
    return kept


def _renew(
    ledger: Ledger,
    client: LabelStudio,
    asks: Sequence[AskRow],
    present: dict[str, Any],
    gallery: Gallery,
    predictions: str,
) -> None:
    """Bring unanswered tasks up to what the page shows now: of an older version, or with addresses that do not hold."""
    current = {
        key
        for key, task in present.items()
        if _answers(task) or (set(TASK_KEYS) <= task.data.keys() and gallery.holds(task.data[IMAGE]))
    }
    outdated = [ask for ask in asks if ask.ask_id in present.keys() - current]
    builder = TaskBuilder(ledger, outdated, gallery, predictions)
    for ask in outdated:
        try:
            data = builder.task(ask)["data"]
        except DataError:
            continue  # it stays as it was sent
        client.tasks.update(str(present[ask.ask_id].id), data=data, request_options=ONCE)


def _answers(task: Any) -> int:
    return (task.total_annotations or 0) + (task.cancelled_annotations or 0)


_Batch = tuple[list["AskRow"], list[dict[str, Any]]]


def _made(
    builder: TaskBuilder, asks: Sequence[AskRow], chunk: int, report: PushReport, progress: Progress
) -> Iterator[_Batch]:
    """Asks and their tasks, in batches; what cannot be shown goes to the report."""

    def make(ask: AskRow) -> dict[str, Any] | str:
        try:
            return builder.task(ask)
        except DataError as error:
            return str(error)

    with ThreadPoolExecutor(_WORKERS) as workers:
        for start in range(0, len(asks), chunk):
            progress(start, len(asks), "sending images to Label Studio")
            part = asks[start : start + chunk]
            made = list(zip(part, workers.map(make, part), strict=True))
            report.unreadable += [task for _, task in made if isinstance(task, str)]
            shown = [(ask, task) for ask, task in made if not isinstance(task, str)]
            if shown:
                yield [ask for ask, _ in shown], [task for _, task in shown]


def _imported(
    client: LabelStudio, project: int, batches: Iterator[_Batch]
) -> Iterator[tuple[list[AskRow], dict[str, int]]]:
    """Import batches one after the other, each while the next is being made; asks and their task ids."""
    with ThreadPoolExecutor(1) as sender:
        waiting: tuple[list[AskRow], Future[dict[str, int]]] | None = None
        for asks, tasks in batches:
            if waiting:
                yield waiting[0], waiting[1].result()
            waiting = asks, sender.submit(_import, client, project, tasks, [ask.ask_id for ask in asks])
        if waiting:
            yield waiting[0], waiting[1].result()


def _import(client: LabelStudio, project: int, tasks: list[dict[str, Any]], ask_ids: list[str]) -> dict[str, int]:
    """Import without retries; where the answer was lost, ask the server what arrived.

    Returns:
        Task ids by ask id.
    """
    try:
        projects: Any = client.projects  # its types know neither plain data nor the ids that come back
        response = projects.import_tasks(project, request=tasks, return_task_ids=True, request_options=ONCE)
        ids: list[int] = list(response.task_ids or [])
    except (httpx.ReadTimeout, httpx.RemoteProtocolError):
        ids = []
    if len(ids) == len(ask_ids):
        return dict(zip(ask_ids, ids, strict=True))
    arrived = {ask_id: found[0].id for ask_id, found in find_tasks(client, project, ask_ids).items()}
    if len(arrived) < len(ask_ids):
        msg = (
            f"Label Studio at {url_of(client)} did not confirm an import of {len(ask_ids)} images; "
            "run the same command again: nothing is lost and nothing is doubled"
        )
        raise ServerError(msg)
    return arrived
