"""Replays for the benchmark of drift: pictures of a pool in a random order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.drift_pool import PER_LOT, Pool
from curation.drift.reference import Reference, no_reference
from curation.ledger.tables import LOOKS

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
Way = Literal["parts", "lots", "lots as parts"]

_UNSURE = 0.05
"""Share of answers."""


@dataclass(frozen=True)
class Plan:
    """Sizes of a replay: parts, or lots of ``PER_LOT``; and the parts of a day, after which rivals look."""

    reference: int
    before: int
    after: int
    day: int = 50


PLANS: dict[Way, Plan] = {
    "parts": Plan(60, 100, 300),
    "lots": Plan(20, 15, 30),
    "lots as parts": Plan(60, 100, 300),
}


@dataclass(frozen=True)
class Drawn:
    """A replay: pictures in their order, and which are the reference.

    Attributes:
        looks: ``[N, 6]``.
        scores: ``[N]``.
        embeddings: ``[N, D]``.
        lots: ``[N]`` names, or None.
        reference: How many of the first are the reference.
        unsure: ``[N]`` whether an inspector would be unsure.
        day: Parts between two looks of the rivals.
    """

    looks: Floats
    scores: Floats
    embeddings: NDArray[np.float32]
    lots: Sequence[str | None]
    reference: int
    unsure: NDArray[np.bool_]
    day: int


def scaled(plan: Plan, pool: Pool, way: Way) -> Plan:
    """The plan; where the pool is too small for it, a third of it is the reference, and a sixth a day."""
    there = len(np.unique(pool.lots)) if way == "lots" else len(_one_of_each(pool)[0])
    needed = plan.reference + plan.before + plan.after
    if there >= needed or way == "lots as parts":
        return plan
    return Plan(there // 3, there // 6, there // 2, max(5, there // 6))


def draw(clean: Pool, drifted: Pool | None, way: Way, plan: Plan, rng: np.random.Generator) -> Drawn:
    """Draw a replay; with ``drifted``, what comes after the first parts of the stream is drifted.

    A pool's rows are drawn without replacement, so that its parts (or lots) are exchangeable.
    """
    if way == "parts":
        own, other = _one_of_each(clean, rng)[0], _one_of_each(drifted or clean, rng)[0]
        chosen, after = rng.permutation(own), rng.permutation(other)
        reference = plan.reference
        parts = [(clean, chosen[: reference + plan.before])]
        rest = chosen[reference + plan.before : reference + plan.before + plan.after]
        parts.append((drifted, after[: plan.after]) if drifted is not None else (clean, rest))
        lots: list[str | None] = [None] * sum(len(rows) for _, rows in parts)
        return _joined(parts, lots, reference, plan.day, rng)
    numbers = rng.permutation(np.unique(clean.lots))
    if way == "lots":
        first, reference = plan.reference + plan.before, plan.reference * PER_LOT
        parts = [(clean, _rows_of(clean, numbers[:first], rng))]
        rest = numbers[first : first + plan.after]
    else:
        # The reference are parts of eight lots, the stream comes lot by lot.
        reference = plan.reference
        early = rng.permutation(_rows_of(clean, numbers[:8], rng))[:reference]
        parts, first = [(clean, early)], 8 + plan.before // PER_LOT
        parts.append((clean, _rows_of(clean, numbers[8:first], rng)))
        rest = numbers[first : first + plan.after // PER_LOT]
    source = clean if drifted is None else drifted
    names = rest if drifted is None else rng.permutation(np.unique(drifted.lots))[: plan.after]
    parts.append((source, _rows_of(source, names, rng)))
    lots = [f"{place}/{pool.lots[row]}" for place, (pool, rows) in enumerate(parts) for row in rows]
    return _joined(parts, lots, reference, plan.day, rng)


def reference_of(drawn: Drawn, way: Way, scale: Floats) -> Reference:
    """The reference as a bundle would hold it; lots are compared with the first lots instead."""
    if way == "lots":
        return no_reference(None, scale)
    first = slice(0, drawn.reference)
    limit = float(drawn.scores[first].max())
    kept = drawn.scores[first] < limit
    values = {name: drawn.looks[first, place] for place, name in enumerate(LOOKS)} | {
        "score": drawn.scores[first][kept]
    }
    return Reference(values, drawn.embeddings[first][kept].astype(np.float64), scale, "drawn")


def _one_of_each(pool: Pool, rng: np.random.Generator | None = None) -> tuple[Places, int]:
    """Rows of a pool that are independent when mixed: of made-up lots all, of exposures of one part one each."""
    numbers, counts = np.unique(pool.lots, return_counts=True)
    if (counts == PER_LOT).all():
        return np.arange(len(pool.lots)), len(numbers)
    order = np.arange(len(pool.lots)) if rng is None else rng.permutation(len(pool.lots))
    return order[np.unique(pool.lots[order], return_index=True)[1]], len(numbers)


def _rows_of(pool: Pool, lots: Places, rng: np.random.Generator) -> Places:
    rows = [rng.permutation(np.flatnonzero(pool.lots == lot)) for lot in lots]
    return np.concatenate(rows) if rows else np.zeros(0, dtype=np.int64)


def _joined(
    parts: Sequence[tuple[Pool, Places]], lots: Sequence[str | None], reference: int, day: int, rng: np.random.Generator
) -> Drawn:
    return Drawn(
        np.concatenate([pool.looks[rows] for pool, rows in parts]),
        np.concatenate([pool.scores[rows] for pool, rows in parts]),
        np.concatenate([pool.embeddings[rows] for pool, rows in parts]),
        lots,
        reference,
        rng.random(len(lots)) < _UNSURE,
        day,
    )
