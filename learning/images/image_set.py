"""Preprocessed images by index, read when they are first needed."""

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

import numpy as np
import torch
from torch import Tensor

from learning.errors import DataError
from learning.images.pixels import read_image
from learning.images.preprocessing import Preprocessing, View
from learning.images.records import ImageRecord

CACHE_BYTES = 2**30
"""Memory that one set takes at most for images it has read; beyond it they are read anew each time."""


class ImageSet:
    """A sequence of preprocessed images; safe to read from several threads.

    Args:
        records: Records or paths of the images.
        preprocessing: Brings every image to one size.
        cache_bytes: Memory for images that were read, held as integers of the preprocessing's depth.
    """

    def __init__(
        self,
        records: Sequence[ImageRecord] | Sequence[Path],
        preprocessing: Preprocessing,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self.records = [item if isinstance(item, ImageRecord) else ImageRecord(path=Path(item)) for item in records]
        self.preprocessing = preprocessing
        self._dtype = np.uint16 if preprocessing.depth == 16 else np.uint8
        self._cached: dict[int, np.ndarray] = {}
        self._outlines: dict[int, Tensor] = {}
        self._room = cache_bytes
        self._lock = Lock()

    @property
    def paths(self) -> list[Path]:
        """Files of the images."""
        return [record.path for record in self.records]

    @property
    def groups(self) -> list[str]:
        """Group of each image."""
        return [record.group for record in self.records]

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Tensor:
        """Return one image, ``[C, h, w]`` float32, 0..1.

        Raises:
            DataError: If the file cannot be read.
        """
        return self._to_tensor(self._load(range(len(self))[index]))

    def batch(self, indices: Iterable[int]) -> Tensor:
        """Return several images, ``[B, C, h, w]`` float32, 0..1.

        Raises:
            DataError: Naming every file among them that cannot be read.
        """
        wanted = self._places(indices)
        missing = [index for index in dict.fromkeys(wanted) if index not in self._cached]
        fresh: dict[int, np.ndarray] = {}
        if len(missing) > 1:
            fresh = self._load_many(missing)
        return torch.stack([self._to_tensor(fresh[i] if i in fresh else self._load(i)) for i in wanted])

    def outlines(self, indices: Iterable[int]) -> Tensor:
        """Where the parts are in the images of ``batch``: ``[B, 1, h, w]`` float32, 0 or 1.

        Raises:
            DataError: If a file cannot be read.
        """
        return torch.stack([self._outline(index) for index in self._places(indices)]).float()[:, None]

    def view(self, index: int) -> View:
        """Return one image with where it lies in its picture; read anew each time.

        Raises:
            DataError: If the file cannot be read.
        """
        return self.preprocessing.look(read_image(self.records[range(len(self))[index]].path))

    def _places(self, indices: Iterable[int]) -> list[int]:
        return [range(len(self))[index] for index in indices]

    def _outline(self, index: int) -> Tensor:
        outline = self._outlines.get(index)
        if outline is None:
            outline = self.preprocessing.outline(read_image(self.records[index].path))
            with self._lock:
                if index not in self._outlines and outline.nbytes <= self._room:
                    self._outlines[index] = outline
                    self._room -= outline.nbytes
        return outline

    def _load_many(self, indices: list[int]) -> dict[int, np.ndarray]:
        loaded: dict[int, np.ndarray] = {}
        reasons: list[str] = []
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            for index, future in [(index, pool.submit(self._load, index)) for index in indices]:
                try:
                    loaded[index] = future.result()
                except DataError as error:
                    reasons.append(str(error))
        if reasons:
            raise DataError("; ".join(reasons))
        return loaded

    def _load(self, index: int) -> np.ndarray:
        held = self._cached.get(index)
        if held is not None:
            return held
        image = self.preprocessing.apply(read_image(self.records[index].path))
        pixels = (image * np.iinfo(self._dtype).max).round().numpy().astype(self._dtype)
        with self._lock:
            if index not in self._cached and pixels.nbytes <= self._room:
                self._cached[index] = pixels
                self._room -= pixels.nbytes
        return pixels

    def _to_tensor(self, pixels: np.ndarray) -> Tensor:
        return torch.from_numpy(pixels.astype(np.float32)) / float(np.iinfo(self._dtype).max)
