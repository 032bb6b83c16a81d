"""How far a part departs from what good parts look like, beside what a network makes of it.

A network that knows made-up flaws looks past what none of them resembles: a bent shank is sharp and clean everywhere, a
thread that is worn off as smooth as a shank. That they are not what belongs there needs no flaw to be learnt.
"""

from typing import Self

import torch
from torch import Tensor

from learning.detectors.inputs import logarithm, surroundings

_KEY = "departure.usual"

_SHARE = 0.001
"""Of the places, those that depart most: their mean is what a part is judged by."""

_HELD_BACK = 1.0
"""Standard deviations of good parts by which a departure has to exceed a network's score to count as much."""

_LEAST = 1e-3
_LEAST_SCORE = 1e-6
_FEWEST = 5
"""With fewer held-out parts nobody knows what is usual for a good one."""


class Departure:
    """Brings departures to the scale of a network's scores.

    Args:
        usual: ``[4]``: median and deviation of the logits of a network's scores, and of the logarithm of departures,
            on good parts that neither has learnt from.
    """

    def __init__(self, usual: Tensor) -> None:
        self.usual = usual

    @classmethod
    def fit(cls, scores: Tensor, deviations: Tensor) -> Self | None:
        """Learn what is usual.

        Args:
            scores: ``[N]`` of a network, 0..1, of good parts that it has not learnt from.
            deviations: ``[N, 2C, h, w]`` of the same parts, as a reference gives them.

        Returns:
            None with fewer than 5 parts.
        """
        if len(scores) < _FEWEST:
            return None
        logits = scores.double().logit(_LEAST_SCORE)
        departing = _most(departures(deviations).log())
        found = [one for each in (logits, departing) for one in (each.median(), each.std().clamp_min(_LEAST))]
        return cls(torch.stack(found).float())

    def join(self, scores: Tensor, maps: Tensor, deviations: Tensor) -> tuple[Tensor, Tensor]:
        """Let a part be suspicious by its score or by its departure; the more of both, the more so.

        Scores are standardised by those of good parts, and so are departures; the result is the logarithm of the sum of
        their exponentials.

        Args:
            scores: ``[B]`` of a network, 0..1.
            maps: ``[B, 1, h, w]``, 0..1.
            deviations: ``[B, 2C, H, W]``, H and W at least h and w.

        Returns:
            Scores and maps, none lower than before.
        """
        height, width = maps.shape[-2:]
        found = logarithm(departures(deviations)[..., :height, :width])
        middle, spread, usual, unusual = self.usual.unbind()
        own = (scores.clamp(_LEAST_SCORE, 1 - _LEAST_SCORE).logit() - middle) / spread
        departing = (_most(found) - usual) / unusual - _HELD_BACK
        joined = middle + spread * torch.logaddexp(own, departing)
        places = middle + spread * ((found - usual) / unusual - _HELD_BACK)
        return joined.sigmoid().maximum(scores), maps.maximum(places.sigmoid())

    def arrays(self) -> dict[str, Tensor]:
        """What is stored beside the weights."""
        return {_KEY: self.usual}

    @classmethod
    def of_arrays(cls, arrays: dict[str, Tensor]) -> Self | None:
        """Take what ``arrays`` gave out of the arrays of a file; None where it holds none."""
        return cls(arrays.pop(_KEY)) if _KEY in arrays else None


def departures(deviations: Tensor) -> Tensor:
    """Root mean square of the deviations around each place: ``[B, 2C, h, w]`` to ``[B, 1, h, w]``, above zero."""
    return surroundings(deviations.square().mean(dim=1, keepdim=True).sqrt()).clamp_min(_LEAST)


def _most(values: Tensor) -> Tensor:
    flat = values.flatten(1)
    return flat.topk(max(1, round(_SHARE * flat.shape[1])), dim=1).values.mean(dim=1)
