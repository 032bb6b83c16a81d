"""Splits keep groups whole, and leaks are refused."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.errors import DataError
from learning.images.records import ImageRecord
from learning.splits import refuse_leaks, split_groups


def records(groups: list[str]) -> list[ImageRecord]:
    return [ImageRecord(Path(f"{i}.png"), "good", group=group) for i, group in enumerate(groups)]


@given(st.lists(st.integers(0, 30), min_size=3, max_size=200), st.integers(0, 5))
def test_every_image_is_in_one_set_and_every_group_too(groups: list[int], seed: int) -> None:
    given_records = records([f"g{g}" for g in groups])
    if len(set(groups)) < 3:
        with pytest.raises(DataError, match="independent groups"):
            split_groups(given_records, seed=seed)
        return
    parts = split_groups(given_records, seed=seed)
    assert sorted(r.path for part in parts.values() for r in part) == sorted(r.path for r in given_records)
    seen = [{r.group for r in part} for part in parts.values()]
    assert all(seen)
    assert sum(map(len, seen)) == len(set(groups))


def test_shares_are_shares_of_groups() -> None:
    parts = split_groups(records([f"g{i // 3}" for i in range(270)]))
    assert {name: len({r.group for r in part}) for name, part in parts.items()} == {
        "train": 63,
        "selection": 9,
        "calibration": 18,
    }


def test_the_draw_follows_from_the_seed_and_not_from_the_order() -> None:
    given_records = records([f"g{i}" for i in range(40)])
    first = split_groups(given_records, seed=3)
    backwards = split_groups(given_records[::-1], seed=3)
    assert {n: set(p) for n, p in first.items()} == {n: set(p) for n, p in backwards.items()}
    assert split_groups(given_records, seed=4) != first


def test_shares_must_add_up() -> None:
    with pytest.raises(ValueError, match="add up"):
        split_groups(records(["a", "b"]), {"train": 0.5, "test": 0.4})


def test_a_part_in_two_groups_is_refused() -> None:
    torn = [ImageRecord(Path(f"{g}.png"), group=g, part="p") for g in ("a", "b")]
    with pytest.raises(DataError, match="'p' in a, b"):
        split_groups([*torn, *records(["c", "d"])])


def test_leaks_show_the_pairs_and_count_the_rest() -> None:
    leaking = records(["a"] * 6)
    with pytest.raises(DataError, match=r"0\.png \(x\) and 1\.png \(y\) of group 'a'.* and 2 more"):
        refuse_leaks({"x": leaking[:1], "y": leaking[1:]})
    refuse_leaks({"x": leaking, "y": records(["b"])})
