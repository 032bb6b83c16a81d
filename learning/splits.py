"""Splits that keep independent groups whole."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from learning.errors import DataError
from learning.images.records import GOOD, ImageRecord

SHARES: Mapping[str, float] = {"train": 0.7, "selection": 0.1, "calibration": 0.2}
"""How good parts are shared out for training."""

TRAIN_SHARE = 0.7
"""Share of the good groups that train, where a data set comes without a split of its own."""

_SHOWN = 3


def split_groups(
    records: Sequence[ImageRecord], shares: Mapping[str, float] = SHARES, seed: int = 0
) -> dict[str, list[ImageRecord]]:
    """Draw groups at random into disjoint sets.

    The shares are shares of groups, not of images: a promise is counted in groups, and which set a group falls into
    does not depend on its size, so that groups stay exchangeable.

    Args:
        records: Images; those of a group, and those of a part, stay together.
        shares: Name of each set and its share; they add up to one. Each set gets at least one group.
        seed: The draw follows from it, whatever the order of the records.

    Returns:
        The records of each set, in their given order.

    Raises:
        DataError: If there are fewer groups than sets, or a part lies in several groups.
    """
    if not np.isclose(sum(shares.values()), 1) or min(shares.values()) <= 0:
        msg = f"shares must be above zero and add up to 1; got {dict(shares)}"
        raise ValueError(msg)
    _refuse_torn_parts(records)
    groups = sorted({record.group for record in records})
    if len(groups) < len(shares):
        msg = (
            f"the good images form {len(groups)} independent groups; it takes at least {len(shares)}, "
            f"one each for {', '.join(shares)}"
        )
        raise DataError(msg)
    drawn = [groups[i] for i in np.random.default_rng(seed).permutation(len(groups))]
    target: dict[str, str] = {}
    first = 0
    for name, count in _counts(len(groups), shares).items():
        target.update(dict.fromkeys(drawn[first : first + count], name))
        first += count
    parts: dict[str, list[ImageRecord]] = {name: [] for name in shares}
    for record in records:
        parts[target[record.group]].append(record)
    refuse_leaks(parts)
    return parts


def draw_train_test(records: Sequence[ImageRecord], seed: int, share: float = TRAIN_SHARE) -> list[ImageRecord]:
    """Give records without a split one: a share of the groups that hold good images trains, all else tests.

    Defects in a group that trains get ``train`` too: to test on them would leak their group.

    Raises:
        DataError: If a part lies in several groups.
    """
    _refuse_torn_parts(records)
    groups = sorted({record.group for record in records if record.label == GOOD})
    drawn = np.random.default_rng(seed).permutation(len(groups))
    training = {groups[i] for i in drawn[: max(1, round(share * len(groups)))]}
    return [replace(record, split="train" if record.group in training else "test") for record in records]


def refuse_leaks(parts: Mapping[str, Sequence[ImageRecord]]) -> None:
    """Refuse sets that share a group.

    Raises:
        DataError: Showing pairs of images of one group that lie in different sets.
    """
    first: dict[str, tuple[str, ImageRecord]] = {}
    pairs = []
    for name, records in parts.items():
        for record in records:
            other, example = first.setdefault(record.group, (name, record))
            if other != name:
                pairs.append(f"{example.path} ({other}) and {record.path} ({name}) of group {record.group!r}")
    if pairs:
        more = f" and {len(pairs) - _SHOWN} more" if len(pairs) > _SHOWN else ""
        msg = f"the split leaks: {'; '.join(pairs[:_SHOWN])}{more}; put each group on one side"
        raise DataError(msg)


def _refuse_torn_parts(records: Sequence[ImageRecord]) -> None:
    groups: dict[str, set[str]] = defaultdict(set)
    for record in records:
        groups[record.part].add(record.group)
    torn = [f"{part!r} in {', '.join(sorted(found))}" for part, found in groups.items() if len(found) > 1]
    if torn:
        msg = f"a part lies in several groups: {'; '.join(torn[:_SHOWN])}; give all images of a part one group"
        raise DataError(msg)


def _counts(groups: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Whole numbers near the shares that add up to the number of groups, each at least one."""
    counts = {name: max(1, round(share * groups)) for name, share in shares.items()}
    while (excess := sum(counts.values()) - groups) != 0:
        step = 1 if excess < 0 else -1
        movable = [name for name in counts if counts[name] + step >= 1]
        nearest = max(movable, key=lambda name: step * (shares[name] * groups - counts[name]))
        counts[nearest] += step
    return counts
