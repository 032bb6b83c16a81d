"""Labels by folder, as in MVTec AD, or by a table: whatever training reads."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from curation.labels.label import DEFECT_NAMES, Found, Label, Mask, Reading, Refusal, refuse_other_size
from learning.errors import DataError
from learning.images.copies import join_copies
from learning.images.groups import apply_groups
from learning.images.pixels import is_image, read_mask
from learning.images.readers import find_images, list_data, read_mvtec
from learning.images.records import GOOD, UNLABELLED, ImageRecord
from learning.images.tables import list_table
from synth.errors import SynthError
from synth.pictures import size_of

_DAMAGED = "its mask cannot be read: it is damaged, or no image"
_NO_MASK = "there is no such file as its mask"


def read_folders(source: Path, reading: Reading, groups: str | None) -> Found:
    """Read a data set whose folders or table name the class of each image.

    Args:
        source: MVTec AD's layout (also without ``train``, or its folder ``test`` with the masks beside it), class
            folders, or a CSV.
        reading: Which classes are good.
        groups: As in training.

    Raises:
        DataError: It is none of these.
    """
    root = _root(source)
    found = Found(root=root)
    if source.is_dir() and (root / "test").is_dir() and (root != source or not (root / "train").is_dir()):
        records = apply_groups([one for one in read_mvtec(root) if one.split == "test"], root, groups)
    elif classes := class_folders(source, reading):
        named = [ImageRecord(file, folder.name) for folder in classes for file in find_images([folder])]
        records = apply_groups(named, root, groups)
    elif source.is_dir():
        records = list_data(source, groups)
    else:
        records = apply_groups(list_table(source), root, groups, by_itself=False)
    if source.is_dir():
        found.refused.extend(_without_picture(root, records))
    # A copy says nothing new about a line: as in training, it counts with what it is a copy of.
    for record in join_copies(records):
        if not record.path.is_file():
            found.refused.append(Refusal(str(record.path), "there is no such file"))
        elif record.label == UNLABELLED:
            found.refused.append(Refusal(str(record.path), "it has no label"))
        else:
            found.labels.append(_label(record, reading))
    return found


def _root(source: Path) -> Path:
    """The folder that the names of parts and groups are relative to, and that has the masks."""
    if not source.is_dir():
        return source.parent
    whole = source.resolve()
    return whole.parent if whole.name == "test" and (whole.parent / "ground_truth").is_dir() else source


def class_folders(source: Path, reading: Reading) -> list[Path]:
    """Folders of classes of which one is good under another name than training knows; none in any other layout."""
    if not source.is_dir() or (source / GOOD).is_dir():
        return []
    folders = [
        folder for folder in sorted(source.iterdir()) if folder.is_dir() and any(map(is_image, folder.rglob("*")))
    ]
    return folders if any(reading.is_good(folder.name) for folder in folders) else []


def _without_picture(root: Path, records: list[ImageRecord]) -> Iterator[Refusal]:
    masks = root / "ground_truth"
    used = {record.mask for record in records}
    for file in sorted(masks.rglob("*")) if masks.is_dir() else []:
        if is_image(file) and file not in used:
            yield Refusal(str(file), "there is no picture to this mask")


def _label(record: ImageRecord, reading: Reading) -> Label:
    good = reading.is_good(record.label)
    mask = None if good or record.mask is None else record.mask
    return Label(
        record.path,
        "good" if good else "defect",
        None if good or record.label.casefold() in DEFECT_NAMES else record.label,
        (lambda: _read(mask, record.path)) if mask else None,
        ("pixels",) if mask else (),
        part=record.part,
        group=record.group,
        lot=record.lot,
        camera=record.camera,
        time=record.time,
    )


def _read(file: Path, image: Path) -> Mask:
    if not file.is_file():
        raise DataError(_NO_MASK)
    try:
        size, wanted = size_of(file), size_of(image)
    except SynthError as error:
        raise DataError(_DAMAGED) from error
    # By the heads of the files: a mask of very few pixels could not be read, and is of another size all the same.
    refuse_other_size(size, wanted)
    try:
        return np.asarray(read_mask(file).numpy(), dtype=bool)
    except DataError as error:
        raise DataError(_DAMAGED) from error
