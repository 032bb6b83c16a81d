"""Which hypothesis fits: the geometry in which good features that were never seen lie closer than flawed ones."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from synth.errors import SynthError
from synth.feature_level.shells import Hypothesis, check_features

_ROWS = 2048
"""Features whose distances to all good ones are held at once."""


@dataclass(frozen=True)
class Choice:
    """A hypothesis and what speaks for it.

    Attributes:
        hypothesis: The one of the higher separation; the manifold where both are the same.
        separation: For each hypothesis the AUROC (0..1) of its distance, flawed features against held-out good ones:
            to the nearest good feature (manifold), and to the centre of all (hypersphere). Empty where the hypothesis
            was given.
    """

    hypothesis: Hypothesis
    separation: dict[Hypothesis, float] = field(default_factory=dict)

    def evidence(self) -> dict[str, float]:
        """The separations by a name for reports."""
        return {f"separation under the {name} hypothesis": value for name, value in self.separation.items()}


def choose_hypothesis(good: Tensor, held_out: Tensor, flawed: Tensor) -> Choice:
    """Choose the geometry in which a shell around good features separates best.

    Under either hypothesis an anomaly is what is far: from the nearest good feature (manifold) or from the centre of
    all of them (hypersphere). Whichever distance tells flawed features from good ones better, neither of which it was
    fitted to, is the better place for a shell. Features of one compact cluster choose the hypersphere, those that are
    spread over a curve or several clusters choose the manifold. Every dimension counts by its deviation among the good
    features.

    The paper lets a person decide by the spectrum of the mean image (section on GLASS-j); see docs/synthesis.md for
    what both chose and which detector was the better one.

    Args:
        good: ``[N, D]`` features of good places, which make the geometry.
        held_out: ``[M, D]`` features of other good places.
        flawed: ``[K, D]`` features of places with synthetic flaws.

    Raises:
        SynthError: If one of them is no finite table or empty, or their widths differ.
    """
    tables = {"good": good, "held-out good": held_out, "flawed": flawed}
    for name, table in tables.items():
        check_features(table)
        if len(table) == 0 or table.shape[1] != good.shape[1]:
            msg = f"{name} features are {tuple(table.shape)}: a hypothesis takes some of each, {good.shape[1]} wide"
            raise SynthError(msg)
    deviation, centre = torch.std_mean(good.detach().float(), dim=0, correction=0)
    scale = torch.where(deviation > 0, deviation, 1.0)
    known, unseen, wrong = ((table.detach().float() - centre) / scale for table in (good, held_out, flawed))
    separation = {
        Hypothesis.MANIFOLD: _auroc(_to_nearest(unseen, known), _to_nearest(wrong, known)),
        Hypothesis.HYPERSPHERE: _auroc(unseen.norm(dim=1), wrong.norm(dim=1)),
    }
    return Choice(max(separation, key=lambda one: separation[one]), separation)


def _to_nearest(features: Tensor, known: Tensor) -> Tensor:
    """Distance of features ``[N, D]`` to the nearest of the known ones ``[M, D]``; ``[N]``."""
    return torch.cat([torch.cdist(some, known).amin(dim=1) for some in features.split(_ROWS)])


def _auroc(negative: Tensor, positive: Tensor) -> float:
    """Share of the pairs in which the positive one is higher, ties counting half (Mann and Whitney, 1947)."""
    ordered = negative.sort().values
    below = torch.searchsorted(ordered, positive.contiguous(), side="left")
    up_to = torch.searchsorted(ordered, positive.contiguous(), side="right")
    return float((below + up_to).double().mean()) / (2 * len(ordered))
