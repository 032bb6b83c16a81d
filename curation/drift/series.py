"""From units to p-values, a series for each statistic. Pure functions."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curation.drift.reading import Answer
from curation.drift.reference import Reference, first_units, known_rows
from curation.drift.units import EMBEDDING, REJECTED, UNSURE, VALUES, WITHIN, UnitKind, Units, ties_of
from learning.drift.capital import Side
from learning.drift.ranks import ranks_of
from learning.drift.watching import Series
from learning.drift.windows import PERMUTATIONS, Features, window_ranks

Floats = NDArray[np.float64]

FIRST: Mapping[UnitKind, int] = {"group": 50, "lot": 20}
"""Units that are the reference where there is no other."""
WINDOW: Mapping[UnitKind, int] = {"group": 8, "lot": 3}
"""Units in a window of embeddings."""
FIRST_ANSWERS = 20

UP_ONLY = (REJECTED, UNSURE)


def statistics_of(kind: UnitKind) -> tuple[str, ...]:
    """Names of all statistics that share the rate of false alarms, whether or not they have values."""
    names = (*VALUES, EMBEDDING, UNSURE)
    return names if kind == "group" else (*names, *(name + WITHIN for name in VALUES))


@dataclass(frozen=True)
class Known:
    """A statistic's series, and what a person wants to see of it.

    Attributes:
        series: As ``learning.drift.watching`` takes it.
        values: ``[N]`` of the stream, for each p-value; of embeddings the windows' ranks.
        reference: ``[R]``.
    """

    series: Series
    values: Floats
    reference: Floats


def value_series(units: Units, reference: Reference, first: int) -> list[Known]:
    """Statistics that are one number of a unit.

    Args:
        units: The stream.
        reference: What came before; where it has nothing of a statistic, the first units of the stream.
        first: How many those are.
    """
    early = first_units(units, first)
    found = []
    for name in VALUES:
        column = units.values[name]
        before = reference.values.get(name, np.zeros(0))
        skipped = 0 if len(before) else first
        before = before if len(before) else early[name]
        places = np.flatnonzero(np.isfinite(column))
        places = places[places >= skipped]
        ties = ties_of([units.names[place] for place in places], name)
        p_values = ranks_of(column[places], ties, before)
        side: Side = "up" if name in UP_ONLY else "both"
        series = Series(name, p_values, places, places, len(before), side)
        found.append(Known(series, column[places], before))
    return found


def within_series(units: Units, lots: Sequence[str | None]) -> list[Known]:
    """The same statistics, each part ranked among the earlier ones of its own lot.

    Args:
        units: Parts.
        lots: ``[N]`` of each; parts without one are left out.
    """
    named = np.array([lot is not None for lot in lots], dtype=bool)
    found = []
    for name in VALUES:
        column = units.values[name]
        places = np.flatnonzero(np.isfinite(column) & named)
        ties = ties_of([units.names[place] for place in places], name + WITHIN)
        p_values = ranks_of(column[places], ties, strata=[lots[place] for place in places])
        side: Side = "up" if name in UP_ONLY else "both"
        found.append(Known(Series(name + WITHIN, p_values, places, places, 0, side), column[places], np.zeros(0)))
    return found


def embedding_series(
    units: Units, reference: Reference, first: int, window: int, seed: str
) -> tuple[Known | None, Features | None]:
    """Windows of embeddings, each compared with all before it.

    Args:
        units: The stream.
        reference: What came before.
        first: Units that are the reference where it has none.
        window: Units in a window.
        seed: Of the permutations.

    Returns:
        The series, and the map that distances were taken by; None where there are no embeddings, or nothing to set
        their scale by.
    """
    known = known_rows(units.embeddings)
    same = reference.embeddings.shape[1:] == units.embeddings.shape[1:] and len(reference.embeddings) > 0
    places = np.flatnonzero(known)
    if same:
        before = reference.embeddings
    else:
        before = units.embeddings[places[places < first]]
        places = places[places >= first]
    scale = reference.scale if reference.scale.shape[1:] == units.embeddings.shape[1:] else np.zeros((0, 0))
    if len(scale) < 4:
        # A sample that sets the scale is not compared itself.
        scale, before = before[: len(before) // 3], before[len(before) // 3 :]
    if len(scale) < 4 or not len(places):
        return None, None
    features = Features.of(scale)
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4])
    p_values = window_ranks(features(before), features(units.embeddings[places]), window, number)
    whole = places[: len(p_values) * window].reshape(len(p_values), window)
    # A window is ranked among so many others, however few units they are drawn from.
    finest = PERMUTATIONS if len(before) >= window else 0
    series = Series(EMBEDDING, p_values, whole[:, -1], whole[:, 0], finest, "up")
    return Known(series, p_values, np.zeros(0)), features


def unsure_series(answers: Sequence[Answer]) -> Known:
    """Whether the share of answers that are "unsure" rises; places are those of answers."""
    values = np.array([float(answer.unsure) for answer in answers], dtype=np.float64)
    before, stream = values[:FIRST_ANSWERS], values[FIRST_ANSWERS:]
    places = np.arange(FIRST_ANSWERS, FIRST_ANSWERS + len(stream))
    p_values = ranks_of(stream, ties_of([answer.image_id for answer in answers[FIRST_ANSWERS:]], UNSURE), before)
    return Known(Series(UNSURE, p_values, places, places, len(before), "up"), stream, before)
