"""Good parts of a bundle as they lie on disk now, and flaws made up on them."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from torch import Generator, Tensor

from learning.errors import ExportError
from learning.flaw_sources import NO_SOURCES
from learning.images.image_set import ImageSet
from learning.images.readers import find_images
from synth.image_level import Synthesizer

_BATCH = 16

Item = TypeVar("Item")


def find_parts(names: Sequence[str], folder: Path | None) -> list[Path]:
    """Find a bundle's images.

    Args:
        names: Files as the bundle names them.
        folder: Where the data lie now, if they were moved: the file with the longest equal end of its path is taken.

    Returns:
        A file for each name.

    Raises:
        ExportError: If one is not there, or several files could be meant.
    """
    if folder is None:
        gone = [name for name in names if not Path(name).is_file()]
        if gone:
            msg = (
                f"{len(gone)} of the {len(names)} good images that made the bundle are not there any more, such as "
                f"{gone[0]}; say where the data lie now: --calibrate DATA"
            )
            raise ExportError(msg)
        return [Path(name) for name in names]
    by_name: dict[str, list[Path]] = defaultdict(list)
    for file in find_images([folder]):
        by_name[file.name].append(file)
    return [_best(Path(name), by_name[Path(name).name], folder) for name in names]


def evenly(items: Sequence[Item], most: int) -> list[Item]:
    """At most so many of them, evenly spaced."""
    chosen = torch.linspace(0, len(items) - 1, min(most, len(items))).round().int().tolist()
    return [items[i] for i in chosen]


def flawed_parts(images: ImageSet, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Good parts in batches, and the same parts with flaws of all families.

    Args:
        images: Good parts.
        seed: Of the flaws.

    Yields:
        ``[B, C, h, w]`` good parts; ``[F, C, h, w]`` those of them on which a flaw can be seen, rounded as
        preprocessing rounds.
    """
    levels = 2**images.preprocessing.depth - 1
    generator = Generator().manual_seed(seed)
    for first in range(0, len(images), _BATCH):
        rows = range(first, min(first + _BATCH, len(images)))
        good = images.batch(rows)
        recipe = NO_SOURCES.synthesizer(None).draw(generator, len(good))
        context = NO_SOURCES.context(generator, good, images.outlines(rows), good.flip(0))
        flawed, masks = Synthesizer.apply(good, recipe, context)
        seen = masks.flatten(1).amax(dim=1) > 0
        yield good, (flawed[seen].clamp(0, 1) * levels).round() / levels


def _best(name: Path, candidates: Sequence[Path], folder: Path) -> Path:
    def equal_end(file: Path) -> int:
        parts = zip(reversed(file.absolute().parts), reversed(name.parts), strict=False)
        return next((i for i, (one, other) in enumerate(parts) if one != other), len(name.parts))

    ranked = sorted(candidates, key=equal_end, reverse=True)
    if not ranked or (len(ranked) > 1 and equal_end(ranked[0]) == equal_end(ranked[1])):
        what = "is not" if not ranked else "could be several of the files"
        msg = f"{name}, a good image that made the bundle, {what} in {folder}; give the data set that it was trained on"
        raise ExportError(msg)
    return ranked[0]
