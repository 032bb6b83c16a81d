"""Embeddings lie in files; the ledger knows their checksums and which row is which image."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors
from sqlalchemy import Connection, select

from curation.errors import LedgerError
from curation.ledger.bulk import chunks
from curation.ledger.files import sha256_of
from curation.ledger.tables import embedding_files, embedding_rows
from curation.ledger.times import now


class Embedded:
    """Embeddings of a model, of each image the latest, left on disk until they are taken."""

    def __init__(self, parts: Sequence[tuple[Sequence[str], np.ndarray]]) -> None:
        """Know which row is whose.

        Args:
            parts: Image ids ``[N]`` and embeddings ``[N, D]`` of each file, the oldest first.
        """
        self._arrays = [array for _, array in parts]
        self._starts = np.cumsum([0, *(len(array) for array in self._arrays)])
        self._place: dict[str, int] = {}
        for start, (ids, array) in zip(self._starts.tolist(), parts, strict=False):
            self._place |= zip(ids, range(start, start + len(array)), strict=True)

    @property
    def ids(self) -> list[str]:
        """Of all images that have an embedding."""
        return list(self._place)

    @property
    def widths(self) -> set[int]:
        """Of the files that an embedding is read from; they should be one."""
        places = np.fromiter(self._place.values(), dtype=np.int64, count=len(self._place))
        return {self._arrays[file].shape[1] for file in np.unique(self._files(places))}

    def __contains__(self, image_id: object) -> bool:
        return image_id in self._place

    def take(self, image_ids: Sequence[str]) -> np.ndarray:
        """Read the embeddings of some images: float32 ``[N, D]``."""
        places = np.fromiter((self._place[key] for key in image_ids), dtype=np.int64, count=len(image_ids))
        files = self._files(places)
        used = np.unique(files)
        found = np.empty((len(places), self._arrays[used[0]].shape[1] if len(used) else 0), dtype=np.float32)
        for file in used:
            own = files == file
            found[own] = self._arrays[file][places[own] - self._starts[file]]
        return found

    def _files(self, places: np.ndarray) -> np.ndarray:
        return np.searchsorted(self._starts, places, side="right") - 1


def load(path: Path) -> np.ndarray:
    """Open a file of embeddings, ``[N, D]``; one of NumPy's stays on disk until rows of it are taken.

    Raises:
        LedgerError: If it cannot be read.
    """
    try:
        if path.suffix == ".npy":
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        else:
            (array,) = load_safetensors(path.read_bytes()).values()
    except (OSError, ValueError, SafetensorError) as error:
        msg = f"the embeddings {path} cannot be read ({error}); score the images again"
        raise LedgerError(msg) from error
    if array.ndim != 2:
        msg = f"the embeddings {path} have {array.ndim} dimensions, not rows and columns"
        raise LedgerError(msg)
    return np.asarray(array)


def check(path: Path, count: int) -> str:
    """Compare a file with the number of its images.

    Returns:
        Its checksum.

    Raises:
        LedgerError: If it cannot be read or has another number of rows.
    """
    rows = len(load(path))
    if rows != count:
        msg = f"the embeddings {path} have {rows} rows for {count} images"
        raise LedgerError(msg)
    return sha256_of(path)


def record(connection: Connection, model_id: str, path: Path, checksum: str, image_ids: Sequence[str]) -> None:
    """Write down a file; what the ledger knew of the same path is replaced."""
    files = embedding_files
    connection.execute(files.delete().where(files.c.model_id == model_id, files.c.path == str(path)))
    row = {"model_id": model_id, "path": str(path), "sha256": checksum, "recorded_at": now()}
    number = connection.execute(files.insert().values(row).returning(files.c.number)).scalar_one()
    rows = [{"file": number, "position": place, "image_id": key} for place, key in enumerate(image_ids)]
    for part in chunks(rows, 10_000):
        connection.execute(embedding_rows.insert(), list(part))


def keep_whole(connection: Connection, model_id: str) -> set[str]:
    """Forget files of a model that are gone or were changed, whose embeddings are lost.

    Returns:
        Images that have an embedding in one of the others.
    """
    files = embedding_files
    for file in connection.execute(select(files).where(files.c.model_id == model_id)).all():
        try:
            _verified(Path(file.path), file.sha256)
        except LedgerError:
            connection.execute(files.delete().where(files.c.number == file.number))
    rows = select(embedding_rows.c.image_id).join(files, files.c.number == embedding_rows.c.file)
    return set(connection.execute(rows.where(files.c.model_id == model_id)).scalars())


def opened(connection: Connection, model_id: str) -> Embedded:
    """Verify all embeddings of a model; of each image the latest counts.

    Raises:
        LedgerError: If there are none, or a file is missing or was changed.
    """
    files = connection.execute(
        select(embedding_files).where(embedding_files.c.model_id == model_id).order_by(embedding_files.c.number)
    ).all()
    if not files:
        msg = f"the ledger has no embeddings of model {model_id}; score the images with it first"
        raise LedgerError(msg)
    parts = []
    for file in files:
        array = _verified(Path(file.path), file.sha256)
        ids = connection.execute(
            select(embedding_rows.c.image_id)
            .where(embedding_rows.c.file == file.number)
            .order_by(embedding_rows.c.position)
        ).scalars()
        parts.append((ids.all(), array))
    found = Embedded(parts)
    if len(found.widths) > 1:
        msg = (
            f"the embeddings of model {model_id} have different widths: {sorted(found.widths)}; score the images again"
        )
        raise LedgerError(msg)
    return found


def _verified(path: Path, checksum: str) -> np.ndarray:
    if not path.is_file():
        msg = f"the embeddings {path} are gone; score the images again"
        raise LedgerError(msg)
    if sha256_of(path) != checksum:
        msg = f"the embeddings {path} were changed since they were recorded; score the images again"
        raise LedgerError(msg)
    return load(path)
