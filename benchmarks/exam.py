"""What detectors of the ablation are judged on: flaws of every family on held-out parts, and a test set."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from learning.detectors import Detector
from learning.errors import DataError
from learning.images.image_set import ImageSet
from learning.images.pixels import read_image
from learning.images.preprocessing import Preprocessing
from learning.images.readers import read_data
from learning.images.records import GOOD, ImageRecord
from learning.images.view import choose_view
from learning.splits import split_groups
from synth.families import ANYWHERE
from synth.families.base import Context
from synth.image_level import Synthesizer
from synth.parts import LINE, make_parts
from synth.parts.transfer import KINDS_TRANSFERRED, transfer_anywhere

HELD_OUT, TEST = "held-out", "test"
_HELD_OUT_SHARE = 0.25
_BATCH = 16
_PICTURE = 256
"""Side of the pictures of made-up parts; detectors see the part, cut out of them."""


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

    def section(self, name: str) -> "Exam":
        """The rows of one section alone, with their images."""
        chosen = [i for i, row in enumerate(self.rows) if row.section == name]
        return replace(self, images=self.images[chosen], rows=[self.rows[i] for i in chosen])

    def scores(self, detector: Detector) -> list[float]:
        """Image scores of all rows."""
        return [
            score for batch in self.images.split(_BATCH) for score in detector.predict(batch).scores.double().tolist()
        ]


def exams_on_parts(
    folder: Path, good: int, test_good: int, defective: int, size: int, kinds: Sequence[str] = LINE
) -> list[Exam]:
    """Made-up parts, an exam for each kind, as each has a model of its own; other code draws the defects.

    Args:
        folder: To make them in.
        good: Good parts of each kind, a quarter of which is held out.
        test_good: Good parts of each kind in the test set.
        defective: Defective ones.
        size: Square root of the pixels that a detector sees of a part.
        kinds: Of parts; by default those on a line.
    """
    made = [
        make_parts(folder / kind, kind, good=good, test_good=test_good, defective=defective, size=_PICTURE)
        for kind in kinds
    ]
    return [_exam(kind, read_data(data), size) for kind, data in zip(kinds, made, strict=True)]


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
    return _exam(data.name, records, size)


def exam_on_good(data: Path, size: int, held: float = 0.3, each: int = 3, least: float = 0.35, seed: int = 0) -> Exam:
    """Good parts that are held out, and made-up defects on their pictures, drawn by none of the flaw families.

    Nothing of a data set's test part is looked at: what is chosen by this exam is chosen by good parts alone.

    Args:
        data: As ``learning.images.readers.read_data`` reads it.
        size: Side of the images that detectors see.
        held: Share of the good groups that is held out.
        each: Defects made of each part held out, of kinds taken in turn, their severity uniform.
        least: Least severity; below, hardly any can be seen on a real surface, and all detectors guess alike.
        seed: Of the split and the defects.
    """
    good = [record for record in read_data(data) if record.label == GOOD and record.split != TEST]
    parts = split_groups(good, {"train": 1 - held, HELD_OUT: held}, seed)
    paths = [record.path for record in parts["train"]]
    preprocessing, _ = choose_view(Preprocessing.for_images(paths, size), paths, "auto")
    rng = np.random.default_rng(seed)
    images, rows = [], []
    for i, record in enumerate(parts[HELD_OUT]):
        picture = read_image(record.path)
        images.append(preprocessing.apply(picture))
        rows.append(Row(TEST, data.name, GOOD, record.group))
        for j in range(each):
            kind = KINDS_TRANSFERRED[(each * i + j) % len(KINDS_TRANSFERRED)]
            flawed = transfer_anywhere(picture.numpy(), kind, rng, severity=rng.uniform(least, 1))
            images.append(preprocessing.apply(torch.from_numpy(flawed)))
            rows.append(Row(TEST, data.name, kind, record.group))
    every = torch.stack(images)
    fingerprint = hashlib.sha256(every.numpy().tobytes()).hexdigest()
    return Exam(data.name, ImageSet(parts["train"], preprocessing), every, rows, fingerprint)


def _exam(name: str, records: Sequence[ImageRecord], size: int) -> Exam:
    good = [record for record in records if record.label == GOOD and record.split != TEST]
    parts = split_groups(good, {"train": 1 - _HELD_OUT_SHARE, HELD_OUT: _HELD_OUT_SHARE})
    train, held = parts["train"], parts[HELD_OUT]
    tested = [one for one in records if one.split == TEST and (one.label == GOOD or one.defective)]
    paths = [record.path for record in train]
    preprocessing, _ = choose_view(Preprocessing.for_images(paths, size), paths, "auto")
    images, rows = _held_out(name, ImageSet(held, preprocessing))
    images.append(_all(ImageSet(tested, preprocessing)))
    rows += [Row(TEST, name, record.label, record.group) for record in tested]
    every = torch.cat(images)
    fingerprint = hashlib.sha256(every.numpy().tobytes()).hexdigest()
    return Exam(name, ImageSet(train, preprocessing), every, rows, fingerprint)


def _held_out(stratum: str, held: ImageSet) -> tuple[list[Tensor], list[Row]]:
    """Good parts as they are, and with one flaw of each family; flaws that nobody can see are left out."""
    good = _all(held)
    images = [good]
    rows = [Row(HELD_OUT, stratum, GOOD, group) for group in held.groups]
    context = Context(held.outlines(range(len(held))), good.flip(0))
    for family in ANYWHERE:
        recipe = Synthesizer([family], flaws_per_image=(1, 1)).draw(_generator(family), len(good))
        flawed, masks = Synthesizer.apply(good, recipe, context)
        seen = (masks.flatten(1).amax(dim=1) > 0).nonzero().flatten()
        images.append((flawed[seen] * 255).round() / 255)
        rows += [Row(HELD_OUT, stratum, family, held.groups[i]) for i in seen.tolist()]
    return images, rows


def _all(images: ImageSet) -> Tensor:
    return images.batch(range(len(images)))


def _generator(family: str) -> torch.Generator:
    """Flaws of a family are the same whatever other families there are."""
    return torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(family.encode()).digest()[:4], "big"))
