"""Synthetic data sets in FiftyOne: every flaw with its family, severity and contrast, to look at and to filter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from curation.connection import database_errors, dataset_lock, require_database
from learning.errors import DataError
from learning.progress import Progress, silent
from synth.checking import CHECKSUMS, read_checksums
from synth.dataset import MANIFEST
from synth.manifest import ManifestRow, read_manifest

if TYPE_CHECKING:
    import fiftyone as fo

BATCH = 1000
_MARK = "flawsmith_synthetic"
"""In a data set's info: the folder that it shows."""


@dataclass(frozen=True)
class ImportReport:
    """What an import did.

    Attributes:
        added: Images that are new in FiftyOne.
        unchanged: Images that were there already.
        removed: Images that the set does not hold any more, or holds with other pixels.
    """

    added: int
    unchanged: int
    removed: int


def import_synthetic(folder: Path, name: str, progress: Progress = silent) -> ImportReport:
    """Show a set that ``flawsmith synth`` wrote in FiftyOne; only what is new is written. Repeatable.

    Each sample has its mask as ``flaw_mask``, its flaws as detections (``flaws``) with family, severity, contrast,
    change and area, the good image's path as ``source``, and ``families`` to filter by. Tags that people added stay.

    Args:
        folder: A complete set, in any layout.
        name: Name of the data set in FiftyOne; one that shows something else is left alone.
        progress: Told how far it is.

    Raises:
        DataError: If the folder holds no complete set, files of it are missing, or the data set shows something else.
        DatabaseError: If the database does not answer; run it again when it does.
        SynthError: If the manifest or the checksums cannot be read.
    """
    digests = _digests(folder)
    images = {image: list(rows) for image, rows in groupby(read_manifest(folder / MANIFEST), lambda row: row.image)}
    for file in (f"{kind}/{image}.png" for image in images for kind in ("images", "masks")):
        if file not in digests or not (folder / file).is_file():
            lacks = f"{file} is missing" if file in digests else f"{CHECKSUMS} does not list {file}"
            msg = f"{folder} is not whole: {lacks}; run the command that made the set again"
            raise DataError(msg)
    require_database()
    with database_errors(), dataset_lock(name):
        dataset = _dataset(name, folder)
        held = dict(zip(*dataset.values(["image", "sha256"]), strict=True))
        wanted = {image: digests[f"images/{image}.png"] for image in images}
        gone = [image for image, digest in held.items() if wanted.get(image) != digest]
        new = [image for image, digest in wanted.items() if held.get(image) != digest]
        if gone:
            dataset.delete_samples(dataset.match({"image": {"$in": gone}}))
        for done, batch in _batches(new):
            dataset.add_samples(
                [_sample(folder, image, images[image], wanted[image]) for image in batch], progress=False
            )
            progress(done, len(new), "adding images to FiftyOne")
    return ImportReport(len(new), len(wanted) - len(new), len(gone))


def _digests(folder: Path) -> dict[str, str]:
    file = folder / CHECKSUMS
    if not file.is_file():
        msg = f"{folder} holds no complete synthetic data set (no {CHECKSUMS}); make one with: flawsmith synth"
        raise DataError(msg)
    return {path: digest for digest, path in read_checksums(file)}


def _dataset(name: str, folder: Path) -> Any:
    import fiftyone as fo

    mark = str(folder.absolute())
    if fo.dataset_exists(name):
        dataset = fo.load_dataset(name)
        dataset.reload()
        if dataset.info.get(_MARK) != mark:
            msg = f"the data set {name!r} in FiftyOne shows something else than {folder}; choose another name"
            raise DataError(msg)
        return dataset
    dataset = fo.Dataset(name, persistent=True)
    for path in ("image", "sha256", "source"):
        dataset.add_sample_field(path, fo.StringField)
    dataset.add_sample_field("families", fo.ListField, subfield=fo.StringField)
    dataset.create_index("image", unique=True)
    dataset.info[_MARK] = mark
    dataset.app_config.active_fields = fo.ActiveFields(exclude=False, paths=["flaw_mask", "flaws", "families"])
    dataset.save()
    return dataset


def _sample(folder: Path, image: str, rows: Sequence[ManifestRow], digest: str) -> fo.Sample:
    import fiftyone as fo

    file = (folder / "images" / f"{image}.png").absolute()
    with Image.open(file) as header:
        width, height = header.size
    seen = [row for row in rows if row.area]
    return fo.Sample(
        filepath=str(file),
        image=image,
        sha256=digest,
        source=rows[0].source,
        families=sorted({row.family for row in seen}),
        flaw_mask=fo.Segmentation(mask_path=str((folder / "masks" / f"{image}.png").absolute())),
        flaws=fo.Detections(
            detections=[
                fo.Detection(
                    label=row.family,
                    bounding_box=[
                        row.left / width,
                        row.top / height,
                        (row.right - row.left) / width,
                        (row.bottom - row.top) / height,
                    ],
                    severity=row.severity,
                    contrast=row.contrast,
                    change=row.change,
                    area=row.area,
                    content=row.content,
                    content_source=row.content_source,
                )
                for row in seen
            ]
        ),
    )


def _batches(images: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
    """Pieces of a list, each with how many there are up to its end."""
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        yield start + len(batch), batch
