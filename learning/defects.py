"""Banks of confirmed defects on disk: safetensors and JSON with checksums, nothing pickled."""

import uuid
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from learning.errors import BundleError, DataError
from learning.images.pixels import read_image, read_mask
from learning.images.records import ImageRecord
from learning.sealed import file_sha256, read_sealed, seal, write_sealed
from learning.writable import share
from synth.foreground import foreground
from synth.sources.defects import Defect, DefectBank, cut_defects

_FACTS = "defects.json"
_TENSORS = "defects-*.safetensors"
_LEFT_BEHIND = (_TENSORS, f".{_FACTS}.*", ".tmp*")
"""What ``save_bank`` leaves when it is killed: pixels, half-written facts, and pixels that safetensors half wrote."""

_LOCK = ".lock"

_FORMAT = 1


class _Entry(BaseModel):
    """What is known of a defect beside its pixels; fields as in ``synth.sources.defects.Defect``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    label: str
    provenance: str
    image: str
    group: str
    side: int = Field(ge=1)
    grain: float = Field(gt=0)
    made: bool = False


class _Facts(BaseModel):
    """What ``defects.json`` says.

    Attributes:
        format: Of the layout.
        tensors: Name of the file with the pixels.
        tensors_sha256: Its checksum.
        defects: In the order of the bank.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int
    tensors: str = Field(pattern=r"^defects-[0-9a-f]{8}\.safetensors$")
    tensors_sha256: str
    defects: list[_Entry]


def cut_from_files(
    image: Path,
    mask: Path,
    *,
    name: str,
    label: str = "",
    provenance: str = "",
    image_id: str = "",
    group: str = "",
) -> list[Defect]:
    """Cut the regions of a mask file out of an image file; see ``synth.sources.defects.cut_defects``.

    Raises:
        DataError: If a file cannot be read, or the mask has another size than the image.
    """
    pixels = read_image(image)
    marked = read_mask(mask, (pixels.shape[-2], pixels.shape[-1]))
    part = foreground(pixels[None])[0][0, 0] > 0
    return cut_defects(
        pixels, marked, part, name=name, label=label, provenance=provenance, image_id=image_id, group=group
    )


def check_bank_place(folder: Path) -> None:
    """Refuse to write a bank over something else.

    A folder with nothing but what ``save_bank`` leaves when it is killed is taken.

    Raises:
        DataError: If the folder holds something else.
    """
    if not folder.exists() or (folder / _FACTS).is_file():
        return
    if not folder.is_dir() or set(folder.iterdir()) - {*_left_behind(folder), folder / _LOCK}:
        msg = f"{folder} exists and is no bank of defects; it is left alone: choose another folder"
        raise DataError(msg)


def save_bank(bank: DefectBank, folder: Path) -> None:
    """Write a bank; one that is there is replaced, a reader sees the old or the new one.

    Raises:
        DataError: If the folder holds something else.
    """
    check_bank_place(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for number, defect in enumerate(bank.defects):
        for field in ("pixels", "mask", "light", "contrast"):
            # A copy each: made defects share the light of those that they were made after, which safetensors refuses.
            tensors[f"{number}.{field}"] = getattr(defect, field).float().cpu().contiguous().clone()
    entries = [
        _Entry(**{field: getattr(defect, field) for field in _Entry.model_fields}).model_dump()
        for defect in bank.defects
    ]
    file = folder / f"defects-{uuid.uuid4().hex[:8]}.safetensors"
    # One writer at a time, or each takes the pixels of the other for what a kill has left.
    with FileLock(folder / _LOCK):
        share(folder / _LOCK)
        save_file(tensors, file)
        share(file)
        facts = {"format": _FORMAT, "tensors": file.name, "tensors_sha256": file_sha256(file), "defects": entries}
        write_sealed(folder / _FACTS, facts)
        for old in _left_behind(folder):
            if old != file:
                old.unlink()


def _left_behind(folder: Path) -> list[Path]:
    return [path for pattern in _LEFT_BEHIND for path in folder.glob(pattern) if path.is_file()]


def load_bank(folder: Path) -> DefectBank:
    """Read what ``save_bank`` wrote.

    Raises:
        DataError: If there is none, or a file is missing or was changed.
    """
    if not (folder / _FACTS).is_file():
        msg = f"{folder} is no bank of defects: it has no {_FACTS}"
        raise DataError(msg)
    while True:
        before = (folder / _FACTS).read_bytes()
        try:
            return _read_bank(folder)
        except DataError:
            if (folder / _FACTS).read_bytes() == before:
                raise
            # A writer has replaced it meanwhile.


def _read_bank(folder: Path) -> DefectBank:
    try:
        facts = _Facts.model_validate(read_sealed(folder / _FACTS))
        file = folder / facts.tensors
        if facts.format != _FORMAT or not file.is_file() or file_sha256(file) != facts.tensors_sha256:
            msg = f"{folder} is damaged or of another version: its files do not fit {_FACTS}; make the bank again"
            raise DataError(msg)
        tensors = load_file(file)
        return DefectBank(
            tuple(
                Defect(
                    pixels=tensors[f"{number}.pixels"],
                    mask=tensors[f"{number}.mask"],
                    light=tensors[f"{number}.light"],
                    contrast=tensors[f"{number}.contrast"],
                    **entry.model_dump(),
                )
                for number, entry in enumerate(facts.defects)
            )
        )
    except (BundleError, ValidationError, SafetensorError, KeyError, FileNotFoundError) as error:
        msg = f"{folder} is damaged ({' '.join(str(error).split())}); make the bank again"
        raise DataError(msg) from error


def bank_digest(bank: DefectBank) -> str:
    """SHA-256 over names, provenance and pixels: the same for the same defects, wherever they lie."""
    rows = [
        [defect.name, defect.provenance, float(defect.pixels.double().sum()), float(defect.mask.double().sum())]
        for defect in bank.defects
    ]
    return seal({"defects": rows})


def usable(bank: DefectBank, held_back: Sequence[ImageRecord]) -> tuple[DefectBank, list[str]]:
    """Leave out defects that training must not see.

    Args:
        bank: All that are confirmed.
        held_back: Images that select, calibrate or test.

    Returns:
        Those that come from none of these images, and of none of their groups and parts; and the names of the others.
        What a network made has seen all confirmed defects of the bank, so that none of it is kept where one of these
        is left out.
    """
    groups = {record.group for record in held_back} | {record.part for record in held_back}
    known = any(defect.image for defect in bank.defects)
    images = {file_sha256(record.path)[:32] for record in held_back} if known else set()
    kept = bank.where(lambda defect: defect.group not in groups and not (defect.image and defect.image in images))
    if len(kept) < len(bank):
        kept = kept.where(lambda defect: not defect.made)
    names = {defect.name for defect in kept.defects}
    return kept, [defect.name for defect in bank.defects if defect.name not in names]
