"""Labels of a FiftyOne data set, or of a folder that FiftyOne exported; FiftyOne itself reads both."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from curation.connection import database_errors, require_database
from curation.labels.label import DEFECT_NAMES, Found, Label, Mask, Reading, Refusal, Region, label_of, read_json
from learning.errors import DataError

GROUND_TRUTH = "ground_truth"


def is_export(source: Path) -> bool:
    """Whether a folder is an export of FiftyOne's own type."""
    return (source / "metadata.json").is_file() and (
        (source / "samples.json").is_file() or (source / "samples").is_dir()
    )


def name_in_export(source: Path) -> str:
    """Name of the data set that a folder is an export of; empty where it does not tell.

    Raises:
        DataError: The file that tells is damaged.
    """
    about = read_json(source / "metadata.json")
    return str(about.get("name") or "") if isinstance(about, dict) else ""


def read_fiftyone(source: str, reading: Reading, field: str | None) -> Found:
    """Read the labels of one field.

    Args:
        source: Name of a data set, or a folder with an export of ``fiftyone.types.FiftyOneDataset``.
        reading: How what is ambiguous is read.
        field: Name of the field; by default ``ground_truth``, or the only one with labels.

    Raises:
        DataError: There is no such data set or field, or it is of a kind that says nothing of an image.
        DatabaseError: The database does not answer.
    """
    require_database()
    found = Found(root=Path(source) if Path(source).is_dir() else Path())
    with database_errors(), _opened(source) as dataset:
        name = _field(dataset, field)
        targets = dataset.mask_targets.get(name) or dataset.default_mask_targets or {}
        for sample in dataset.iter_samples():
            one = _label(sample, sample[name], reading, targets)
            (found.labels if isinstance(one, Label) else found.refused).append(one)  # type: ignore[arg-type]
    return found


@contextmanager
def _opened(source: str) -> Iterator[Any]:
    import fiftyone as fo

    if fo.dataset_exists(source):
        yield fo.load_dataset(source)
        return
    if not is_export(Path(source)):
        there = ", ".join(fo.list_datasets()[:5]) or "none"
        msg = f"{source} is neither a data set in FiftyOne (there are: {there}) nor a folder that it exported"
        raise DataError(msg)
    dataset = fo.Dataset()
    try:
        try:
            dataset.add_dir(dataset_dir=source, dataset_type=fo.types.FiftyOneDataset, progress=False)
        except (ValueError, KeyError, OSError) as error:
            msg = f"{source} is a damaged export of FiftyOne: {error}"
            raise DataError(msg) from error
        yield dataset
    finally:
        dataset.delete()


def _field(dataset: Any, field: str | None) -> str:
    import fiftyone as fo

    kinds = (fo.Classification, fo.Detections, fo.Polylines, fo.Segmentation)
    fields = [
        name
        for name, kind in dataset.get_field_schema().items()
        if isinstance(kind, fo.EmbeddedDocumentField) and issubclass(kind.document_type, kinds)
    ]
    wanted = field or (GROUND_TRUTH if GROUND_TRUTH in fields else fields[0] if len(fields) == 1 else None)
    if wanted not in fields:
        asked = f"{wanted!r} is none of them" if wanted else "name one with --field"
        msg = f"{dataset.name} has the label fields {', '.join(fields) or '(none)'}: {asked}"
        raise DataError(msg)
    return str(wanted)


def _label(sample: Any, label: Any, reading: Reading, targets: Mapping[Any, str]) -> Label | Refusal:
    import fiftyone as fo

    path = Path(sample.filepath)
    at = sample.last_modified_at
    about = {"at": at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at}
    if isinstance(label, fo.Classification):
        name = label.label or ""
        if not name:
            return Refusal(str(path), "its classification has no class")
        good = reading.is_good(name)
        kind = None if good or name.casefold() in DEFECT_NAMES else name
        return Label(path, "good" if good else "defect", kind, **about)
    try:
        return label_of(path, list(_regions(path, label, reading, targets)), reading, **about)
    except OSError:
        return Refusal(str(path), "the file of its mask cannot be read")


def _regions(path: Path, label: Any, reading: Reading, targets: Mapping[Any, str]) -> Iterator[Region]:
    import fiftyone as fo

    if isinstance(label, fo.Segmentation):
        yield from _of_values(label.get_mask(), reading, targets)
    for one in getattr(label, "detections", None) or ():
        shape = "pixels" if one.has_mask else "boxes"
        yield Region(one.label or "defect", shape, partial(_drawn, path, one))
    for one in getattr(label, "polylines", None) or ():
        yield Region(one.label or "defect", "polygons", partial(_drawn, path, one))


def _of_values(mask: Any, reading: Reading, targets: Mapping[Any, str]) -> Iterator[Region]:
    """A region for each value of a segmentation above 0, named by the data set's mask targets; sound ones are none."""
    if mask is None or mask.ndim != 2:  # colours: what they mean is not looked up
        if mask is not None and np.any(mask):
            yield Region("defect", "pixels", lambda: _flat(mask))
        return
    for value in np.unique(mask[mask > 0]).tolist():
        name = targets.get(value, "defect")
        if not reading.is_good(name):
            yield Region(name, "pixels", partial(np.equal, mask, value))


def _drawn(path: Path, one: Any) -> Mask:
    import fiftyone as fo

    from learning.images.pixels import read_pixels

    height, width = read_pixels(path).shape[:2]
    if isinstance(one, fo.Detection) and not one.has_mask:
        one = one.copy()
        one.mask = np.ones((1, 1), dtype=bool)
    return _flat(one.to_segmentation(frame_size=(width, height), target=1).get_mask())


def _flat(mask: Any) -> Mask:
    return np.asarray(mask if mask.ndim == 2 else mask.any(axis=2), dtype=bool)
