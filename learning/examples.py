"""Pictures with their anomaly maps, the most and the least suspicious of each class: what figures do not show."""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from learning.errors import DataError
from learning.images.pixels import read_image, read_mask
from learning.images.records import GOOD
from learning.scoring import ImageScore, grey_map
from synth.contact import contact_sheet, outlined

_SIDE = 176


@dataclass(frozen=True)
class _Example:
    score: float
    pictures: Tensor
    """``[2, 3, side, side]``: the picture with the outline of its mask, and its map over it."""


@dataclass
class Examples:
    """Keeps a few images of each class while a set is scored, already drawn: memory does not grow with the set.

    Args:
        map_range: Values of the map that are not tinted at all, and fully; see ``Manifest.map_range``.
        each: Images of a class with the highest score, and as many with the lowest.
    """

    map_range: tuple[float, float]
    each: int = 5
    _highest: dict[str, list[_Example]] = field(default_factory=dict)
    _lowest: dict[str, list[_Example]] = field(default_factory=dict)

    def add(self, item: ImageScore) -> None:
        """Take note of a scored image, its map still with it."""
        score, label = item.decision_score, item.record.label
        highest, lowest = self._highest.setdefault(label, []), self._lowest.setdefault(label, [])
        among_highest = len(highest) < self.each or score > highest[-1].score
        among_lowest = len(lowest) < self.each or score < lowest[-1].score
        if not (among_highest or among_lowest):
            return
        drawn = _Example(score, self._draw(item))
        if among_highest:
            highest[:] = sorted([*highest, drawn], key=lambda one: -one.score)[: self.each]
        if among_lowest:
            lowest[:] = sorted([*lowest, drawn], key=lambda one: one.score)[: self.each]

    def write(self, out: Path, threshold: float) -> None:
        """Write a sheet: two rows for each class, good ones last, each picture beside its map.

        Args:
            out: A JPEG where its name ends in ``.jpg``, else a PNG.
            threshold: Images with a higher score are said to be rejected.

        Raises:
            DataError: If there is nothing to show.
            SynthError: If the sheet cannot be written.
        """
        rows, labels = [], []
        for label in sorted(self._highest, key=lambda name: (name == GOOD, name)):
            for which, examples in (("highest", self._highest[label]), ("lowest", self._lowest[label])):
                rows.append(torch.cat([one.pictures for one in examples]))
                scores = ", ".join(f"{one.score:.3g}" for one in examples)
                rejected = sum(one.score > threshold for one in examples)
                labels.append(f"{label}, {which} scores: {scores}; {rejected} of {len(examples)} above {threshold:.3g}")
        if not rows:
            msg = "no image was scored, so that there is nothing to show"
            raise DataError(msg)
        contact_sheet(rows, out, labels, side=_SIDE)

    def _draw(self, item: ImageScore) -> Tensor:
        picture = read_image(item.record.path)
        size = (picture.shape[-2], picture.shape[-1])
        mask = torch.zeros(size) if item.record.mask is None else read_mask(item.record.mask, size).float()
        heat = torch.from_numpy(grey_map(item.map, self.map_range)) / 255
        grey, marked, shown = (_fitted(plane) for plane in (_levels(picture), mask[None], heat[None]))
        return torch.cat([outlined(grey, (marked > 0).float()), _tinted(grey, shown)])


def _levels(picture: Tensor) -> Tensor:
    """``[3, H, W]``, from the darkest to the brightest of the picture: cameras of 12 bits leave most of 16 unused."""
    colours = picture.expand(3, -1, -1) if len(picture) == 1 else picture[:3]
    low, high = colours.amin(), colours.amax()
    return (colours - low) / (high - low).clamp_min(1e-6)


def _fitted(plane: Tensor) -> Tensor:
    """``[C, H, W]`` into the middle of ``[1, C, side, side]``, in its proportions; black around it."""
    height, width = plane.shape[-2:]
    scale = _SIDE / max(height, width)
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    small = functional.interpolate(plane[None], size, mode="bilinear", antialias=True)
    down, across = _SIDE - size[0], _SIDE - size[1]
    return functional.pad(small, (across // 2, across - across // 2, down // 2, down - down // 2))


def _tinted(grey: Tensor, heat: Tensor) -> Tensor:
    """Darkened where nothing is suspected; from orange to yellow where something is."""
    warm = torch.cat([torch.ones_like(heat), 0.25 + 0.75 * heat, 0.1 * heat], dim=1)
    return torch.lerp(0.55 * grey, warm, 0.85 * heat)
