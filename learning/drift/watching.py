"""Several statistics of several cameras watched at once, within one rate of false alarms."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from learning.drift.capital import Bets, Side, bet, enough, fewest

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Series:
    """A statistic of a stream, as p-values.

    Attributes:
        name: Of the statistic.
        p_values: ``[N]`` from ``ranks`` or ``windows``.
        units: ``[N]`` place in the stream of the unit with which each became known, rising.
        first: ``[N]`` place of the first unit that each is about; the same as ``units`` but for windows.
        reference: Values before the stream.
        side: Where drift shows.
    """

    name: str
    p_values: Floats
    units: NDArray[np.int64]
    first: NDArray[np.int64]
    reference: int
    side: Side = "both"


@dataclass(frozen=True)
class Alarm:
    """A statistic left what the reference and all before it made likely.

    Attributes:
        unit: Place in the stream of the unit with which it was raised.
        since: Place of the unit with which the drift most likely began.
        shift: How much has moved, in standard deviations of what came before; 0 where only the spread grew.
    """

    unit: int
    since: int
    shift: float


@dataclass(frozen=True)
class Track:
    """What came of a statistic.

    Attributes:
        series: The statistic.
        needed: Logarithm of the capital that raises an alarm.
        bets: What the bets did.
        alarm: The first alarm, or None.
    """

    series: Series
    needed: float
    bets: Bets
    alarm: Alarm | None

    def fewest(self) -> int | None:
        """How many more values an alarm takes at least, if all changed from now on; None where too few came before."""
        return fewest(self.needed, self.series.reference, len(self.series.p_values), self.series.side)

    def missing(self) -> int:
        """How many more values have to come until a change could be seen at all; 0 where it could be now."""
        before = self.series.reference + len(self.series.p_values)
        return max(0, enough(self.needed, self.series.side) - before)


def share_of(place: int) -> float:
    """Share of the rate of false alarms for the camera that appeared as the ``place``-th, from 0.

    All shares sum to one however many cameras are to come, so that what was said stays as it was said.
    """
    return 1 / ((place + 1) * (place + 2))


def watch(series: Sequence[Series], rate: float, statistics: int) -> list[Track]:
    """Watch the statistics of a stream.

    With a probability of at least ``1 - rate`` no alarm is ever raised while units are exchangeable: each statistic is
    allowed an equal share (Bonferroni), and each within its own by Ville's inequality, at all times at once.

    Args:
        series: The statistics.
        rate: Of false alarms, over all statistics and all time.
        statistics: How many statistics share the rate; more than there are where some have no values.
    """
    needed = float(np.log(statistics / rate))
    return [_track(one, needed) for one in series]


def _track(series: Series, needed: float) -> Track:
    bets = bet(series.p_values, series.side)
    raised = np.flatnonzero(bets.log_capital >= needed)
    alarm = None
    if len(raised):
        at = int(raised[0])
        since, shift = bets.since(at)
        alarm = Alarm(int(series.units[at]), int(series.first[since]), shift)
    return Track(series, needed, bets, alarm)
