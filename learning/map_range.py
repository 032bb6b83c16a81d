"""What anomaly maps usually look like on good parts, so that pictures show only what goes beyond it."""

from statistics import median

from torch import Tensor

USUAL = 0.99
"""Share of a usual good part that stays black."""


class MapRange:
    """Gathers maps of held-out good parts, and says where in pictures black ends and white begins."""

    def __init__(self) -> None:
        self._usual: list[float] = []
        self._highest = 0.0

    def add(self, maps: Tensor) -> None:
        """Take in the maps of some good parts, ``[N, ...]``."""
        flat = maps.detach().flatten(1).float().cpu()
        self._usual += flat.kthvalue(1 + round(USUAL * (flat.shape[1] - 1)), dim=1).values.tolist()
        self._highest = max(self._highest, float(flat.max()))

    def ends(self) -> tuple[float, float]:
        """Values for black and white: what 99 % of a good part stay below, and the highest value of all.

        The first is the median over the parts, as few odd ones must not hide weak defects; the second lies above it,
        also where all maps are flat.

        Raises:
            ValueError: If no map was added.
        """
        if not self._usual:
            msg = "no maps of good parts were added"
            raise ValueError(msg)
        usual = median(self._usual)
        return usual, max(self._highest, usual + 1e-6)
