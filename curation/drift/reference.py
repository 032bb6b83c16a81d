"""What production is compared with: the parts that a model was calibrated on, or the first of a camera."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curation.drift.units import SCORE, Units
from curation.ledger import Ledger
from curation.ledger.tables import LOOKS
from curation.looks import drawn_of, reference_looks
from learning.bundle import Bundle
from learning.errors import BundleError
from learning.thresholds import needed_groups

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Reference:
    """Values that came before the stream.

    Attributes:
        values: By statistic, ``[R]``; those that are missing or empty take the first units of the stream instead.
        embeddings: ``[R, D]``.
        scale: ``[M, D]`` embeddings of other parts, which set the scale of distances; empty where there are none.
        text: What it is, in words.
        wanted: Independent good parts that the model's promise takes; None where it is unknown.
    """

    values: Mapping[str, Floats]
    embeddings: Floats
    scale: Floats
    text: str
    wanted: int | None = None


def no_reference(wanted: int | None = None, scale: Floats | None = None) -> Reference:
    """Nothing came before: the first units of the stream are the reference."""
    empty = np.zeros((0, 0))
    return Reference({}, empty, empty if scale is None else scale, "", wanted)


def calibration_reference(ledger: Ledger, bundle: Bundle) -> Reference:
    """The good parts that a model was calibrated on; of a group one picture, drawn by its name.

    Looks are those of the parts that set scales too, as no look depends on the model. Scores at and above the first
    threshold are left out, as they are of production.
    """
    looks = reference_looks(ledger, bundle)
    values: dict[str, list[float]] = {name: [] for name in LOOKS}
    drawn = {**drawn_of(bundle.selection), **drawn_of(bundle.calibration)}
    for image in drawn.values():
        for at, name in enumerate(LOOKS):
            if image in looks:
                values[name].append(looks[image][at])
    table = bundle.calibration
    chosen = set(drawn_of(table).values())
    limit = bundle.thresholds.get(1).value
    kept = table[table["image"].astype(str).isin(chosen) & (table["score"] < limit)]
    columns = {name: np.array(column, dtype=np.float64) for name, column in values.items()}
    columns[SCORE] = kept["score"].to_numpy(dtype=np.float64)
    names, rows = _embeddings(bundle, "calibration")
    below = set(kept["image"].astype(str))
    used = [place for place, name in enumerate(names) if name in below]
    return Reference(
        values=columns,
        embeddings=rows[used] if len(rows) else rows,
        scale=scale_of(bundle),
        text=f"{len(chosen)} calibration parts of {bundle.folder}",
        wanted=wanted_by(bundle),
    )


def scale_of(bundle: Bundle) -> Floats:
    """Embeddings of the parts that trained: they set the scale of distances, and are not compared."""
    return _embeddings(bundle, "train")[1]


def wanted_by(bundle: Bundle) -> int | None:
    """Independent good parts that the current promise of a bundle was worked out from, at least."""
    promise = bundle.thresholds.current().promise
    return needed_groups(promise.limit, promise.confidence) if promise.kind == "false_reject" else None


def first_units(units: Units, count: int) -> Mapping[str, Floats]:
    """Values of the first units, by statistic."""
    first = units.rows(slice(0, count))
    return {name: column[np.isfinite(column)] for name, column in first.values.items()}


def known_rows(embeddings: Floats) -> NDArray[np.bool_]:
    """``[N]`` which rows of ``[N, D]`` are there; none where D is 0."""
    if embeddings.shape[1] == 0:
        return np.zeros(len(embeddings), dtype=bool)
    return np.asarray(np.isfinite(embeddings).all(axis=1), dtype=bool)


def _embeddings(bundle: Bundle, name: str) -> tuple[list[str], Floats]:
    try:
        names, rows = bundle.embeddings(name)
    except BundleError:
        return [], np.zeros((0, 0))
    return [str(one) for one in names], rows.astype(np.float64)
