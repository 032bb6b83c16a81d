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


def load(path: Path) -> np.ndarray:
    """Read a file of embeddings, float32 ``[N, D]``.

    Raises:
        LedgerError: If it cannot be read.
    """
    try:
        if path.suffix == ".npy":
            array = np.load(path, allow_pickle=False)
        else:
            (array,) = load_safetensors(path.read_bytes()).values()
    except (OSError, ValueError, SafetensorError) as error:
        msg = f"the embeddings {path} cannot be read ({error}); score the images again"
        raise LedgerError(msg) from error
    if array.ndim != 2:
        msg = f"the embeddings {path} have {array.ndim} dimensions, not rows and columns"
        raise LedgerError(msg)
    return np.asarray(array, dtype=np.float32)


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


def read(connection: Connection, model_id: str) -> tuple[list[str], np.ndarray]:
    """Read and verify all embeddings of a model; of each image the latest.

    Raises:
        LedgerError: If there are none, or a file is missing or was changed.
    """
    files = connection.execute(
        select(embedding_files).where(embedding_files.c.model_id == model_id).order_by(embedding_files.c.number)
    ).all()
    if not files:
        msg = f"the ledger has no embeddings of model {model_id}; score the images with it first"
        raise LedgerError(msg)
    latest: dict[str, np.ndarray] = {}
    for file in files:
        array = _verified(Path(file.path), file.sha256)
        ids = connection.execute(
            select(embedding_rows.c.image_id)
            .where(embedding_rows.c.file == file.number)
            .order_by(embedding_rows.c.position)
        ).scalars()
        latest |= dict(zip(ids, array, strict=True))
    widths = {len(vector) for vector in latest.values()}
    if len(widths) > 1:
        msg = f"the embeddings of model {model_id} have different widths: {sorted(widths)}; score the images again"
        raise LedgerError(msg)
    return list(latest), np.stack(list(latest.values())) if latest else np.zeros((0, 0), dtype=np.float32)


def _verified(path: Path, checksum: str) -> np.ndarray:
    if not path.is_file():
        msg = f"the embeddings {path} are gone; score the images again"
        raise LedgerError(msg)
    if sha256_of(path) != checksum:
        msg = f"the embeddings {path} were changed since they were recorded; score the images again"
        raise LedgerError(msg)
    return load(path)
