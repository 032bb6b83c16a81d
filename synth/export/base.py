"""What a layout is: files for each image, and files for the whole set."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Sample:
    """A flawed image whose picture and mask are on disk.

    Attributes:
        name: ``images/<name>.png`` and ``masks/<name>.png``.
        instances: ``[H, W]`` bool, the pixels of each flaw.
        families: Family of each flaw.
        digests: SHA-256 of the files that are on disk, by their path in the set.
    """

    name: str
    instances: Sequence[NDArray[np.bool_]]
    families: Sequence[str]
    digests: dict[str, str]


class Layout(ABC):
    """Base of the layouts. Nothing of an image is kept but what ``add`` returns."""

    name: ClassVar[str]

    @abstractmethod
    def add(self, folder: Path, sample: Sample, families: Sequence[str]) -> tuple[dict[str, str], Any]:
        """Write what this layout has for one image.

        Args:
            folder: Of the set.
            sample: The image.
            families: That may occur, in the order of their numbers.

        Returns:
            SHA-256 of the files written, by their path in the set; and plain data for ``finish``.

        Raises:
            SynthError: If the disk does not take them.
        """

    @abstractmethod
    def finish(self, folder: Path, added: Iterable[tuple[str, Any]], families: Sequence[str]) -> dict[str, str]:
        """Write what this layout has for the whole set.

        Args:
            folder: Of the set.
            added: Name of each image and what ``add`` returned for it, in order; read once, as it may be long.
            families: That may occur, in the order of their numbers.

        Returns:
            SHA-256 of the files written, by their path in the set.

        Raises:
            SynthError: If the disk does not take them.
        """
