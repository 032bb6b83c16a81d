"""How each lot looks beside the reference. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from curation.drift.states import Finding, LotState
from curation.drift.units import REJECTED, SCORE, Units
from curation.ledger.tables import LOOKS

Floats = NDArray[np.float64]


def lot_states(
    parts: Units, references: Mapping[str, Floats], findings: Sequence[Finding], first: int
) -> list[LotState]:
    """How each lot looks, in time order; a description, not a test.

    Args:
        parts: All parts.
        references: By statistic, values that came before; where a single part cannot be compared with them, as they are
            of lots, the first parts are taken.
        findings: Alarms.
        first: How many those are.
    """
    places: dict[str, list[int]] = {}
    for place, (shot, *_) in enumerate(parts.shots):
        if shot.lot is not None:
            places.setdefault(shot.lot, []).append(place)
    scales = {name: _scale(parts.values[name], references.get(name, np.zeros(0)), first) for name in (*LOOKS, SCORE)}
    states = []
    for lot, own in places.items():
        moved = {}
        for name, (middle, deviation) in scales.items():
            values = parts.values[name][own]
            values = values[np.isfinite(values)]
            if len(values) and deviation > 0:
                moved[name] = float((values.mean() - middle) / deviation)
        rejected = parts.values[REJECTED][own]
        states.append(
            LotState(
                lot=lot,
                units=len(own),
                first=parts.at[own[0]],
                last=parts.at[own[-1]],
                rejected=float(rejected.mean()),
                moved=moved,
                drifting=[found.statistic for found in findings if lot in found.lots],
            )
        )
    return states


def _scale(column: Floats, reference: Floats, first: int) -> tuple[float, float]:
    known = column[np.isfinite(column)]
    values = reference if len(reference) > 2 else known[:first]
    return (float(values.mean()), float(values.std(ddof=1))) if len(values) > 2 else (0.0, 0.0)
