"""Layouts of data sets, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from learning.errors import DataError
from learning.images.readers import find_images, read_data
from learning.splits import split_groups


def touch(root: Path, *names: str) -> None:
    """Files that are called images and cannot be read: listing a data set looks at no picture."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(f"closed: {name}".encode())


def mvtec(root: Path) -> None:
    touch(root, "train/good/0.png", "train/good/1.PNG", "train/scratch/9.png", "test/good/2.png", "test/scratch/3.jpg")
    touch(root, "test/scratch/4.jpg", "ground_truth/scratch/3_mask.png", "license.txt", "train/good/.hidden.png")


def test_mvtec(tmp_path: Path) -> None:
    mvtec(tmp_path)
    found = [(r.part, r.label, r.split, r.mask and r.mask.name) for r in read_data(tmp_path)]
    assert found == [
        ("train/good/0.png", "good", "train", None),
        ("train/good/1.PNG", "good", "train", None),
        ("train/scratch/9.png", "scratch", "train", None),
        ("test/good/2.png", "good", "test", None),
        ("test/scratch/3.jpg", "scratch", "test", "3_mask.png"),
        ("test/scratch/4.jpg", "scratch", "test", None),
    ]


def test_an_image_is_by_default_a_part_and_a_group_of_its_own(tmp_path: Path) -> None:
    mvtec(tmp_path)
    records = read_data(tmp_path)
    assert len({r.group for r in records}) == len({r.part for r in records}) == len(records)


def test_masks_must_belong_to_one_image(tmp_path: Path) -> None:
    mvtec(tmp_path)
    touch(tmp_path, "ground_truth/scratch/3.png")
    with pytest.raises(DataError, match="one to one"):
        read_data(tmp_path)
    (tmp_path / "ground_truth/scratch/3.png").unlink()
    touch(tmp_path, "test/scratch/3.png")
    with pytest.raises(DataError, match="one to one"):
        read_data(tmp_path)


def test_masks_of_a_class_that_match_nothing_are_refused(tmp_path: Path) -> None:
    mvtec(tmp_path)
    (tmp_path / "ground_truth/scratch/3_mask.png").rename(tmp_path / "ground_truth/scratch/mask_of_3.png")
    with pytest.raises(DataError, match="stem"):
        read_data(tmp_path)


def test_class_folders_are_split_by_group_and_seed(tmp_path: Path) -> None:
    touch(tmp_path, *(f"good/lot{i % 20}_{i}.png" for i in range(100)), *(f"crack/c{i}.png" for i in range(5)))
    records = read_data(tmp_path, groups=r"(lot\d+|c\d+)_?")
    by_split = {s: {r.group for r in records if r.split == s} for s in ("train", "test")}
    assert not by_split["train"] & by_split["test"]
    assert len([r for r in records if r.split == "train" and r.label == "good"]) == 70
    assert all(r.split == "test" for r in records if r.label == "crack")
    assert read_data(tmp_path, groups=r"(lot\d+|c\d+)_?") == records
    assert read_data(tmp_path, groups=r"(lot\d+|c\d+)_?", seed=1) != records


def test_defects_in_a_training_group_are_not_tested_on(tmp_path: Path) -> None:
    touch(tmp_path, *(f"good/{i}_a.png" for i in range(10)), *(f"crack/{i}_b.png" for i in range(10)))
    records = read_data(tmp_path, groups=r"(\d+)_")
    assert len([r for r in records if r.split == "test" and r.label == "crack"]) == 3


def test_plain_folder(tmp_path: Path) -> None:
    touch(tmp_path, "b.png", "a.jpeg", ".c.png", "notes.txt", ".cache/d.png")
    assert [(r.part, r.label, r.split) for r in read_data(tmp_path)] == [
        ("a.jpeg", "unlabelled", None),
        ("b.png", "unlabelled", None),
    ]


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ([], "no images"),
        (["notes.txt", ".hidden.png"], "no images"),
        (["lot1/a.png", "lot2/b.png"], "none called good"),
        (["train/good/a.png", "good/b.png"], "ambiguous"),
        (["train/good/a.png", "b.png"], "ambiguous"),
        (["good/a.png", "b.png"], "ambiguous"),
        (["train/good/a.png", "test/b.png"], "class folders"),
    ],
)
def test_other_layouts_are_refused(tmp_path: Path, names: list[str], reason: str) -> None:
    touch(tmp_path, *names)
    with pytest.raises(DataError, match=reason):
        read_data(tmp_path)


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist; accepted are"):
        read_data(tmp_path / "nowhere")


