"""Exact copies of a file count once."""

import os
from pathlib import Path

import pytest

from learning.images.copies import find_copies, join_copies
from learning.images.readers import list_data, read_data
from learning.images.records import ImageRecord


def write(root: Path, **contents: str) -> list[ImageRecord]:
    """A file of each name, two underscores standing for a folder; nothing of this is a picture."""
    records = []
    for name, content in contents.items():
        path = root / f"{name.replace('__', '/')}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        records.append(ImageRecord(path=path))
    return records


def groups(records: list[ImageRecord]) -> list[str]:
    return [Path(record.group).stem for record in records]


def test_copies_are_one_group_and_files_of_equal_size_are_not(tmp_path: Path) -> None:
    records = write(tmp_path, a="same", b="else", c="same", d="longer", e="same")
    assert groups(join_copies(records)) == ["a", "b", "a", "d", "a"]
    assert [[record.path.stem for record in family] for family in find_copies(records)] == [["a", "c", "e"]]


def test_all_that_is_in_a_group_with_a_copy_comes_along(tmp_path: Path) -> None:
    """Two lots that share a picture, and a third one that shares another with the second."""
    a, b, c, d, e = write(tmp_path, a="one", b="two", c="one", d="three", e="three")
    lots = [(a, "l3"), (b, "l3"), (c, "l2"), (d, "l2"), (e, "l1")]
    records = [ImageRecord(path=record.path, part=record.path.stem, group=lot) for record, lot in lots]
    joined = join_copies(records)
    assert groups(joined) == ["l1"] * 5
    assert [record.part for record in joined] == ["a", "b", "c", "d", "e"]


def test_parts_with_several_images_stay_whole(tmp_path: Path) -> None:
    top, side, other = write(tmp_path, top="one", side="two", other="two")
    records = [ImageRecord(path=top.path, part="p"), ImageRecord(path=side.path, part="p"), other]
    assert len(set(groups(join_copies(records)))) == 1


def test_a_copy_on_the_other_side_of_the_split_is_left_where_it_is(tmp_path: Path) -> None:
    """Training with such a data set goes on; ``curate check`` tells that it leaks."""
    write(tmp_path, train__good__0="same", train__good__1="same", test__good__0="same", test__crack__1="other")
    records = {record.path.relative_to(tmp_path).as_posix(): record.group for record in read_data(tmp_path)}
    assert records["train/good/0.png"] == records["train/good/1.png"] != records["test/good/0.png"]


@pytest.mark.parametrize("seed", range(5))
def test_no_split_is_drawn_between_copies(tmp_path: Path, seed: int) -> None:
    contents = {f"good__{place}": f"picture {place // 4}" for place in range(20)}
    write(tmp_path, **contents, crack__0="picture 0")
    splits: dict[str, set[str | None]] = {}
    for record in read_data(tmp_path, seed=seed):
        splits.setdefault(record.path.read_text(), set()).add(record.split)
    assert all(len(found) == 1 for found in splits.values())


def test_empty_missing_and_unreadable_files_are_no_copies(tmp_path: Path) -> None:
    records = [*write(tmp_path, a="", b=""), ImageRecord(path=tmp_path / "gone.png")]
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    assert join_copies([*records, ImageRecord(path=tmp_path / "loop.png")])[:3] == records


def test_a_file_that_is_written_anew_is_read_anew(tmp_path: Path) -> None:
    records = write(tmp_path, a="same", b="same")
    assert len(find_copies(records)) == 1
    records[1].path.write_text("else")
    os.utime(records[1].path, ns=(0, 0))
    assert find_copies(records) == []


def test_what_is_listed_as_it_is_keeps_its_groups(tmp_path: Path) -> None:
    write(tmp_path, a="same", b="same")
    assert len(set(groups(list_data(tmp_path)))) == 2
    assert len(set(groups(read_data(tmp_path)))) == 1
