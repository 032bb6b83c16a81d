"""What detectors of the ablation are judged on: flaws of every family on held-out parts, and a test set."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from learning.detectors import Detector
from learning.errors import DataError
from learning.images.image_set import ImageSet
from learning.images.preprocessing import Preprocessing
from learning.images.readers import read_data
from learning.images.records import GOOD, ImageRecord
from learning.splits import split_groups
from synth.families import ANYWHERE
from synth.families.base import Context
from synth.foreground import foreground
from synth.image_level import Synthesizer
from synth.parts import KINDS, make_parts

HELD_OUT, TEST = "held-out", "test"
_HELD_OUT_SHARE = 0.25
_BATCH = 16


@dataclass(frozen=True)
class Row:
    """One image that is judged.

    Attributes:
        section: ``held-out`` or ``test``.
        stratum: Images are compared with good ones of the same stratum: of one kind of part.
        label: ``good``, a family (held-out), or a class of defects (test).
        group: Images of one group are not independent.
    """

    section: str
    stratum: str
    label: str
    group: str


@dataclass(frozen=True)
class Exam:
    """Parts to learn from, and images to be judged on; the same for every detector.

    Attributes:
        name: Of the data.
        train: Good parts to learn from.
        images: ``[N, C, h, w]``, 0..1.
        rows: What each of them is.
        fingerprint: SHA-256 of the images: scores of others cannot stand beside theirs.
    """

    name: str
    train: ImageSet
    images: Tensor
    rows: list[Row]
    fingerprint: str

    def scores(self, detector: Detector) -> list[float]:
        """Image scores of all rows."""
        return [
            score for batch in self.images.split(_BATCH) for score in detector.predict(batch).scores.double().tolist()
        ]


def exam_on_parts(folder: Path, good: int, test_good: int, defective: int, size: int) -> Exam:
    """Made-up parts of all kinds; their defects are drawn by other code than the families.

    Args:
        folder: To make them in.
        good: Good parts of each kind, a quarter of which is held out.
        test_good: Good parts of each kind in the test set.
        defective: Defective ones.
        size: Side of the images.
    """
    records = {
        kind: read_data(make_parts(folder / kind, kind, good=good, test_good=test_good, defective=defective, size=size))
        for kind in KINDS
    }
    return _exam("parts", records, size)


def exam_on_data(data: Path, size: int) -> Exam:
    """A data set with a labelled test part, as ``learning.images.readers.read_data`` reads it.

    Raises:
        DataError: If it has no labelled test part.
    """
    records = read_data(data)
    if not any(record.split == TEST and record.defective for record in records):
        msg = (
            f"{data} has no labelled test images; the ablation takes a data set in MVTec AD's layout, or class folders"
        )
        raise DataError(msg)
    return _exam(data.name, {data.name: records}, size)


def _exam(name: str, records: dict[str, list[ImageRecord]], size: int) -> Exam:
    train: list[ImageRecord] = []
    held: list[tuple[str, ImageRecord]] = []
    for stratum, own in records.items():
        good = [record for record in own if record.label == GOOD and record.split != TEST]
        parts = split_groups(good, {"train": 1 - _HELD_OUT_SHARE, HELD_OUT: _HELD_OUT_SHARE})
        train += parts["train"]
        held += [(stratum, record) for record in parts[HELD_OUT]]
    tested = [
        (stratum, record)
        for stratum, own in records.items()
        for record in own
        if record.split == TEST and (record.label == GOOD or record.defective)
    ]
    preprocessing = Preprocessing.for_images([record.path for record in train], size)
    images, rows = _held_out(held, preprocessing)
    images.append(_read([record for _, record in tested], preprocessing))
    rows += [Row(TEST, stratum, record.label, record.group) for stratum, record in tested]
    every = torch.cat(images)
    fingerprint = hashlib.sha256(every.numpy().tobytes()).hexdigest()
    return Exam(name, ImageSet(train, preprocessing), every, rows, fingerprint)


def _held_out(held: Sequence[tuple[str, ImageRecord]], preprocessing: Preprocessing) -> tuple[list[Tensor], list[Row]]:
    """Good parts as they are, and with one flaw of each family; flaws that nobody can see are left out."""
    good = _read([record for _, record in held], preprocessing)
    images = [good]
    rows = [Row(HELD_OUT, stratum, GOOD, record.group) for stratum, record in held]
    context = Context(foreground(good)[0], good.flip(0))
    for family in ANYWHERE:
        recipe = Synthesizer([family], flaws_per_image=(1, 1)).draw(_generator(family), len(good))
        flawed, masks = Synthesizer.apply(good, recipe, context)
        seen = (masks.flatten(1).amax(dim=1) > 0).nonzero().flatten()
        images.append((flawed[seen] * 255).round() / 255)
        rows += [Row(HELD_OUT, held[i][0], family, held[i][1].group) for i in seen.tolist()]
    return images, rows


def _read(records: Sequence[ImageRecord], preprocessing: Preprocessing) -> Tensor:
    images = ImageSet(records, preprocessing)
    return images.batch(range(len(images)))


def _generator(family: str) -> torch.Generator:
    """Flaws of a family are the same whatever other families there are."""
    return torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(family.encode()).digest()[:4], "big"))