def test_groups_file_is_read_by_itself(tmp_path: Path) -> None:
    touch(tmp_path, "good/a.png", "good/b.png", "good/c.png")
    (tmp_path / "groups.csv").write_text("image,group\ngood/a.png,t1\ngood/b.png,t1\ngood/c.png,t2\nold.png,t3\n")
    assert [r.group for r in read_data(tmp_path)] == ["t1", "t1", "t2"]
    assert [r.group for r in read_data(tmp_path, groups=r"[a-z]\.png$")] == ["a.png", "b.png", "c.png"]


@pytest.mark.parametrize(
    ("folder", "names"),
    [
        ("lists", ("good/a.png", "good/b.png")),
        ("lists", ("../set/good/a.png", "../set/good/b.png")),
        ("lists", ("..\\set\\good\\a.png", "..\\set\\good\\b.png")),
        (".", ("set/good/a.png", "./set/good/b.png")),
        ("set/good", ("a.png", "b.png")),
    ],
)
def test_a_groups_file_elsewhere_names_images_from_the_data_or_from_its_own_folder(
    tmp_path: Path, folder: str, names: tuple[str, str]
) -> None:
    touch(tmp_path, "set/good/a.png", "set/good/b.png", "lists/other.txt")
    table = tmp_path / folder / "groups of set.csv"
    table.write_text(f"image,group\n{names[0]},t1\n{names[1]},t2\n")
    assert [r.group for r in read_data(tmp_path / "set", groups=str(table))] == ["t1", "t2"]


def test_names_of_a_groups_file_are_not_taken_from_two_folders(tmp_path: Path) -> None:
    touch(tmp_path, "set/good/a.png", "set/good/b.png")
    table = tmp_path / "groups.csv"
    table.write_text("image,group\ngood/a.png,t1\nset/good/b.png,t2\n")
    with pytest.raises(DataError, match=r"no group for good/b\.png;.*relative to .*set, or all to"):
        read_data(tmp_path / "set", groups=str(table))


@pytest.mark.parametrize("name", ["set", "link"])
@pytest.mark.parametrize("data", ["set", "link"])
def test_a_groups_file_and_data_may_use_links(tmp_path: Path, name: str, data: str) -> None:
    touch(tmp_path, "set/good/a.png", "set/good/b.png")
    (tmp_path / "link").symlink_to("set")
    table = tmp_path / "groups.csv"
    table.write_text(f"image,group\n{name}/good/a.png,t1\n{name}/good/b.png,t2\n")
    assert [r.group for r in read_data(tmp_path / data, groups=str(table))] == ["t1", "t2"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("image,group\ngood/a.png,t1\n", "no group for good/b.png"),
        ("image,group\ngood/a.png,t1\ngood/a.png,t2\n", "line 3.*two groups"),
        ("image,tile\ngood/a.png,t1\n", "no column group"),
        ("image,group\ngood/a.png,\n", "line 2.*empty"),
        ("image,group\ngood/a.png,t1,x\n", "line 2: 3 values"),
        ("", "no column image"),
    ],
)
def test_wrong_groups_files_are_refused(tmp_path: Path, text: str, reason: str) -> None:
    touch(tmp_path, "good/a.png", "good/b.png")
    (tmp_path / "groups.csv").write_text(text)
    with pytest.raises(DataError, match=reason):
        read_data(tmp_path)


@pytest.mark.parametrize(
    ("groups", "reason"), [("lot(", "regular expression"), ("lot", "finds nothing"), ("x.csv", "exist")]
)
def test_wrong_patterns_are_refused(tmp_path: Path, groups: str, reason: str) -> None:
    touch(tmp_path, "good/a.png")
    with pytest.raises(DataError, match=reason):
        read_data(tmp_path, groups=groups)


def test_a_given_split_that_leaks_is_refused_with_the_pair(tmp_path: Path) -> None:
    touch(tmp_path, "train/good/t7_1.png", "test/good/t7_2.png", "test/good/t8_1.png")
    with pytest.raises(DataError, match=r"train/good/t7_1\.png \(train\) and .*test/good/t7_2\.png \(test\)"):
        read_data(tmp_path, groups=r"(t\d)_")


