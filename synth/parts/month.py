"""Weeks of production on disk, day by day: the light drifts, and a kind of defect appears that was never seen."""

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from synth.errors import SynthError
from synth.parts.defects import DEFECTS
from synth.parts.files import Item, Progress, silent, write_folder
from synth.parts.kinds import checked_kind
from synth.parts.line import CYCLE, DAYS, LOT_SIZE, index_of, lot_of, stream_tables

_FIRST = datetime(2030, 1, 7, 6, 0, tzinfo=UTC)
"""A Monday. Not in the past: a drift alarm counts if it is younger than the last judgement, which is made today."""


@dataclass(frozen=True)
class Month:
    """What a month is like; everything follows from it.

    Attributes:
        kind: Kind of the parts, all of which pass one camera.
        before: Good parts that were made before the first day; lots go on from there.
        parts: Parts of a day.
        defect_rates: Lowest and highest share of them that is defective; each day's is drawn between.
        drift_day: From this day on the light is another.
        drift_gain: How bright it is then, 1 being as before.
        new_defect: Kind of defect that is not seen before ``new_day``.
        new_day: From this day on half of the defective parts have it.
        seed: Of all of it.
        size: Side of the pictures in pixels.
    """

    kind: str = "label"
    before: int = 200
    parts: int = 120
    defect_rates: tuple[float, float] = (0.02, 0.04)
    drift_day: int = 10
    drift_gain: float = 0.75
    new_defect: str = "wrinkle"
    new_day: int = 15
    seed: int = 0
    size: int = 128

    def __post_init__(self) -> None:
        checked_kind(self.kind)
        low, high = self.defect_rates
        if self.new_defect not in DEFECTS[self.kind]:
            msg = f"a {self.kind} has no defect {self.new_defect!r}; choose from {', '.join(DEFECTS[self.kind])}"
            raise SynthError(msg)
        if not 0 <= low <= high <= 1 or self.parts < 1 or self.drift_gain <= 0:
            msg = "a day has at least one part, defect rates between 0 and 1, and a gain above 0"
            raise SynthError(msg)


def make_day(folder: Path, month: Month, day: int, progress: Progress = silent) -> Path:
    """Make what comes off the line on a day: ``images.csv``, ``truth.csv`` and ``severity.csv`` as ``make_line`` does.

    Args:
        folder: Of that day; is made, or kept where the same call made it.
        month: What it is like.
        day: From 1.
        progress: Told how far it is.

    Returns:
        The folder.

    Raises:
        SynthError: If there is no such day, or the folder holds something that was not made here.
    """
    if day < 1:
        msg = f"days are counted from 1; got {day}"
        raise SynthError(msg)
    order = np.random.default_rng((month.seed, index_of(month.kind), DAYS, day))
    defects = _defects(order, month, day)
    items = []
    for place in range(month.parts):
        number = (month.before + (day - 1) * month.parts + place) // LOT_SIZE
        lot = lot_of(month.seed, month.kind, number)
        if day >= month.drift_day:
            lot = replace(lot, gain=lot.gain * month.drift_gain)
        stem = f"d{day:02d}_{place:04d}_{month.kind}"
        defect = defects.get(place)
        items.append(
            Item(
                names=[f"images/{stem}.png"],
                kind=month.kind,
                lot=lot,
                lot_name=f"{month.kind}-{number + 1:03d}",
                rng_key=(month.seed, index_of(month.kind), DAYS, day, place),
                defect=defect,
                masks=[f"masks/{stem}_mask.png"] if defect else (),
                time=(_FIRST + timedelta(days=day - 1) + place * CYCLE).isoformat(),
            )
        )
    arguments = asdict(month) | {"defect_rates": list(month.defect_rates), "day": day}
    return write_folder(folder, items, stream_tables(".", items), arguments, month.size, progress)


def _defects(rng: np.random.Generator, month: Month, day: int) -> dict[int, str]:
    """Kind of the defect by the place of the part in the day."""
    count = round(month.parts * rng.uniform(*month.defect_rates))
    places = rng.permutation(month.parts)[:count].tolist()
    old = [name for name in DEFECTS[month.kind] if name != month.new_defect]
    return {
        place: month.new_defect if day >= month.new_day and rng.random() < 0.5 else old[int(rng.integers(len(old)))]
        for place in places
    }
