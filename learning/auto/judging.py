"""What candidates are judged on: held-out good parts, and flaws of families that none of them was trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learning.errors import DataError
from learning.intervals import group_bootstrap
from learning.metrics import image_auroc
from synth.families.base import Context
from synth.image_level import Synthesizer

if TYPE_CHECKING:
    from learning.detectors import Detector
    from learning.images.image_set import ImageSet

_GOOD = ""
_BATCH = 16

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Exam:
    """Images to be judged on.

    Attributes:
        images: ``[N, C, h, w]``, 0..1.
        families: ``[N]`` family of the flaw on each; empty on a good part.
        groups: ``[N]`` group of the part.
    """

    images: Tensor
    families: NDArray[np.str_]
    groups: list[str]

    @property
    def flaws(self) -> int:
        """Flawed images among them."""
        return int((self.families != _GOOD).sum())

    def scores(self, detector: "Detector") -> Floats:
        """``[N]`` scores of a trained detector."""
        parts = [detector.predict(some).scores for some in self.images.split(_BATCH)]
        return torch.cat(parts).double().cpu().numpy()

    def by_family(self, scores: Floats) -> dict[str, float]:
        """Image AUROC of each family against the good parts."""
        every = np.arange(len(scores))
        return {family: self._auroc(scores, every, family) for family in self._judging}

    def interval(self, scores: Floats, others: Floats | None = None) -> tuple[float, float]:
        """95 % interval of the mean AUROC, or of how far it lies above that of ``others`` on the same images."""

        def statistic(chosen: NDArray[np.intp]) -> float:
            mean = self._mean(scores, chosen)
            return mean if others is None else mean - self._mean(others, chosen)

        return group_bootstrap(statistic, self.groups)

    @property
    def _judging(self) -> list[str]:
        return sorted(set(self.families.tolist()) - {_GOOD})

    def _mean(self, scores: Floats, chosen: NDArray[np.intp]) -> float:
        return float(np.mean([self._auroc(scores, chosen, family) for family in self._judging]))

    def _auroc(self, scores: Floats, chosen: NDArray[np.intp], family: str) -> float:
        shown = self.families[chosen]
        rows = chosen[(shown == _GOOD) | (shown == family)]
        return image_auroc(scores[rows], self.families[rows] == family)


def set_exam(held_out: "ImageSet", families: Sequence[str], most: int, seed: int) -> Exam:
    """Take good parts as they are, and each with one flaw of each family; flaws that cannot be seen are left out.

    Args:
        held_out: Good parts that no candidate has seen.
        families: Flaw families that no candidate is trained on.
        most: Good parts to take at most.
        seed: Of which parts and which flaws.

    Raises:
        DataError: If no flaw can be seen on any of them.
    """
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(held_out), generator=generator)[:most].tolist()
    good = held_out.batch(chosen)
    groups = [held_out.groups[i] for i in chosen]
    context = Context(held_out.outlines(chosen), good.flip(0))
    images, painted, belongs = [good], [_GOOD] * len(good), list(groups)
    for family in families:
        recipe = Synthesizer([family], flaws_per_image=(1, 1)).draw(generator, len(good))
        flawed, masks = Synthesizer.apply(good, recipe, context)
        seen = (masks.flatten(1).amax(dim=1) > 0).nonzero().flatten().tolist()
        images.append(flawed[seen])
        painted += [family] * len(seen)
        belongs += [groups[i] for i in seen]
    if len(painted) == len(good):
        msg = "no made-up flaw can be seen on the held-out good parts, so that auto has nothing to choose by; name a "
        msg += "detector"
        raise DataError(msg)
    return Exam(torch.cat(images), np.array(painted), belongs)
