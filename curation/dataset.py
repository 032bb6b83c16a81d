"""Ledger to FiftyOne and back: a window on what is known, that can be lost and is made again."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from curation.app import App, open_app
from curation.connection import database_errors, dataset_lock, require_database
from curation.indexing import BRAIN_KEY, index_similarity
from curation.plugin.binding import bind, showing
from curation.rows import Row, rows_of
from curation.samples import Dataset, Held, SampleWriter, Write, held_by, open_dataset
from curation.tag_sync import IN_THE_APP, by_image, done_in_the_app, together
from learning.progress import Progress, silent

if TYPE_CHECKING:
    from curation.ledger import Ledger

__all__ = ["BRAIN_KEY", "App", "SyncReport", "index_similarity", "open_app", "show_rows", "sync"]

BATCH = 2000
T = TypeVar("T")


@dataclass(frozen=True)
class SyncReport:
    """What a sync did.

    Attributes:
        added: Samples that are new in FiftyOne.
        updated: Samples that were written again because something about them changed.
        unchanged: Samples that look as before.
        removed: Samples whose image is not in the ledger any more.
        missing: Image files that the ledger knows and that are gone from the disk (their samples stay, marked).
        tags_set: Tags that were given in the App since the last sync, and are in the ledger now.
        tags_removed: Tags that were taken away in the App since, and are taken away in the ledger now.
        others: Where the data set was not there: those that show this ledger too. One may be it, by another name.
    """

    added: int
    updated: int
    unchanged: int
    removed: int
    missing: list[Path] = field(default_factory=list)
    tags_set: int = 0
    tags_removed: int = 0
    others: list[str] = field(default_factory=list)


def sync(
    ledger: Ledger,
    name: str,
    model_id: str | None = None,
    progress: Progress = silent,
    who: str = IN_THE_APP,
) -> SyncReport:
    """Bring a FiftyOne data set to what the ledger says, and the tags of its samples into the ledger. Repeatable.

    Only what changed is written. A data set that was deleted in the App, or given another name there, is made again,
    with the tags that came to the ledger; fields that people added there are left alone. What was interrupted, or lost
    with a killed database, is written by the next sync: each sample carries the hash of what it should hold and the
    tags that it was left with, written with it. Of a tag that was changed in the App and in the ledger since the last
    sync, the App's word counts.

    Args:
        ledger: The truth.
        name: Name of the data set.
        model_id: Whose scores to show; by default each image's latest.
        progress: Told how far it is.
        who: In whose name tags of the App are recorded; the App does not know who uses it.

    Raises:
        DatabaseError: The database does not answer; run it again when it does.
    """
    from curation.drift.tags import save_drift_view

    require_database()
    with database_errors(), dataset_lock(name), _no_search_for_cycles():
        progress(0, 1, "reading the ledger")
        rows = rows_of(ledger, model_id)
        dataset = open_dataset(name)
        held = held_by(dataset)
        gone = [str(one.sample) for key, one in held.items() if key not in rows]
        known = {key: one for key, one in held.items() if key in rows}
        new = [row for key, row in rows.items() if key not in known]
        came, tags = _tags_from_the_app(ledger, known, who)
        writes = _writes(known, rows, tags)
        total = len(new) + len(writes) + len(gone)
        done = 0
        writer = SampleWriter(dataset)
        for batch in _batches(new):
            writer.add(batch, tags)
            done += len(batch)
            progress(done, total, "adding images to FiftyOne")
        for keys in _batches(list(writes)):
            writer.update({known[key].sample: writes[key] for key in keys})
            done += len(keys)
            progress(done, total, "updating FiftyOne")
        if gone:
            dataset.delete_samples(gone)
            progress(total, total, "removing images from FiftyOne")
        dataset.reload()
        _dress(dataset, tags)
        others = [] if known else [other for other in showing(ledger) if other != name]
        bind(dataset, ledger, model_id)
        save_drift_view(dataset, ledger)
    missing = [Path(row.values["filepath"]) for row in rows.values() if row.values["file_missing"]]
    updated = sum(write.shows for write in writes.values())
    return SyncReport(
        len(new),
        updated,
        len(known) - updated,
        len(gone),
        missing,
        came["set"],
        came["removed"],
        others,
    )


def show_rows(dataset: Dataset, ledger: Ledger, rows: Sequence[Row]) -> None:
    """Write rows into the samples that the data set has for them, and their tags both ways; the rest is left alone.

    Args:
        dataset: That ``sync`` made.
        ledger: That it shows.
        rows: Of some images.
    """
    known = held_by(dataset, [row.image_id for row in rows])
    _, tags = _tags_from_the_app(ledger, known, IN_THE_APP)
    writes = _writes(known, {row.image_id: row for row in rows}, tags)
    SampleWriter(dataset).update({known[key].sample: write for key, write in writes.items()})
    dataset.reload()


def _tags_from_the_app(
    ledger: Ledger, known: Mapping[str, Held], who: str
) -> tuple[dict[str, int], dict[str, frozenset[str]]]:
    """Bring what was tagged in the App into the ledger.

    Returns:
        How many tags were ``set`` and ``removed`` by it, and the tags of every image of the ledger now.
    """
    tags = by_image((row.image_id, row.tag) for row in ledger.tags())
    entries = done_in_the_app(known, tags, who)
    changed = ledger.change_tags(entries) if entries else []
    counts = {event: sum(row.event == event for row in changed) for event in ("set", "removed")}
    return counts, together(tags, entries)


def _writes(known: Mapping[str, Held], rows: Mapping[str, Row], tags: Mapping[str, frozenset[str]]) -> dict[str, Write]:
    """What has to be written over samples, by image id."""
    writes = {}
    for key, one in known.items():
        row, own = rows[key], tags.get(key, frozenset())
        changed = row if one.hash != row.hash else None
        if changed is not None or own != one.tags or own != one.synced_tags:
            writes[key] = Write(changed, own - one.tags, one.tags - own, own)
    return writes


@contextmanager
def _no_search_for_cycles() -> Iterator[None]:
    """Have Python not look for cycles among objects: rows have none, and each look passes all that FiftyOne loaded.

    It took half the time of a sync of 20,000 samples.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _dress(dataset: Dataset, tags: Mapping[str, frozenset[str]]) -> None:
    """Say once what the App shows: the map over the picture, score and verdict; and each time what checks found."""
    from curation.appearance import dress, show_findings

    if dataset.app_config.color_scheme is None:
        dress(dataset)
    show_findings(dataset, {tag for own in tags.values() for tag in own})


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]
