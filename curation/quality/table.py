"""All measurements of a data set, in columns; pictures stream by and are not kept."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from curation.quality.cache import Cache
from curation.quality.measure import NUMBERS, SIGNATURE, Measured, measure
from curation.quality.places import PLACES
from learning.errors import DataError
from learning.images.records import ImageRecord
from learning.progress import Progress, silent

_READERS, _AHEAD, _KEPT = 4, 16, 64

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Table:
    """Images and what was measured of them.

    Attributes:
        records: ``N`` images.
        numbers: ``[N, len(NUMBERS)]`` float32; NaN where an image cannot be read.
        signatures: ``[N, SIGNATURE]`` float16.
        places: ``[N, PLACES]`` float16.
        checksums: ``N`` SHA-256 of the files; empty where one cannot be opened.
        pixels: ``N`` checksums of the pixels; empty where an image cannot be read.
        problems: Place of each image that cannot be read, and why.
    """

    records: Sequence[ImageRecord]
    numbers: NDArray[np.float32]
    signatures: NDArray[np.float16]
    places: NDArray[np.float16]
    checksums: Sequence[bytes]
    pixels: Sequence[bytes]
    problems: dict[int, str]

    def column(self, name: str) -> NDArray[np.float32]:
        """``[N]`` of one of ``NUMBERS``."""
        return self.numbers[:, NUMBERS.index(name)]

    @property
    def strata(self) -> NDArray[np.str_]:
        """``[N]`` the camera of each image: what is usual for one is not for another."""
        return np.array([record.camera or "" for record in self.records], dtype=np.str_)

    @property
    def readable(self) -> NDArray[np.bool_]:
        """``[N]``."""
        return np.isfinite(self.numbers[:, 0])


def measure_all(records: Sequence[ImageRecord], cache: Cache, progress: Progress = silent) -> Table:
    """Measure images, several at once; what the cache knows is not decoded again.

    Memory: some 2.5 KB for each image, and no pictures but those that are being read.

    Args:
        records: The images.
        cache: Written every few images, so that a run that was stopped goes on.
        progress: Told how many are done.
    """
    numbers = np.full((len(records), len(NUMBERS)), np.nan, dtype=np.float32)
    signatures = np.zeros((len(records), SIGNATURE), dtype=np.float16)
    places = np.zeros((len(records), PLACES), dtype=np.float16)
    checksums, pixels, problems = [b""] * len(records), [b""] * len(records), {}
    new: list[tuple[bytes, Measured]] = []
    known: deque[Measured | None] = deque()

    def hashed() -> Iterator[tuple[Path, bytes | str, bool]]:
        # The cache's connection belongs to this thread; readers only see whether there is something left to do.
        for path, checksum in ordered(_checksum, (record.path for record in records)):
            known.append(cache.measured(checksum) if isinstance(checksum, bytes) else None)
            yield path, checksum, known[-1] is None

    for place, ((_, checksum, _), result) in enumerate(ordered(_measured, hashed())):
        found = known.popleft() or result
        checksums[place] = checksum if isinstance(checksum, bytes) else b""
        if isinstance(found, Measured):
            numbers[place], signatures[place], pixels[place] = found.numbers, found.signature, found.pixels
            places[place] = found.places
        else:
            problems[place] = str(found)
        if isinstance(result, Measured):
            new.append((checksums[place], result))
        if len(new) >= _KEPT:
            cache.keep_measured(new)
            new = []
        progress(place + 1, len(records), "looking at pictures")
    cache.keep_measured(new)
    return Table(records, numbers, signatures, places, checksums, pixels, problems)


def ordered(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[Item, Result]]:
    """Each item with what ``work`` makes of it, in order, by several threads; few are ever waiting."""
    remaining = iter(items)
    with ThreadPoolExecutor(_READERS) as pool:
        waiting: deque[tuple[Item, Future[Result]]] = deque(
            (item, pool.submit(work, item)) for item in islice(remaining, _AHEAD)
        )
        try:
            while waiting:
                item, future = waiting.popleft()
                yield item, future.result()
                waiting.extend((following, pool.submit(work, following)) for following in islice(remaining, 1))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _checksum(path: Path) -> bytes | str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        return f"image {path} cannot be opened ({error.strerror})"


def _measured(item: tuple[Path, bytes | str, bool]) -> Measured | str | None:
    path, checksum, missing = item
    if isinstance(checksum, str):
        return checksum
    try:
        return measure(path) if missing else None
    except DataError as error:
        return str(error)
