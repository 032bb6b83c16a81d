"""From pictures to units that count once: parts (or whatever a group is), or lots. Pure functions."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from curation.drift.reading import Shot
from curation.ledger.tables import LOOKS

Floats = NDArray[np.float64]
UnitKind = Literal["group", "lot"]

SCORE, REJECTED, EMBEDDING, UNSURE = "score", "rejected", "embedding", "unsure"
VALUES = (*LOOKS, SCORE, REJECTED)
"""Statistics that are one number of a unit."""
WITHIN = " within lots"
"""Ends the names of statistics that compare a part with earlier ones of its lot."""

PARTS_OF_A_LOT = 5
"""How many of a lot's first parts speak for it, so that it need not be over."""


@dataclass(frozen=True)
class Units:
    """Units in the order in which they became complete.

    Attributes:
        names: ``[N]``.
        at: ``[N]`` when each became complete.
        shots: ``[N]`` the pictures that speak for it.
        values: By statistic, ``[N]``; NaN where a unit has none.
        embeddings: ``[N, D]``, NaN where a unit has none; D may be 0.
    """

    names: Sequence[str]
    at: Sequence[datetime]
    shots: Sequence[Sequence[Shot]]
    values: Mapping[str, Floats]
    embeddings: Floats

    def __len__(self) -> int:
        return len(self.names)

    def rows(self, chosen: slice) -> Units:
        """Some of them."""
        return Units(
            self.names[chosen],
            self.at[chosen],
            self.shots[chosen],
            {name: column[chosen] for name, column in self.values.items()},
            self.embeddings[chosen],
        )


def one_of_each(shots: Sequence[Shot]) -> list[Shot]:
    """One picture of each group, drawn by the names of the pictures, in time order.

    Exposures of one part say nearly the same, and some parts have more of them than others; one drawn without looking
    is exchangeable all the same. Of groups with several pictures the latest is left out: more of it may be to come.
    """
    drawn: dict[str, Shot] = {}
    counts: dict[str, int] = {}
    for shot in shots:
        counts[shot.group] = counts.get(shot.group, 0) + 1
        if shot.group not in drawn or shot.image_id < drawn[shot.group].image_id:
            drawn[shot.group] = shot
    if max(counts.values(), default=0) > 1 and len(drawn) > 1:
        del drawn[shots[-1].group]
    return sorted(drawn.values(), key=lambda shot: shot.at)


def units_of(shots: Sequence[Shot], limit: float | None) -> Units:
    """Each picture of ``one_of_each`` as a unit.

    Args:
        shots: In time order.
        limit: Above it a picture counts as rejected, and its score and embedding are left out: production has defects,
            what the model was calibrated on has none. Where both are cut at one limit, they can be compared.
    """
    return _units([(shot.group, [shot]) for shot in shots], limit)


def lots_of(shots: Sequence[Shot], limit: float | None, parts: int = PARTS_OF_A_LOT) -> Units:
    """Each lot as a unit, by the mean over its first parts; lots with fewer are left out.

    Args:
        shots: Of ``one_of_each``.
        limit: As in ``units_of``.
        parts: That speak for a lot.
    """
    lots: dict[str, list[Shot]] = {}
    complete = []
    for shot in shots:
        if shot.lot is None:
            continue
        own = lots.setdefault(shot.lot, [])
        if len(own) < parts:
            own.append(shot)
            if len(own) == parts:
                complete.append((shot.lot, own))
    return _units(complete, limit)


def ties_of(names: Sequence[str], statistic: str) -> Floats:
    """``[N]`` numbers in (0, 1) that follow from names alone: they decide between equal values, whenever it is run."""
    digests = (hashlib.sha256(f"{statistic}/{name}".encode()).digest() for name in names)
    return np.array([(int.from_bytes(digest[:6]) + 0.5) / 2**48 for digest in digests])


def _units(named: Sequence[tuple[str, list[Shot]]], limit: float | None) -> Units:
    columns: dict[str, list[float]] = {name: [] for name in VALUES}
    width = next((len(s.embedding) for _, own in named for s in own if s.embedding is not None), 0)
    embeddings = np.full((len(named), width), np.nan)
    for place, (_, own) in enumerate(named):
        looks = [shot.look for shot in own if shot.look is not None]
        for at, name in enumerate(LOOKS):
            columns[name].append(float(np.mean([look[at] for look in looks])) if looks else np.nan)
        accepted = [shot for shot in own if limit is None or shot.score <= limit]
        columns[SCORE].append(float(np.mean([shot.score for shot in accepted])) if accepted else np.nan)
        columns[REJECTED].append(np.nan if limit is None else 1 - len(accepted) / len(own))
        rows = [shot.embedding for shot in accepted if shot.embedding is not None]
        if rows and width:
            embeddings[place] = np.mean(rows, axis=0)
    return Units(
        names=[name for name, _ in named],
        at=[own[-1].at for _, own in named],
        shots=[own for _, own in named],
        values={name: np.array(column, dtype=np.float64) for name, column in columns.items()},
        embeddings=embeddings,
    )
