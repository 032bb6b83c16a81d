"""Verdicts come back from Label Studio into the ledger, each revision exactly once."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from integrations.label_studio.client import list_tasks, server_errors, url_of
from integrations.label_studio.masks import mask_of
from integrations.label_studio.page import (
    DEFECT_CLASS,
    HOTKEYS,
    KNOWN_CLASS,
    SEVERITY,
    SEVERITY_HOTKEYS,
    VERDICT,
)
from integrations.label_studio.project import project_key
from learning.progress import Progress, silent
from learning.whole import whole

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

    from curation.ledger import AskRow, Ledger, Severity, Verdict, VerdictEntry

OVERLAP = timedelta(seconds=30)
"""Read again before the cursor: tasks can share a time stamp, and a slow write can land with an earlier one."""

_AT_ONCE = 200
"""Verdicts in one transaction: each one waits for the disk."""

DELETED = "deleted"
"""Revision of the withdrawal that a deleted annotation becomes."""

_AHEAD = timedelta(microseconds=1)
_UNREAD = "{}:unread"
"""Cursor of the number of answers that a pull of everything leaves where they are: they name no verdict, or no ask."""

_FIELDS = "id,data,updated_at,annotations,result,completed_by,was_cancelled"


@dataclass
class PullReport:
    """What a pull found.

    Attributes:
        new: Annotations that the ledger had not seen.
        changed: New revisions of annotations that it had.
        withdrawn: Annotations that were deleted.
        skipped: How many of ``new`` and ``changed`` were skips.
        without_verdict: Tasks with an annotation that names no verdict, once for each; not recorded.
        foreign: Tasks that show no ask of this ledger.
        tasks: Tasks that were looked at.
        unreadable: Outlines that cannot be read, each with the reason; their verdicts are recorded without.
    """

    new: int = 0
    changed: int = 0
    withdrawn: int = 0
    skipped: int = 0
    without_verdict: list[int] = field(default_factory=list)
    foreign: int = 0
    tasks: int = 0
    unreadable: list[str] = field(default_factory=list)


def pull(
    ledger: Ledger,
    client: LabelStudio,
    project: int,
    masks_folder: Path,
    progress: Progress = silent,
    *,
    everything: bool = False,
    page_size: int = 200,
) -> PullReport:
    """Fetch what inspectors said since the last pull.

    Every annotation becomes a verdict with its inspector and revision; an edit is a new revision, a deleted one a
    withdrawal, a skip a verdict ``skipped``. Masks are kept only with the verdict ``defect``: Label Studio copies
    proposed regions into every answer. Killed at any moment and run again, nothing is lost and nothing is doubled.

    Clocks may be set back: what has an earlier time than what is known already is read all the same.

    Args:
        ledger: Where verdicts go; it keeps the cursor.
        client: The connection.
        project: From ``ensure_project``.
        masks_folder: Where masks are written, one PNG for each revision, 0 and 255.
        progress: Told the number of tasks.
        everything: Read all tasks, not only those changed since the last pull.
        page_size: Tasks in one request; the cursor moves after all of them.

    Raises:
        ServerError: If the server fails or the project is gone.
    """
    report = PullReport()
    source = project_key(client, project)
    cursor = None if everything else _time(ledger.cursor(source))
    left = int(ledger.cursor(_UNREAD.format(source)) or 0)
    asks = {ask.ask_id: ask for ask in ledger.asks()}
    # Before the tasks: what another pull records from now on would look deleted in tasks that were read earlier.
    known = _known(ledger, source)
    now = datetime.now(UTC)
    if cursor is not None and cursor > now:
        cursor = None  # this computer's clock was set back, and with it most likely the server's
    with server_errors(url_of(client)):
        # Before the tasks, too: what comes in meanwhile is no reason to read everything.
        there = _answers(client, project)
        reading = _Reading(ledger, client, source, asks, known, masks_folder, report, progress, page_size)
        newest = reading.read(project, cursor)
        unread = there - _standing(known)
        if cursor is not None and unread > left:
            # The server's clock was set back: what it has taken in since lies before the cursor.
            report.tasks = report.foreign = 0
            report.without_verdict.clear()
            newest = reading.read(project, None)
            cursor, unread = None, there - _standing(known)
    if cursor is None and unread != left:
        ledger.set_cursor(_UNREAD.format(source), str(unread))
    newest = newest and min(newest, now)
    if newest is not None and newest != cursor:
        ledger.set_cursor(source, newest.isoformat())
    return report


def _answers(client: LabelStudio, project: int) -> int:
    """How many annotations a project has, skips with them."""
    found = client.projects.get(project)
    return (found.total_annotations_number or 0) + (found.skipped_annotations_number or 0)


_Said = dict[str, dict[str, tuple[str, datetime]]]
"""What is known of an ask: by annotation id and revision, who said it and when."""


def _known(ledger: Ledger, source: str) -> dict[str, _Said]:
    """What the ledger has of each ask."""
    known: dict[str, _Said] = {}
    for verdict in ledger.verdicts():
        if verdict.source == source and verdict.ask_id is not None:
            revisions = known.setdefault(verdict.ask_id, {}).setdefault(verdict.external_id, {})
            revisions[verdict.revision] = verdict.inspector, verdict.at
    return known


def _standing(known: Mapping[str, _Said]) -> int:
    """Annotations that were recorded and not deleted since."""
    return sum(DELETED not in revisions for said in known.values() for revisions in said.values())


@dataclass
class _Reading:
    """Tasks as they are read; what they say goes to the ledger, and from then on is known."""

    ledger: Ledger
    client: LabelStudio
    source: str
    asks: Mapping[str, AskRow]
    known: dict[str, _Said]
    masks_folder: Path
    report: PullReport
    progress: Progress
    page_size: int

    def __post_init__(self) -> None:
        self._inspectors = {user.id: user.email or "" for user in self.client.users.list()}

    def read(self, project: int, cursor: datetime | None) -> datetime | None:
        """Read what was changed since a time, or everything.

        Returns:
            The time of the latest change that was seen; the cursor where there was none.
        """
        newest = cursor
        entries: list[VerdictEntry] = []
        for task in list_tasks(self.client, project, _FIELDS, _since(cursor), self.page_size):
            self.report.tasks += 1
            total = max(self.report.tasks, len(self.asks))
            self.progress(self.report.tasks, total, "reading verdicts from Label Studio")
            ask = self.asks.get(task.data.get("external_id", ""))
            if ask is None:
                self.report.foreign += 1
            else:
                reader = _TaskReader(self.source, ask, self._inspectors, self.masks_folder, self.report.unreadable)
                known = self.known.setdefault(ask.ask_id, {})
                entries += _new_entries(reader, task, known, self.report, partial(_now_there, self.client))
            if task.updated_at and (newest is None or task.updated_at > newest):
                newest = task.updated_at
            if len(entries) >= _AT_ONCE:
                self.ledger.record_verdicts(entries)
                entries = []
        if entries:
            self.ledger.record_verdicts(entries)
        return newest


def _now_there(client: LabelStudio, annotation_id: str) -> datetime | None:
    """When an annotation was last changed; None where it is deleted."""
    from label_studio_sdk.core.api_error import ApiError

    try:
        return client.annotations.get(int(annotation_id)).updated_at
    except ApiError as error:
        if error.status_code == 404:
            return None
        raise


def _new_entries(
    reader: _TaskReader,
    task: Any,
    known: _Said,
    report: PullReport,
    now_there: Callable[[str], datetime | None],
) -> list[VerdictEntry]:
    """What a task says that is not known yet; from now on it is."""
    annotations = {str(annotation["id"]): annotation for annotation in task.annotations or []}
    fresh = [a for key, a in annotations.items() if _revision(a) not in known.get(key, {})]
    entries, times = [], {}
    for annotation in fresh:
        entry = reader.verdict(annotation)
        if entry is None:
            report.without_verdict.append(task.id)
            continue
        at = _time(entry.revision) or datetime.now(UTC)
        latest = max((when for _, when in known.get(entry.external_id, {}).values()), default=None)
        if latest is not None and at <= latest and now_there(entry.external_id) == at:
            # It is what stands there now, and no older reading that another pull was quicker than: the clock was set
            # back, and the order of what was said is not to follow it.
            at = latest + _AHEAD
            entry = replace(entry, at=at)
        times[entry.external_id, entry.revision] = at
        entries.append(entry)
        report.skipped += entry.verdict == "skipped"
        if entry.external_id in known:
            report.changed += 1
        else:
            report.new += 1
    for key, revisions in known.items():
        # Of two tasks of one ask each has annotations of its own.
        if key not in annotations and DELETED not in revisions and now_there(key) is None:
            inspector, _ = next(iter(revisions.values()))
            entries.append(reader.withdrawal(key, inspector, task.updated_at))
            report.withdrawn += 1
    for entry in entries:
        # A task that is changed while the pull turns the pages can come twice.
        at = times.get((entry.external_id, entry.revision), datetime.now(UTC))
        known.setdefault(entry.external_id, {})[entry.revision] = entry.inspector, at
    return entries


@dataclass(frozen=True)
class _TaskReader:
    source: str
    ask: AskRow
    inspectors: Mapping[int, str]
    masks_folder: Path
    unreadable: list[str]

    def verdict(self, annotation: dict[str, Any]) -> VerdictEntry | None:
        """What an annotation says; None where it names no verdict."""
        results: Sequence[dict[str, Any]] = annotation.get("result") or []
        said = cast("Verdict | None", _choice(results, VERDICT, HOTKEYS))
        if annotation.get("was_cancelled"):
            said = "skipped"
        if said is None:
            return None
        user = annotation.get("completed_by")
        user_id = user.get("id") if isinstance(user, dict) else user
        inspector = self.inspectors.get(user_id or 0) or f"user {user_id}"
        at = _time(_revision(annotation)) or datetime.now(UTC)
        entry = self._entry(str(annotation["id"]), _revision(annotation), inspector, said, at)
        if said != "defect":
            return entry
        return replace(
            entry,
            regions_mask=self._write_mask(annotation, results),
            defect_class=_text(results) or _choice(results, KNOWN_CLASS),
            severity=cast("Severity | None", _choice(results, SEVERITY, SEVERITY_HOTKEYS)),
        )

    def withdrawal(self, annotation_id: str, inspector: str, at: datetime | None) -> VerdictEntry:
        """What a deleted annotation becomes."""
        return self._entry(annotation_id, DELETED, inspector, "withdrawn", at or datetime.now(UTC))

    def _entry(self, annotation_id: str, revision: str, inspector: str, verdict: Verdict, at: datetime) -> VerdictEntry:
        from curation.ledger import VerdictEntry

        return VerdictEntry(
            ask_id=self.ask.ask_id,
            image_id=self.ask.image_id,
            inspector=inspector,
            verdict=verdict,
            at=at,
            source=self.source,
            external_id=annotation_id,
            revision=revision,
        )

    def _write_mask(self, annotation: dict[str, Any], results: Iterable[dict[str, Any]]) -> Path | None:
        """Write a mask before its verdict: killed in between, the next pull writes the same file again."""
        from PIL import Image

        try:
            mask = mask_of(results)
        except (ValueError, KeyError, TypeError) as error:
            # What was said counts, whatever became of where it is.
            self.unreadable.append(f"annotation {annotation['id']} of ask {self.ask.ask_id}: {error}")
            return None
        if mask is None:
            return None
        revision = re.sub(r"\D", "", _revision(annotation))
        path = self.masks_folder.resolve() / f"{self.ask.ask_id}-{annotation['id']}-{revision}.png"
        # Of two pulls at once each has a file of its own.
        with whole(path) as fresh:
            Image.fromarray(mask.astype("uint8") * 255).save(fresh, format="PNG")
        return path


def _choice(results: Iterable[dict[str, Any]], name: str, known: Container[str] | None = None) -> str | None:
    """What was chosen, among what is known."""
    for result in results:
        if result.get("from_name") == name:
            for choice in result["value"].get("choices", []):
                if known is None or choice in known:
                    return str(choice)
    return None


def _text(results: Iterable[dict[str, Any]]) -> str | None:
    for result in results:
        if result.get("from_name") == DEFECT_CLASS:
            text = result["value"].get("text") or []
            joined = " ".join([text] if isinstance(text, str) else text).strip()
            return joined or None
    return None


def _revision(annotation: dict[str, Any]) -> str:
    return str(annotation["updated_at"])


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _since(cursor: datetime | None) -> list[dict[str, Any]]:
    if cursor is None:
        return []
    value = (cursor - OVERLAP).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return [{"filter": "filter:tasks:updated_at", "operator": "greater", "type": "Datetime", "value": value}]
