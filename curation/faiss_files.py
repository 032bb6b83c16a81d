"""A vector store in a folder: generations with checksums, and a cache of what this process has read.

Every save writes a new generation beside the old one and then moves the manifest, so that a reader sees the old
state or the new one and never a mixture.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import shutil
import threading
import uuid
from collections import OrderedDict
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import faiss
import numpy as np

from curation.faiss_effort import Effort
from curation.faiss_index import Floats, Ids, IndexOptions, Rows
from curation.faiss_store import VectorStore

logger = logging.getLogger(__name__)

FORMAT = 2
MANIFEST = "manifest.json"
INDEX = "index.faiss"
CACHED_STORES = 4
FULL_BYTES = 2**22
Stamp = tuple[int, int, int]


class DamagedIndexError(RuntimeError):
    """The files of an index are missing or not what was written."""


def save_store(store: VectorStore, folder: Path) -> VectorStore:
    """Write a new generation into the folder, then drop the old one.

    Returns:
        The store, its embeddings on disk: they leave memory.

    Raises:
        OSError: The disk is full or fails; what was there before stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    generation = folder / uuid.uuid4().hex[:12]
    temporary = folder / f"{MANIFEST}.{generation.name}"
    try:
        _write(store, generation)
        files = {file.name: _sha256(file) for file in sorted(generation.iterdir())}
        manifest = {
            "format": FORMAT,
            "count": len(store),
            "generation": generation.name,
            "effort": None if store.effort is None else asdict(store.effort),
            "sha256": files,
        }
        temporary.write_text(json.dumps(manifest, indent=1))
        temporary.replace(folder / MANIFEST)
    except BaseException:
        # A full disk, or Ctrl-C: the old generation stays, and half a new one would only take room.
        shutil.rmtree(generation, ignore_errors=True)
        temporary.unlink(missing_ok=True)
        raise
    for old in folder.iterdir():
        if old.is_dir() and old != generation:
            shutil.rmtree(old, ignore_errors=True)
    saved = replace(store, vectors=_vectors(generation, len(store)))
    now = stamp(folder)
    if now is not None:
        _keep(folder, now, saved)
    return saved


def _write(store: VectorStore, generation: Path) -> None:
    generation.mkdir()
    _save(generation / "vectors.npy", store.vectors)
    _save(generation / "sample_ids.npy", store.sample_ids.astype("S"))
    _save(generation / "positions.npy", store.positions)
    if store.label_ids is not None:
        _save(generation / "label_ids.npy", store.label_ids.astype("S"))
    if store.index is not None:
        try:
            faiss.write_index(store.index, str(generation / INDEX))
        except RuntimeError as error:
            # FAISS does not say which error it was; a full disk is the one that a person can do something about.
            full = shutil.disk_usage(generation).free < FULL_BYTES
            raise OSError(errno.ENOSPC if full else errno.EIO, str(error), str(generation / INDEX)) from error


def _save(file: Path, array: Floats | Rows | Ids) -> None:
    """Write an array piece by piece: NumPy's own way into a file does not say why a disk took only some of it."""
    with file.open("wb") as stream:
        np.save(SimpleNamespace(write=stream.write), array)


def load_store(folder: Path, options: IndexOptions) -> VectorStore:
    """Read the store of a folder; embeddings stay on disk until they are needed.

    Raises:
        DamagedIndexError: A file is missing or its checksum is not the one that was written.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        generation, sums = folder / manifest["generation"], manifest["sha256"]
        if manifest["format"] != FORMAT:
            msg = f"The similarity index in {folder} has format {manifest['format']}, this version reads {FORMAT}"
            raise DamagedIndexError(msg)
        for name, expected in sums.items():
            if name != INDEX and _sha256(generation / name) != expected:
                msg = f"The similarity index is damaged: {generation / name} is not what was written; rebuild it"
                raise DamagedIndexError(msg)
        vectors = _vectors(generation, manifest["count"])
        samples = np.load(generation / "sample_ids.npy").astype("U")
        labels = np.load(generation / "label_ids.npy").astype("U") if "label_ids.npy" in sums else None
        positions = np.load(generation / "positions.npy")
        store = VectorStore(options, vectors, samples, labels, positions, None)
        if INDEX not in sums:
            return store
        if not _is_whole(generation / INDEX, sums[INDEX]):
            # What it is made of is whole: no reason to trouble anybody.
            logger.warning("%s is damaged or gone; it is built anew from the embeddings beside it", generation / INDEX)
            return store.indexed()
        effort = Effort(**manifest["effort"])
        return replace(store, index=faiss.read_index(str(generation / INDEX)), effort=effort)
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = f"The similarity index in {folder} cannot be read ({error}); rebuild it"
        raise DamagedIndexError(msg) from error


_cache: OrderedDict[Path, tuple[Stamp, VectorStore]] = OrderedDict()
_cache_lock = threading.Lock()


def stamp(folder: Path) -> Stamp | None:
    """What changes when the store of a folder is written anew; None where there is none."""
    try:
        status = (folder / MANIFEST).stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size


def open_store(folder: Path, options: IndexOptions) -> tuple[Stamp | None, VectorStore]:
    """The store of a folder, read once per process: the App asks for it anew at every request.

    Returns:
        Its stamp and the store.

    Raises:
        DamagedIndexError: It cannot be read, or is not what was written.
    """
    while True:
        now = stamp(folder)
        with _cache_lock:
            known = _cache.get(folder)
            if known is not None and known[0] == now:
                _cache.move_to_end(folder)
                store = known[1]
                # A store of other options would forget what it has worked out.
                return now, store if store.options == options else replace(store, options=options)
        try:
            store = load_store(folder, options)
        except DamagedIndexError:
            if stamp(folder) != now:
                continue
            raise
        if now is None or stamp(folder) != now:
            continue
        _keep(folder, now, store)
        return now, store


def _keep(folder: Path, now: Stamp, store: VectorStore) -> None:
    with _cache_lock:
        _cache[folder] = (now, store)
        _cache.move_to_end(folder)
        while len(_cache) > CACHED_STORES:
            _cache.popitem(last=False)


def _vectors(generation: Path, count: int) -> Floats:
    vectors: Floats = np.load(generation / "vectors.npy", mmap_mode="r" if count else None)
    return vectors


def _is_whole(file: Path, expected: str) -> bool:
    return file.is_file() and _sha256(file) == expected


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
