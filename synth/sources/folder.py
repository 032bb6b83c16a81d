"""A folder of textures, such as DTD (Cimpoi et al., "Describing Textures in the Wild", 2014)."""

from collections.abc import Sequence
from pathlib import Path
from threading import Lock

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional

from synth.errors import SynthError
from synth.pictures import fit_picture, read_picture

CACHE_BYTES = 2**28
"""Memory that the images of one folder take at most; beyond it they are read anew each time."""

_ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})


class TextureFolder:
    """Images to take textures from; safe to use from several threads.

    A folder may hold images, class folders of images, or as DTD comes an ``images`` folder with class folders.

    Args:
        folder: Where they are.
        cache_bytes: Memory for images that were read, held as 8-bit integers.

    Raises:
        SynthError: If there is no such folder, or no image in it.
    """

    def __init__(self, folder: Path, cache_bytes: int = CACHE_BYTES) -> None:
        if not folder.is_dir():
            msg = f"{folder} is no folder; name one that holds pictures of textures, or class folders of them"
            raise SynthError(msg)
        root = folder / "images" if (folder / "images").is_dir() else folder
        files = [path for pattern in ("*", "*/*") for path in root.glob(pattern) if path.is_file()]
        self.files = sorted(p for p in files if p.suffix.lower() in _ENDINGS and not p.name.startswith("."))
        if not self.files:
            msg = f"{folder} holds no images of textures ({', '.join(sorted(_ENDINGS))}), nor do folders in it"
            raise SynthError(msg)
        self.classes = sorted({path.parent.name for path in self.files if path.parent != root})
        self._cached: dict[int, np.ndarray] = {}
        self._room = cache_bytes
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self.files)

    def read(self, which: Sequence[int], channels: int, size: tuple[int, int]) -> Tensor:
        """Textures by index, ``[N, channels, h, w]``, 0..1.

        An image is cut to its middle where its shape is another one, rather than squeezed.

        Raises:
            SynthError: Naming the file, if one cannot be read.
        """
        return torch.stack([_cover(self._load(index), channels, size) for index in which])

    def draw(self, generator: Generator, count: int, channels: int, size: tuple[int, int]) -> Tensor:
        """Textures at random, ``[count, channels, h, w]``, 0..1; no more of them than there are.

        Raises:
            SynthError: Naming the file, if one cannot be read.
        """
        which = torch.randperm(len(self), generator=generator)[:count].tolist()
        return self.read(which, channels, size)

    def _load(self, index: int) -> Tensor:
        held = self._cached.get(index)
        if held is None:
            held = (read_picture(self.files[index]) * 255).round().byte().numpy()
            with self._lock:
                if index not in self._cached and held.nbytes <= self._room:
                    self._cached[index] = held
                    self._room -= held.nbytes
        return torch.from_numpy(held).float() / 255


def _cover(picture: Tensor, channels: int, size: tuple[int, int]) -> Tensor:
    """Scale a picture so that it covers a size, and cut its middle out."""
    height, width = picture.shape[-2:]
    factor = max(size[0] / height, size[1] / width)
    scaled = (max(size[0], round(height * factor)), max(size[1], round(width * factor)))
    top, left = (scaled[0] - size[0]) // 2, (scaled[1] - size[1]) // 2
    if scaled != (height, width):
        picture = functional.interpolate(picture[None], scaled, mode="bilinear", antialias=True)[0].clamp(0, 1)
    return fit_picture(picture[:, top : top + size[0], left : left + size[1]], channels, size)
