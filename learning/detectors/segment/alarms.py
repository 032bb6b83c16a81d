"""What a network says of good parts, place by place, where parts lie alike: it says the same of the next good one."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from learning.images.image_set import ImageSet

_KEY = "alarms.logits"

_SHARE = 0.5
"""Of what good parts raise, that is taken off: all of it would hide what lies where they differ most."""

_AROUND = 5
"""Side in pixels of the places that count as one: parts do not lie alike to the pixel."""

MOST = 64
"""Good parts that are looked at."""

_BATCH = 8
_LEAST = 1e-6


class Alarms:
    """Half of the highest log-odds that good parts raise at each place, above what they raise at most places.

    Labels with another text on each part and joints that shine now and then look flawed to a network again and again.
    That the highest of several parts is taken, not their mean, lets one in so many count, too.

    Args:
        logits: ``[1, h, w]``, 0 or above.
    """

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits

    @classmethod
    def of_good(cls, maps: Callable[[Tensor], Tensor], good: "ImageSet") -> Self:
        """Look at good parts.

        Args:
            maps: From images ``[B, C, h, w]`` to probabilities ``[B, 1, h, w]``.
            good: Parts; of more than 64, some all over them. They may be those that the network has learnt from.
        """
        chosen = np.unique(np.linspace(0, len(good) - 1, min(len(good), MOST)).round().astype(int)).tolist()
        highest = None
        for first in range(0, len(chosen), _BATCH):
            found = log_odds(maps(good.batch(chosen[first : first + _BATCH]))).amax(dim=0)
            highest = found if highest is None else highest.maximum(found)
        assert highest is not None
        around = functional.max_pool2d(highest[None], _AROUND, stride=1, padding=_AROUND // 2)[0]
        return cls(_SHARE * (around - around.median()).clamp_min(0))

    def quieten(self, maps: Tensor) -> Tensor:
        """Take them off probabilities ``[B, 1, h, w]``."""
        return (log_odds(maps) - self.logits).sigmoid()

    def arrays(self) -> dict[str, Tensor]:
        """What is stored beside the weights."""
        return {_KEY: self.logits}

    @classmethod
    def of_arrays(cls, arrays: dict[str, Tensor]) -> Self | None:
        """Take what ``arrays`` gave out of the arrays of a file; None where it holds none."""
        return cls(arrays.pop(_KEY)) if _KEY in arrays else None


def log_odds(maps: Tensor) -> Tensor:
    """Of probabilities, none of them nearer to 0 or 1 than a millionth."""
    return torch.logit(maps.float(), eps=_LEAST)
