"""Verdicts come back from Label Studio into the ledger, each revision exactly once."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
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

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

    from curation.ledger import AskRow, Ledger, Severity, Verdict, VerdictEntry

OVERLAP = timedelta(seconds=30)
"""Read again before the cursor: tasks can share a time stamp, and a slow write can land with an earlier one."""

_AT_ONCE = 200
"""Verdicts in one transaction: each one waits for the disk."""

DELETED = "deleted"
"""Revision of the withdrawal that a deleted annotation becomes."""

_Revisions = dict[str, dict[str, str]]
"""Inspector by revision by annotation id."""

_FIELDS = "id,data,updated_at,annotations,result,completed_by,was_cancelled"


@dataclass
class PullReport:
    """What a pull found.

    Attributes:
        new: Annotations that the ledger had not seen.
        changed: New revisions of annotations that it had.
        withdrawn: Annotations that were deleted.
        skipped: How many of ``new`` and ``changed`` were skips.
        without_verdict: Annotations that name no verdict; not recorded.
        foreign: Tasks that show no ask of this ledger.
        tasks: Tasks that were looked at.
        unreadable: Outlines that cannot be read, each with the reason; their verdicts are recorded without.
    """

    new: int = 0
    changed: int = 0
    withdrawn: int = 0
    skipped: int = 0
    without_verdict: int = 0
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
    asks = {ask.ask_id: ask for ask in ledger.asks()}
    # Before the tasks: what another pull records from now on would look deleted in tasks that were read earlier.
    known = _known(ledger, source)
    with server_errors(url_of(client)):
        inspectors = {user.id: user.email for user in client.users.list()}
        newest = cursor
        entries: list[VerdictEntry] = []
        for task in list_tasks(client, project, _FIELDS, _since(cursor), page_size):
            report.tasks += 1
            progress(report.tasks, max(report.tasks, len(asks)), "reading verdicts from Label Studio")
            ask = asks.get(task.data.get("external_id", ""))
            if ask is None:
                report.foreign += 1
            else:
                reader = _TaskReader(source, ask, inspectors, masks_folder, report.unreadable)
                entries += _new_entries(reader, task, known.setdefault(ask.ask_id, {}), report)
            if task.updated_at and (newest is None or task.updated_at > newest):
                newest = task.updated_at
            if len(entries) >= _AT_ONCE:
                ledger.record_verdicts(entries)
                entries = []
        if entries:
            ledger.record_verdicts(entries)
    if newest is not None and newest != cursor:
        ledger.set_cursor(source, newest.isoformat())
    return report


def _new_entries(reader: _TaskReader, task: Any, known: _Revisions, report: PullReport) -> list[VerdictEntry]:
    """What a task says that is not known yet; from now on it is."""
    annotations = {str(annotation["id"]): annotation for annotation in task.annotations or []}
    fresh = [a for key, a in annotations.items() if _revision(a) not in known.get(key, {})]
    entries = []
    for annotation in fresh:
        entry = reader.verdict(annotation)
        if entry is None:
            report.without_verdict += 1
            continue
        entries.append(entry)
        report.skipped += entry.verdict == "skipped"
        if entry.external_id in known:
            report.changed += 1
        else:
            report.new += 1
    for key, revisions in known.items():
        if key not in annotations and DELETED not in revisions:
            entries.append(reader.withdrawal(key, next(iter(revisions.values())), task.updated_at))
            report.withdrawn += 1
    for entry in entries:
        # A task that is changed while the pull turns the pages can come twice.
        known.setdefault(entry.external_id, {})[entry.revision] = entry.inspector
    return entries


def _known(ledger: Ledger, source: str) -> dict[str, _Revisions]:
    """What the ledger has of each ask."""
    known: dict[str, _Revisions] = {}
    for verdict in ledger.verdicts():
        if verdict.source == source and verdict.ask_id is not None:
            revisions = known.setdefault(verdict.ask_id, {}).setdefault(verdict.external_id, {})
            revisions[verdict.revision] = verdict.inspector
    return known


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
        self.masks_folder.mkdir(parents=True, exist_ok=True)
        revision = re.sub(r"\D", "", _revision(annotation))
        path = self.masks_folder.resolve() / f"{self.ask.ask_id}-{annotation['id']}-{revision}.png"
        fresh = path.with_suffix(".part")
        Image.fromarray(mask.astype("uint8") * 255).save(fresh, format="PNG")
        fresh.replace(path)
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
