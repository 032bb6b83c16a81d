"""A vector store in a folder: generations with checksums, and a cache of what this process has read.

Every save writes a new generation beside the old one and then moves the manifest, so that a reader sees the old
state or the new one and never a mixture.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
import uuid
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np

from curation.faiss_index import IndexOptions, build_index
from curation.faiss_store import VectorStore

FORMAT = 1
MANIFEST = "manifest.json"
CACHED_STORES = 4
Stamp = tuple[int, int, int]


class DamagedIndexError(RuntimeError):
    """The files of an index are missing or not what was written."""


def save_store(store: VectorStore, folder: Path) -> None:
    """Write a new generation into the folder, then drop the old one."""
    folder.mkdir(parents=True, exist_ok=True)
    generation = folder / uuid.uuid4().hex[:12]
    generation.mkdir()
    np.save(generation / "vectors.npy", store.vectors)
    np.save(generation / "sample_ids.npy", store.sample_ids.astype("S"))
    np.save(generation / "positions.npy", store.positions)
    if store.label_ids is not None:
        np.save(generation / "label_ids.npy", store.label_ids.astype("S"))
    if store.index is not None and not store.is_exact:
        faiss.write_index(store.index, str(generation / "index.faiss"))
    files = {file.name: _sha256(file) for file in sorted(generation.iterdir())}
    manifest = {"format": FORMAT, "count": len(store), "generation": generation.name, "sha256": files}
    temporary = folder / f"{MANIFEST}.{generation.name}"
    temporary.write_text(json.dumps(manifest, indent=1))
    temporary.replace(folder / MANIFEST)
    for old in folder.iterdir():
        if old.is_dir() and old != generation:
            shutil.rmtree(old, ignore_errors=True)


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
            if _sha256(generation / name) != expected:
                msg = f"The similarity index is damaged: {generation / name} is not what was written; rebuild it"
                raise DamagedIndexError(msg)
        vectors = np.load(generation / "vectors.npy", mmap_mode="r" if manifest["count"] else None)
        samples = np.load(generation / "sample_ids.npy").astype("U")
        labels = np.load(generation / "label_ids.npy").astype("U") if "label_ids.npy" in sums else None
        positions = np.load(generation / "positions.npy")
        index: faiss.Index | None = None
        if "index.faiss" in sums:
            index = faiss.read_index(str(generation / "index.faiss"))
        elif len(vectors):
            index = build_index(vectors, replace(options, kind="flat"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = f"The similarity index in {folder} cannot be read ({error}); rebuild it"
        raise DamagedIndexError(msg) from error
    return VectorStore(options, vectors, samples, labels, positions, index)


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
                return now, replace(known[1], options=options)
        try:
            store = load_store(folder, options)
        except DamagedIndexError:
            if stamp(folder) != now:
                continue
            raise
        if now is None or stamp(folder) != now:
            continue
        with _cache_lock:
            _cache[folder] = (now, store)
            while len(_cache) > CACHED_STORES:
                _cache.popitem(last=False)
        return now, store


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
