"""Labels made elsewhere become verdicts in the ledger, each once."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from curation.by_hand import IMPORTED, IMPORTED_SAMPLE
from curation.labels.label import UNREADABLE, Found, Label, Refusal, refuse_other_size
from curation.ledger import ImageEntry, VerdictEntry, image_id_of
from learning.errors import DataError
from learning.images.pixels import read_pixels
from learning.progress import Progress, silent
from learning.whole import whole

if TYPE_CHECKING:
    from curation.ledger import Ledger, VerdictRow

CHUNK = 200
"""Labels between two writes: what an interruption loses is read again."""
_NAMED = 3


@dataclass(frozen=True)
class Origin:
    """Where labels come from.

    Attributes:
        format: Name of the format.
        name: Of the data set; with the format it names the source of its verdicts, so that they are known again.
        who: In whose name labels are recorded that have no annotator of their own.
        random_sample: Whether the images are a simple random sample of what the line makes.
    """

    format: str
    name: str
    who: str
    random_sample: bool = False

    @property
    def source(self) -> str:
        """Of the verdicts, in the ledger."""
        return f"{IMPORTED_SAMPLE if self.random_sample else IMPORTED} from {self.format} {self.name}"


@dataclass
class Imported:
    """What became of labels.

    Attributes:
        taken: New verdicts, by verdict.
        changed: Of these, those that revise a verdict of an earlier import.
        known: Labels that the ledger had already.
        twice: Labels of a picture that another one had said the same of.
        images_added: Images that the ledger did not know.
        masks: New verdicts with a mask, by what it was made of.
        without_mask: New verdicts on defects that have none.
        refused: What was not taken, and why.
        other_sources: Where nothing of this source was known: images of it that other imports gave verdicts, by source.
    """

    taken: Counter[str] = field(default_factory=Counter)
    changed: int = 0
    known: int = 0
    twice: int = 0
    images_added: int = 0
    masks: Counter[str] = field(default_factory=Counter)
    without_mask: int = 0
    refused: list[Refusal] = field(default_factory=list)
    other_sources: Counter[str] = field(default_factory=Counter)

    @property
    def reasons(self) -> Counter[str]:
        """How many were refused for each reason."""
        return Counter(one.reason for one in self.refused)


@dataclass(frozen=True)
class _Ready:
    """A label whose image and mask were read."""

    label: Label
    image_id: str
    inspector: str
    external_id: str
    mask: bytes | None
    note: str | None

    @property
    def mask_sha256(self) -> str | None:
        return None if self.mask is None else hashlib.sha256(self.mask).hexdigest()

    @property
    def says(self) -> tuple[str | None, ...]:
        return self.label.verdict, self.label.defect_class, self.note, self.mask_sha256


def import_labels(
    ledger: Ledger,
    found: Found,
    origin: Origin,
    masks: Path,
    dry_run: bool = False,
    progress: Progress = silent,
) -> Imported:
    """Record labels as verdicts. Repeatable: what the ledger has already is not recorded again.

    Of two imports at once each counts what it wrote itself.

    Images are known by content, and added where the ledger does not know them. Where one annotator says two things of
    one picture, neither is taken. A label that says something else than at
    an earlier import is a revision of it. Nobody asked for these verdicts, so that no promise is made from them unless
    the images are said to be a random sample.

    Args:
        ledger: Where they go.
        found: The labels.
        origin: Where they come from.
        masks: Folder for masks, as 8-bit PNG named by their checksum.
        dry_run: Write nothing, and say what would be done.
        progress: Told how far it is.
    """
    done = Imported(refused=list(found.refused))
    images = {image.image_id for image in ledger.images()}
    earlier: dict[str, list[VerdictRow]] = {}
    elsewhere: dict[str, set[str]] = {}
    for row in ledger.verdicts():
        if row.source == origin.source:
            earlier.setdefault(row.external_id, []).append(row)
        elif row.source.startswith((IMPORTED, IMPORTED_SAMPLE)):
            elsewhere.setdefault(row.image_id, set()).add(row.source)
    seen: set[str] = set()
    contradicted = _contradicted(found.labels, origin)
    for start in range(0, len(found.labels), CHUNK):
        new = []
        for number, label in enumerate(found.labels[start : start + CHUNK], start=start):
            progress(number, len(found.labels), "reading labels")
            ready = _read(label, origin)
            if isinstance(ready, Refusal):
                done.refused.append(ready)
            elif (others := contradicted.get(ready.external_id)) is not None:
                done.refused.append(Refusal(str(label.image), _contradiction(label, others)))
            elif ready.external_id in seen:
                done.twice += 1
            else:
                seen.add(ready.external_id)
                if not earlier:
                    done.other_sources.update(elsewhere.pop(ready.image_id, ()))
                rows = earlier.get(ready.external_id)
                if rows and ready.says == _said(rows[-1]):
                    done.known += 1
                else:
                    new.append(ready)
        if not new:
            continue
        if dry_run:
            written, added = {one.external_id for one in new}, {one.image_id for one in new} - images
            images |= added
        else:
            written, added = _write(ledger, new, origin, masks, earlier)
        done.images_added += len(added)
        for one in new:
            if one.external_id in written:
                _count(done, one, one.external_id in earlier)
            else:
                _count_overtaken(done, one, ledger, origin)
    progress(len(found.labels), len(found.labels), "reading labels")
    return done


def _read(label: Label, origin: Origin) -> _Ready | Refusal:
    try:
        size = read_pixels(label.image).shape[:2]
        image_id = image_id_of(label.image)
    except (DataError, OSError):
        # Without its name, so that many are counted in one line.
        return Refusal(str(label.image), UNREADABLE if label.image.is_file() else "there is no such file")
    try:
        mask = None if label.mask is None else label.mask()
        if mask is not None:
            refuse_other_size(mask.shape, size)
    except (DataError, OSError) as error:
        return Refusal(str(label.image), " ".join(str(error).split()))
    shapes = " and ".join(label.shapes)
    note = None if not shapes else f"mask from {shapes}" if mask is not None else f"marked by {shapes}, without a mask"
    if mask is not None and not mask.any():
        # Refused, it would be taken for a good part by a training set of all that nobody called defective.
        mask, note = None, "its mask is empty: nobody says where the defect is"
    inspector, external_id = _inspector(label, origin), _external_id(image_id, label, origin)
    return _Ready(label, image_id, inspector, external_id, None if mask is None else _png(mask), note)


def _inspector(label: Label, origin: Origin) -> str:
    return label.annotator or origin.who


def _external_id(image_id: str, label: Label, origin: Origin) -> str:
    return f"{image_id}/{_inspector(label, origin)}"


def _contradicted(labels: Sequence[Label], origin: Origin) -> dict[str, list[Label]]:
    """Labels of one picture by one annotator that say different things, by external id: neither is more true.

    Told before anything is written, by the checksums of the files; only pictures that come twice are read.
    """
    alike: dict[str, list[Label]] = {}
    for label in labels:
        try:
            key = _external_id(image_id_of(label.image), label, origin)
        except OSError:
            continue
        alike.setdefault(key, []).append(label)
    return {key: group for key, group in alike.items() if len(group) > 1 and _says_two_things(group, origin)}


def _says_two_things(labels: Sequence[Label], origin: Origin) -> bool:
    if len({(label.verdict, label.defect_class) for label in labels}) > 1:
        return True
    return len({one.says for label in labels if isinstance(one := _read(label, origin), _Ready)}) > 1


def _contradiction(label: Label, group: Sequence[Label]) -> str:
    said = sorted({_words(one) for one in group})
    what = f"as {' and as '.join(said)}" if len(said) > 1 else f"as {said[0]} with different masks"
    others = sorted({str(one.image) for one in group} - {str(label.image)})
    also = f", and lies at {', '.join(others[:_NAMED])} too" if others else ""
    return f"the same picture is labelled {what}{also}: neither is taken, keep the one that is right"


def _words(label: Label) -> str:
    return f"{label.verdict} ({label.defect_class})" if label.defect_class else label.verdict


def _said(row: VerdictRow) -> tuple[str | None, ...]:
    return row.verdict, row.defect_class, row.note, row.regions_sha256


def _count(done: Imported, ready: _Ready, revises: bool) -> None:
    done.taken[ready.label.verdict] += 1
    done.changed += revises
    if ready.mask is not None:
        done.masks[" and ".join(ready.label.shapes)] += 1
    elif ready.label.verdict == "defect":
        done.without_mask += 1


def _count_overtaken(done: Imported, ready: _Ready, ledger: Ledger, origin: Origin) -> None:
    """Count a label that another import wrote since this one read what the ledger has."""
    rows = ledger.verdicts(image_id=ready.image_id)
    last = [row for row in rows if (row.source, row.external_id) == (origin.source, ready.external_id)][-1]
    if ready.says == _said(last):
        done.known += 1
    else:
        reason = "another import said otherwise at the same time: run it again to revise that"
        done.refused.append(Refusal(str(ready.label.image), reason))


def _write(
    ledger: Ledger,
    new: Sequence[_Ready],
    origin: Origin,
    masks: Path,
    earlier: dict[str, list[VerdictRow]],
) -> tuple[set[str], set[str]]:
    """Write labels and their images.

    Returns:
        External ids of the labels that were written, all unless another import was faster; ids of images added.
    """
    labels = [one.label for one in new]
    entries = [ImageEntry(at.image, at.part, at.group, at.lot, at.camera, at.time) for at in labels]
    _, added = ledger.add_images_and_tell(entries)
    now = datetime.now(UTC)
    recorded = ledger.record_verdicts(
        [
            VerdictEntry(
                ask_id=None,
                image_id=one.image_id,
                inspector=one.inspector,
                verdict=one.label.verdict,
                at=one.label.at or now,
                source=origin.source,
                external_id=one.external_id,
                revision=f"{len(earlier.get(one.external_id, ())) + 1}",
                regions_mask=None if one.mask is None else _keep(one, masks),
                defect_class=one.label.defect_class,
                note=one.note,
            )
            for one in new
        ]
    )
    return {entry.external_id for entry in recorded}, added


def _keep(one: _Ready, masks: Path) -> Path:
    assert one.mask is not None
    file = masks / f"{one.mask_sha256}.png"
    if not file.is_file():
        with whole(file) as fresh:
            fresh.write_bytes(one.mask)
    return file


def _png(mask: np.ndarray) -> bytes:
    content = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(content, "PNG")
    return content.getvalue()