def test_table(tmp_path: Path) -> None:
    touch(tmp_path, "x/a.png", "x/b.png", "x/c.png", "m.png")
    (tmp_path / "d.csv").write_text(
        "\ufeffImage; label;part;lot;camera;time;split;mask\n"
        "x/a.png;good;p1;L1;top;2026-01-01T00:00:00Z;train;\n"
        "x/b.png;;p1;L1;side;;train;\n"
        "x/c.png;crack;p2;;;;test;m.png\n",
        encoding="utf-8",
    )
    a, b, c = read_data(tmp_path / "d.csv")
    assert (a.path, a.label, a.part, a.group, a.lot, a.camera) == (
        tmp_path / "x/a.png",
        "good",
        "p1",
        "p1",
        "L1",
        "top",
    )
    assert (b.label, b.part, b.time, b.split) == ("unlabelled", "p1", None, "train")
    assert (c.label, c.mask, c.split, c.defective) == ("crack", tmp_path / "m.png", "test", True)


def test_table_without_a_split_is_split_by_group_where_it_holds_defects(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{i}.png" for i in range(12)))
    rows = [f"{i}.png,{'good' if i < 10 else 'crack'},lot{i // 2}" for i in range(12)]
    (tmp_path / "d.csv").write_text("\n".join(["image,label,group", *rows]))
    records = read_data(tmp_path / "d.csv")
    assert {r.split for r in records if r.defective} == {"test"}
    assert len({r.group for r in records if r.split == "train"}) == 4
    (tmp_path / "d.csv").write_text("\n".join(["image,label,group", *rows[:10]]))
    assert {r.split for r in read_data(tmp_path / "d.csv")} == {None}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("image,lable\na.png,good\n", "lable.*columns are image, label"),
        ("label\ngood\n", "no column image"),
        ("image\nb.png\n", "do not exist: b.png"),
        ("image\na.png\na.png\n", "line 3.*twice"),
        ("image,split\na.png,dev\n", "line 2: split is 'dev'"),
        ("image\n", "holds no images"),
        ("image,time\na.png,2026-03-01T06:00\nc.png,01.03.2026\n", "line 3: time is '01.03.2026'; write it as"),
        ("image,part,group\na.png,p,g1\nc.png,p,g2\nd.png,,g3\n", "part lies in several groups"),
        # A quotation mark that is not closed takes in all that follows.
        ('image,label\na.png,good\n"c.png,good\nd.png,good\n', "line 3: .* not closed"),
        ('image,label\na.png,good\n"c.png,good\n' + "d.png,good\n" * 20_000, "line 3: .* not closed"),
    ],
)
def test_wrong_tables_are_refused(tmp_path: Path, text: str, reason: str) -> None:
    touch(tmp_path, "a.png", "c.png", "d.png")
    (tmp_path / "d.csv").write_text(text)
    with pytest.raises(DataError, match=reason):
        split_groups(read_data(tmp_path / "d.csv"))


def test_a_stray_quotation_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "b.png", "c.png")
    table = tmp_path / "table.csv"
    table.write_text('image,label,part\na.png,good,"P1\nb.png,good,"P2\nc.png,good,P3\n')
    with pytest.raises(DataError, match=r"table.csv, line 2: .*quotation mark"):
        read_data(table)
    table.write_text('image,label,part\na.png,good,"P1, left"\nb.png,good,P2\nc.png,good,P3\n')
    assert [record.part for record in read_data(table)] == ["P1, left", "P2", "P3"]


def test_an_image_instead_of_a_table_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.full((9, 9), 200, dtype=np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match="not a CSV"):
        read_data(tmp_path / "a.png")


def test_find_images_goes_into_folders(tmp_path: Path) -> None:
    touch(tmp_path, "x/y/a.png", "x/b.txt", "c.bmp")
    assert find_images([tmp_path / "x", tmp_path / "c.bmp", tmp_path]) == [tmp_path / "x/y/a.png", tmp_path / "c.bmp"]
    touch(tmp_path, "empty/b.txt")
    with pytest.raises(DataError, match="no images"):
        find_images([tmp_path / "empty"])
    with pytest.raises(DataError, match="does not exist"):
        find_images([tmp_path / "nowhere"])
