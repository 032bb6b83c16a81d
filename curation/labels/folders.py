"""Labels by folder, as in MVTec AD, or by a table: whatever training reads."""

from pathlib import Path

import numpy as np

from curation.labels.label import DEFECT_NAMES, Found, Label, Mask, Reading, Refusal
from learning.images.readers import list_data, read_mvtec
from learning.images.records import UNLABELLED, ImageRecord


def read_folders(source: Path, reading: Reading, groups: str | None) -> Found:
    """Read a data set whose folders or table name the class of each image.

    Args:
        source: MVTec AD's layout (also without ``train/good``), class folders, or a CSV.
        reading: Which classes are good.
        groups: As in training.

    Raises:
        DataError: It is none of these.
    """
    only_test = source.is_dir() and (source / "test").is_dir() and not (source / "train").is_dir()
    records = read_mvtec(source) if only_test else list_data(source, groups)
    found = Found(root=source if source.is_dir() else source.parent)
    for record in records:
        if record.label == UNLABELLED:
            found.refused.append(Refusal(str(record.path), "it has no label"))
        else:
            found.labels.append(_label(record, reading))
    return found


def _label(record: ImageRecord, reading: Reading) -> Label:
    good = reading.is_good(record.label)
    mask = None if good or record.mask is None else record.mask
    return Label(
        record.path,
        "good" if good else "defect",
        None if good or record.label.casefold() in DEFECT_NAMES else record.label,
        (lambda: _read(mask)) if mask else None,
        ("pixels",) if mask else (),
        part=record.part,
        group=record.group,
        lot=record.lot,
        camera=record.camera,
        time=record.time,
    )


def _read(path: Path) -> Mask:
    from learning.images.pixels import read_mask

    return np.asarray(read_mask(path).numpy(), dtype=bool)
