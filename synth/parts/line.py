"""A small production line on disk: good parts to learn from, and streams of parts that come off it."""

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from synth.errors import SynthError
from synth.parts.defects import DEFECTS, MOSTLY_CLEAR
from synth.parts.files import Item, Progress, Table, silent, write_folder
from synth.parts.kinds import KINDS, checked_kind
from synth.parts.lots import Lot, draw_lot

LOT_SIZE = 10
"""Parts of a kind that come from one lot."""

LINE = ("tile", "fastener", "label")
"""Kinds of parts that share a line, each of which passes a camera of its own: the demo's, and those that benchmarks of
more than one kind measure on."""

_FIRST = datetime(2026, 1, 5, 6, 0, tzinfo=UTC)
CYCLE = timedelta(seconds=4)
_TRAIN, _TEST_GOOD, _TEST_DEFECTIVE, _LOTS, _ORDER, _STREAM, DAYS = range(7)
"""What random numbers are drawn for; each has its own sequence."""


def make_line(
    folder: Path,
    *,
    kinds: Sequence[str] = LINE,
    good: int = 60,
    stream: int = 150,
    streams: int = 2,
    defect_rate: float = 0.3,
    exposures: int = 1,
    clarity: float = MOSTLY_CLEAR,
    seed: int = 0,
    size: int = 256,
    progress: Progress = silent,
) -> Path:
    """Make a production line: good parts in ``train/good``, then streams of what came off the line later.

    ``stream_1`` and so on hold ``images/`` and ``images.csv`` (image, part, lot, camera, time), as a plant would have
    them. What nobody at the plant knows lies beside: ``truth.csv`` has the columns label, split (``test``) and mask as
    well, ``masks/`` shows where a defect changed the picture, and ``severity.csv`` says how clear each is meant to be.

    Args:
        folder: Is made; one that an earlier call made is replaced, or kept where the arguments were the same.
        kinds: Kinds of parts that share the line, each with a camera of its own.
        good: Good parts of each kind to learn from.
        stream: Parts in each stream, of all kinds together.
        streams: Number of streams.
        defect_rate: Share of the parts in a stream that are defective, 0..1, exact up to rounding.
        exposures: Pictures of each part, lit from different sides.
        clarity: How clear the defects are, above 0: 1 for all severities alike, more for clearer ones; see
            ``draw_severity``.
        seed: The same seed and arguments give the same bytes.
        size: Side of the pictures in pixels.
        progress: Told how far it is.

    Returns:
        The folder.

    Raises:
        SynthError: If an argument is out of range, or the folder holds something that was not made here.
    """
    _check(kinds, {"good": good, "stream": stream}, streams=streams, exposures=exposures, defect_rate=defect_rate)
    if not 0 < clarity < math.inf:
        msg = f"clarity is {clarity}; it is a number above 0, such as 1"
        raise SynthError(msg)
    items = [
        Item(
            names=_names(f"train/good/{kind}_{i:04d}", exposures),
            kind=kind,
            lot=lot_of(seed, kind, i // LOT_SIZE),
            lot_name=f"{kind}-{i // LOT_SIZE + 1:03d}",
            rng_key=(seed, index_of(kind), _TRAIN, i),
        )
        for kind in kinds
        for i in range(good)
    ]
    tables = [Table("groups.csv", ("image", "group"), [(n, i.part) for i in items for n in i.names])]
    for number in range(1, streams + 1):
        came_off = _stream(kinds, number, good, stream, defect_rate, exposures, seed)
        came_off = [replace(item, clarity=clarity) for item in came_off]
        items += came_off
        tables += stream_tables(f"stream_{number}", came_off)
    arguments = {
        "kinds": list(kinds),
        "good": good,
        "stream": stream,
        "streams": streams,
        "defect_rate": defect_rate,
        "exposures": exposures,
        "clarity": clarity,
        "seed": seed,
        "size": size,
    }
    return write_folder(folder, items, tables, arguments, size, progress)


def make_parts(
    folder: Path,
    kind: str,
    *,
    good: int = 120,
    test_good: int = 40,
    defective: int = 60,
    exposures: int = 1,
    seed: int = 0,
    size: int = 256,
    progress: Progress = silent,
) -> Path:
    """Make a data set of one kind of part in MVTec AD's layout, with masks and ``groups.csv``.

    Args:
        folder: Is made; one that an earlier call made is replaced, or kept where the arguments were the same.
        kind: One of ``KINDS``.
        good: Good parts in ``train/good``.
        test_good: Good parts in ``test/good``.
        defective: Parts in ``test/<defect>``, spread evenly over the kind's defects; severities are drawn as lines
            meet them.
        exposures: Pictures of each part, lit from different sides.
        seed: The same seed and arguments give the same bytes.
        size: Side of the pictures in pixels.
        progress: Told how far it is.

    Returns:
        The folder.

    Raises:
        SynthError: If an argument is out of range, or the folder holds something that was not made here.
    """
    _check([kind], {"good": good, "test_good": test_good, "defective": defective}, exposures=exposures)
    names = list(DEFECTS[kind])
    wanted: list[tuple[int, int, str | None]] = [(_TRAIN, i, None) for i in range(good)]
    wanted += [(_TEST_GOOD, i, None) for i in range(test_good)]
    wanted += [(_TEST_DEFECTIVE, i, names[i % len(names)]) for i in range(defective)]
    items = []
    for place, (section, i, defect) in enumerate(wanted):
        stem = f"{'train' if section == _TRAIN else 'test'}/{defect or 'good'}/{kind}_{place:04d}"
        pictures = _names(stem, exposures)
        lot = place // LOT_SIZE
        items.append(
            Item(
                names=pictures,
                kind=kind,
                lot=lot_of(seed, kind, lot),
                lot_name=f"{kind}-{lot + 1:03d}",
                rng_key=(seed, index_of(kind), section, i),
                defect=defect,
                masks=[f"ground_truth/{defect}/{Path(n).stem}_mask.png" for n in pictures] if defect else (),
            )
        )
    tables = [Table("groups.csv", ("image", "group"), [(n, item.part) for item in items for n in item.names])]
    arguments = {
        "kind": kind,
        "good": good,
        "test_good": test_good,
        "defective": defective,
        "exposures": exposures,
        "seed": seed,
        "size": size,
    }
    return write_folder(folder, items, tables, arguments, size, progress)


def _stream(
    kinds: Sequence[str], number: int, good: int, count: int, defect_rate: float, exposures: int, seed: int
) -> list[Item]:
    """Parts in the order in which they came off; lots go on where training left off."""
    order = np.random.default_rng((seed, _ORDER, number))
    defective = _even_draw(order, count, len(kinds), round(defect_rate * count))
    made = dict.fromkeys(kinds, 0)
    flawed = dict.fromkeys(kinds, int(order.integers(100)))
    items = []
    for place in range(count):
        kind = kinds[place % len(kinds)]
        defect = None
        if defective[place]:
            # In turn, so that a short stream shows all there are.
            defect = list(DEFECTS[kind])[flawed[kind] % len(DEFECTS[kind])]
            flawed[kind] += 1
        earlier = good + (number - 1) * -(-count // len(kinds))
        lot = (earlier + made[kind]) // LOT_SIZE
        made[kind] += 1
        stem = f"stream_{number}/images/s{number}_{place:04d}_{kind}"
        pictures = _names(stem, exposures)
        items.append(
            Item(
                names=pictures,
                kind=kind,
                lot=lot_of(seed, kind, lot),
                lot_name=f"{kind}-{lot + 1:03d}",
                rng_key=(seed, index_of(kind), _STREAM, number, place),
                defect=defect,
                masks=[f"stream_{number}/masks/{Path(n).stem}_mask.png" for n in pictures] if defect else (),
                time=(_FIRST + timedelta(days=number) + place * CYCLE).isoformat(),
            )
        )
    return items


def _even_draw(rng: np.random.Generator, count: int, kinds: int, wanted: int) -> list[bool]:
    """Which places of a stream are drawn: ``wanted`` of them, as many of each kind, up to one."""
    rank = np.empty(count)
    for kind in range(min(kinds, count)):
        places = np.arange(kind, count, kinds)
        rank[places] = rng.permutation(len(places)) * kinds + kind
    return [bool(place) for place in np.argsort(np.argsort(rank)) < wanted]


def stream_tables(root: str, items: Sequence[Item]) -> list[Table]:
    """``images.csv``, which a plant would have, and what nobody there knows: ``truth.csv`` and ``severity.csv``."""
    known, truth, severities = [], [], []
    for item in items:
        for place, name in enumerate(item.names):
            image = str(Path(name).relative_to(root))
            row = (image, item.part, item.lot_name, f"{item.kind}-camera", item.time)
            mask = str(Path(item.masks[place]).relative_to(root)) if item.masks else ""
            known.append(row)
            truth.append((*row, item.defect or "good", "test", mask))
            if item.defect:
                severities.append((image, item.defect, item))
    columns = ("image", "part", "lot", "camera", "time")
    return [
        Table(f"{root}/images.csv", columns, known),
        Table(f"{root}/truth.csv", (*columns, "label", "split", "mask"), truth),
        Table(f"{root}/severity.csv", ("image", "defect", "severity"), severities),
    ]


def _names(stem: str, exposures: int) -> list[str]:
    if exposures == 1:
        return [f"{stem}.png"]
    return [f"{stem}_{exposure + 1}.png" for exposure in range(exposures)]


def lot_of(seed: int, kind: str, number: int) -> Lot:
    """The lot of that number, from 0: the same whoever asks."""
    return draw_lot(np.random.default_rng((seed, index_of(kind), _LOTS, number)))


def index_of(kind: str) -> int:
    """Number of a kind, for seeds."""
    return list(KINDS).index(kind)


def _check(
    kinds: Sequence[str],
    counts: dict[str, int],
    *,
    streams: int = 1,
    exposures: int = 1,
    defect_rate: float = 0.0,
) -> None:
    if not kinds or len(set(kinds)) < len(kinds):
        msg = f"kinds of parts are named once each; choose from {', '.join(KINDS)}"
        raise SynthError(msg)
    for kind in kinds:
        checked_kind(kind)
    wrong = [f"{name} is {count}" for name, count in counts.items() if count < 0]
    wrong += [f"streams is {streams}"] if streams < 0 else []
    wrong += [f"exposures is {exposures}"] if exposures < 1 else []
    if wrong or counts["good"] < 1:
        msg = f"{wrong[0] if wrong else 'good is 0'}; good and exposures are at least 1, other numbers at least 0"
        raise SynthError(msg)
    if not 0 <= defect_rate <= 1:
        msg = f"defect_rate is {defect_rate}; it is a share between 0 and 1"
        raise SynthError(msg)
