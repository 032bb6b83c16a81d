"""Asks from the ledger become tasks in Label Studio, each exactly once."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from curation.by_hand import BY_HAND, GOLD, SECOND_LOOK
from integrations.errors import ServerError
from integrations.label_studio.client import ONCE, find_tasks, server_errors, url_of
from integrations.label_studio.masks import propose_regions, region
from integrations.label_studio.pictures import address, write_pictures
from integrations.label_studio.project import IMAGE, OVERLAY, check_task, ensure_storage, is_ours
from learning.errors import DataError
from learning.progress import Progress, silent

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

    from curation.ledger import AskRow, ImageRow, Ledger, ScoreRow

_AUDIT = "A random audit: asked about whatever its score."
_REASONS = {
    BY_HAND: "Somebody looking through the images chose this one.",
    "borderline": "Asked because the detector's score is close to its threshold.",
    "audit": _AUDIT,
    "random": _AUDIT,
    SECOND_LOOK: "A second look: the answers so far do not settle what this part is.",
    # As any other: who knows that he is tested is another inspector.
    GOLD: _AUDIT,
}


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
    chunk: int = 100,
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
        chunk: Tasks in one import.
        after_import: Called after each import, before the ledger knows of it.

    Raises:
        ServerError: If the server fails, or another push to the same folder is running.
    """
    report = PushReport()
    folder = ensure_storage(client, project, images_root)
    with _alone(folder), server_errors(url_of(client)):
        asks = _waiting(ledger, client, project)
        progress(0, len(asks), "looking for tasks that are there already")
        present = _reconcile(ledger, client, project, asks, report)
        missing = _mixed([ask for ask in asks if ask.ask_id not in present])
        builder = _TaskBuilder(ledger, missing, folder)
        for start in range(0, len(missing), chunk):
            part = missing[start : start + chunk]
            tasks = []
            sent: list[AskRow] = []
            for number, ask in enumerate(part, start):
                progress(number, len(missing), "sending images to Label Studio")
                try:
                    tasks.append(builder.task(ask))
                    sent.append(ask)
                except DataError as error:
                    report.unreadable.append(str(error))
            if not sent:
                continue
            ids = _import(client, project, tasks, [ask.ask_id for ask in sent])
            if after_import:
                after_import()
            ledger.mark_pushed([(ask.ask_id, project, ids[ask.ask_id]) for ask in sent])
            report.pushed += len(sent)
            report.restored += sum(ask.state == "pushed" for ask in sent)
        progress(len(missing), len(missing), "sending images to Label Studio")
    return report


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold a lock that ends with the process: of two pushes at once each could miss the other's tasks."""
    with (folder.parent / ".push.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            msg = f"another push to {folder.parent} is running; wait until it ends"
            raise ServerError(msg) from error
        yield


def _waiting(ledger: Ledger, client: LabelStudio, project: int) -> list[AskRow]:
    """Asks that should have a task in this project: new ones, its own, and those of projects that are gone."""
    pushed = ledger.asks("pushed")
    others = {ask.project_id for ask in pushed} - {project}
    alive = {other for other in others if other is not None and is_ours(client, int(other))}
    return [*ledger.asks("created"), *(ask for ask in pushed if ask.project_id not in alive)]


def _mixed(asks: Sequence[AskRow]) -> list[AskRow]:
    """Spread gold items evenly at random among the others, which keep their order."""
    others = [ask for ask in asks if ask.strategy != GOLD]
    places = {ask.ask_id: (number + 0.5) / len(others) for number, ask in enumerate(others)}
    # Ask ids are random.
    places |= {ask.ask_id: int(ask.ask_id[:8], 16) / 2**32 for ask in asks if ask.strategy == GOLD}
    return sorted(asks, key=lambda ask: places[ask.ask_id])


def _reconcile(
    ledger: Ledger, client: LabelStudio, project: int, asks: Sequence[AskRow], report: PushReport
) -> set[str]:
    """Write down tasks that the ledger does not know of, and delete second tasks of one ask."""
    found = find_tasks(client, project, [ask.ask_id for ask in asks])
    known = {ask.ask_id: ask.task_id for ask in asks if ask.project_id == project}
    adopted = []
    for ask_id, tasks in found.items():
        # Answered ones first: an answer is never deleted.
        best, *rest = sorted(tasks, key=lambda task: (not _answers(task), task.id))
        for task in rest:
            if not _answers(task):
                client.tasks.delete(task.id)
                report.doubles_removed += 1
        if known.get(ask_id) != best.id:
            adopted.append((ask_id, project, best.id))
    ledger.mark_pushed(adopted)
    report.adopted += len(adopted)
    return set(found)


def _answers(task: Any) -> int:
    return (task.total_annotations or 0) + (task.cancelled_annotations or 0)


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


class _TaskBuilder:
    """Looks up what a task shows; the ledger is read once for all of them."""

    def __init__(self, ledger: Ledger, asks: Sequence[AskRow], folder: Path) -> None:
        self.folder = folder
        self.images: dict[str, ImageRow] = {image.image_id: image for image in ledger.images()} if asks else {}
        self.scores: dict[tuple[str, str], ScoreRow] = {}
        for model_id in {ask.model_id for ask in asks}:
            self.scores |= {(model_id, score.image_id): score for score in ledger.scores(model_id=model_id)}

    def task(self, ask: AskRow) -> dict[str, Any]:
        """Write the pictures of an ask and describe its task.

        Raises:
            DataError: If the image or its map cannot be read.
        """
        image = self.images[ask.image_id]
        score = self.scores.get((ask.model_id, ask.image_id))
        map_path = Path(score.map_path) if score and score.map_path else None
        pictures = write_pictures(self.folder, ask.ask_id, Path(image.path), map_path)
        regions = propose_regions(pictures.anomaly_map) if pictures.anomaly_map is not None else []
        task: dict[str, Any] = {
            "data": {
                "external_id": ask.ask_id,
                "image_id": ask.image_id,
                "part": str(image.part),
                "why": why(ask.reason),
                IMAGE: address(pictures.image),
                OVERLAY: address(pictures.overlay),
            }
        }
        if regions:
            result = [region(mask, f"{ask.ask_id[:12]}-{number}") for number, mask in enumerate(regions)]
            task["predictions"] = [{"model_version": f"map {ask.model_id[:12]}", "result": result}]
        check_task(task)
        return task


def why(reason: str) -> str:
    """Say to an inspector why an image is asked about, without a hint at the answer."""
    return _REASONS.get(reason, f"Asked because: {reason}.")
