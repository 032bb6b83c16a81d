"""Where each value of a stream lies among all before it: the p-values of online conformal prediction."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def ranks_of(
    stream: ArrayLike,
    ties: ArrayLike,
    reference: ArrayLike = (),
    strata: Sequence[Hashable] | None = None,
) -> Floats:
    """Rank of each value among the reference and all that came before it, as a number in (0, 1).

    As long as reference and stream are exchangeable, the ranks are independent and uniform, whatever the distribution:
    smoothed p-values of online conformal prediction (Vovk, Gammerman & Shafer, "Algorithmic Learning in a Random
    World", 2nd edition 2022, theorem 2.8 and section 8.2). A fixed reference would not do: p-values that
    share it depend on each other.

    Args:
        stream: ``[N]``, in their order.
        ties: ``[N]`` in (0, 1), drawn without looking at the values: decides between equal ones.
        reference: ``[R]`` values that came before.
        strata: ``[N]`` where given, a value is ranked among those of its own stratum only, without the reference. Then
            strata may differ from each other; it is enough that values within each of them are exchangeable.

    Returns:
        ``[N]``; near 1 where a value is higher than most before it.
    """
    values = np.asarray(stream, dtype=np.float64)
    chances = np.asarray(ties, dtype=np.float64)
    earlier: dict[Hashable, list[float]] = {}
    start = sorted(np.asarray(reference, dtype=np.float64).tolist()) if strata is None else []
    found = np.empty(len(values))
    for place, value in enumerate(values.tolist()):
        own = earlier.setdefault(None if strata is None else strata[place], list(start))
        below = bisect_left(own, value)
        equal = bisect_right(own, value) - below
        found[place] = (below + chances[place] * (equal + 1)) / (len(own) + 1)
        insort(own, value)
    return found
