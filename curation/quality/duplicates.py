"""Exact and near duplicates, and what they do to splits, groups and labels."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from curation.quality.findings import Check, Finding
from curation.quality.near import near_pairs
from curation.quality.table import Table
from learning.images.records import UNLABELLED
from learning.progress import Progress, silent

_NAMED = 4


def check_duplicates(
    table: Table, embeddings: NDArray[np.floating] | None = None, progress: Progress = silent
) -> Check:
    """Find families of pictures that show one scene, and those that leak.

    Args:
        table: Of the whole set.
        embeddings: ``[N, D]`` of a bundle, or None.
        progress: Told how far it is.

    Returns:
        Exact duplicates; near duplicates (where groups are known, only families that do not lie within one); families
        and groups on both sides of the split, in two groups, and with two labels.
    """
    exact = _exact(table)
    twins = {place: family[0] for family in exact for place in family}
    # A picture without contrast is like no other; it is found as flat.
    usable = np.flatnonzero(table.readable & table.signatures.any(axis=1))
    alone = np.array([place for place in usable if twins.get(int(place), int(place)) == place], dtype=np.intp)
    near = near_pairs(table, alone, embeddings, progress)
    strongest: dict[int, float] = defaultdict(float)
    for (a, b), value in zip(near.pairs, near.detail, strict=True):
        for place in (int(a), int(b)):
            strongest[place] = max(strongest[place], float(value))
    links = [(int(a), int(b)) for a, b in near.pairs]
    families = _families(links)
    families.sort(key=lambda family: -max(strongest[place] for place in family))
    known = groups_are_known(table)
    within = {family[0] for family in families if len({table.records[p].group for p in family}) == 1}
    findings = [Finding("exact_duplicate", family, f"{len(family)} files with the same pixels") for family in exact] + [
        Finding(
            "near_duplicate",
            family,
            f"{len(family)} pictures of one scene, fine detail correlates up to {strongest[family[0]]:.2f}",
            strongest[family[0]],
            near.limit,
        )
        for family in families
        if not (known and family[0] in within)
    ]
    everything = _families([*links, *((family[0], place) for family in exact for place in family[1:])])
    findings += _leaks(table, everything, known)
    notes = []
    if known and within:
        notes.append(f"{len(within)} families of near duplicates lie within one group each, as they should")
    if not known and families:
        notes.append("nobody has said what belongs together: near duplicates can be drawn apart; give --groups")
    if near.not_looked_at:
        notes.append(f"{near.not_looked_at} more pairs are similar and were not compared in detail")
    judged = dict.fromkeys(("exact_duplicate", "near_duplicate", "label_conflict"), len(usable))
    details = {"near_limit": near.limit, "families": families, "exact": exact}
    return Check(findings, judged | _judged_leaks(table, known), notes, details)


def groups_are_known(table: Table) -> bool:
    """Whether some images are said to belong together."""
    return len({record.group for record in table.records}) < len(table.records)


def _judged_leaks(table: Table, known: bool) -> dict[str, int]:
    split = sum(record.split is not None for record in table.records)
    return {"leak": split, "group_leak": len(table.records) if known else 0}


def _exact(table: Table) -> list[list[int]]:
    same: dict[bytes, list[int]] = defaultdict(list)
    for place, pixels in enumerate(table.pixels):
        if pixels and table.column("contrast")[place] > 0:
            same[pixels].append(place)
    return [family for family in same.values() if len(family) > 1]


def _leaks(table: Table, families: Sequence[Sequence[int]], known: bool) -> list[Finding]:
    records = table.records
    groups: dict[str, list[int]] = defaultdict(list)
    for place, record in enumerate(records):
        groups[record.group].append(place)
    found = [
        Finding("leak", _both_sides(table, places), f"group {group} lies on both sides of the split")
        for group, places in groups.items()
        if len(_values(records[p].split for p in places)) > 1
    ]
    for family in families:
        splits = _values(records[place].split for place in family)
        labels = _values(records[p].label for p in family if records[p].label != UNLABELLED)
        names = sorted({records[place].group for place in family})
        if len(splits) > 1:
            found.append(Finding("leak", _both_sides(table, family), f"one scene in {' and '.join(splits)}"))
        if len(labels) > 1:
            found.append(Finding("label_conflict", family, f"one scene labelled {' and '.join(labels)}"))
        if known and len(names) > 1:
            listed = ", ".join(names[:_NAMED]) + (" and more" if len(names) > _NAMED else "")
            found.append(Finding("group_leak", family, f"one scene in {len(names)} groups: {listed}"))
    return found


def _both_sides(table: Table, places: Sequence[int]) -> list[int]:
    """Pictures of either side first, then the others: the first ones are shown."""
    seen: dict[str | None, int] = {}
    for place in places:
        seen.setdefault(table.records[place].split, place)
    first = list(seen.values())
    return first + [place for place in places if place not in first]


def _values(values: Iterable[str | None]) -> list[str]:
    return sorted({value for value in values if value})


def _families(links: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Connected places, each family sorted."""
    parent: dict[int, int] = {}

    def root(place: int) -> int:
        parent.setdefault(place, place)
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    for a, b in links:
        parent[root(b)] = root(a)
    families: dict[int, list[int]] = defaultdict(list)
    for place in parent:
        families[root(place)].append(place)
    return sorted(sorted(family) for family in families.values())
