"""Labels that folders and tables say."""

from pathlib import Path

import pytest
from PIL import Image

from curation.labels import Reading
from curation.labels.folders import read_folders
from learning.errors import DataError
from tests.curation.labels.found import by_name, mask_of


def test_folders_of_classes_may_call_good_parts_otherwise(pictures: Path) -> None:
    data = pictures.parent / "classes"
    for number, name in enumerate(("OK", "NG", "dent")):
        (data / name).mkdir(parents=True)
        (pictures / f"{number}.png").rename(data / name / f"{number}.png")
    labels = by_name(read_folders(data, Reading(), None))
    assert {name: (label.verdict, label.defect_class) for name, label in labels.items()} == {
        "0": ("good", None),
        "1": ("defect", None),
        "2": ("defect", "dent"),
    }


@pytest.mark.parametrize(("good", "inside"), [("good", "test/"), ("OK", "")])
def test_groups_hold_in_every_layout_of_folders(pictures: Path, good: str, inside: str) -> None:
    """Without ``train/``, and where good parts are called otherwise than in training."""
    data = pictures.parent / "data"
    for number, name in enumerate((good, "dent")):
        folder = data / inside / name
        folder.mkdir(parents=True)
        (pictures / f"{number}.png").rename(folder / f"{number}.png")
    by_pattern = by_name(read_folders(data, Reading(), r"(\d)\.png"))
    assert {name: label.group for name, label in by_pattern.items()} == {"0": "0", "1": "1"}
    (data / "groups.csv").write_text(f"image,group\n{inside}{good}/0.png,a\n{inside}dent/1.png,b\n")
    found = by_name(read_folders(data, Reading(), None))
    assert {name: label.group for name, label in found.items()} == {"0": "a", "1": "b"}
    with pytest.raises(DataError, match="does not exist"):
        read_folders(data, Reading(), "nowhere.csv")


def test_the_folder_test_alone_takes_its_masks_from_beside_it(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = pictures.parent / "mvtec"
    for folder in ("train/good", "test/good", "test/dent", "ground_truth/dent"):
        (data / folder).mkdir(parents=True)
    for number, folder in enumerate(("train/good", "test/good", "test/dent")):
        (pictures / f"{number}.png").rename(data / folder / f"{number}.png")
    Image.new("L", (30, 20), 255).save(data / "ground_truth" / "dent" / "2_mask.png")
    rows = [f"{folder}/{number}.png,{number}" for number, folder in enumerate(("train/good", "test/good", "test/dent"))]
    (data / "groups.csv").write_text("\n".join(["image,group", *rows]))
    monkeypatch.chdir(data / "test")
    for source in (data / "test", Path()):
        found = read_folders(source, Reading(), None)
        assert sorted(by_name(found)) == ["1", "2"]
        assert mask_of(found, "2") == 600
        assert by_name(found)["2"].group == "2"
        assert found.refused == []


def test_a_mask_without_a_picture_is_named(pictures: Path) -> None:
    data = pictures.parent / "mvtec"
    for folder in ("test/dent", "ground_truth/dent"):
        (data / folder).mkdir(parents=True)
    (pictures / "0.png").rename(data / "test" / "dent" / "0.png")
    for name in ("0_mask.png", "1_mask.png"):
        Image.new("L", (30, 20), 255).save(data / "ground_truth" / "dent" / name)
    found = read_folders(data, Reading(), None)
    assert [one.what.rpartition("/")[2] for one in found.refused] == ["1_mask.png"]


def test_a_table_that_names_what_is_gone_is_taken_without_it(pictures: Path) -> None:
    table = pictures.parent / "labels.csv"
    Image.new("L", (30, 20), 255).save(pictures.parent / "mask.png")
    rows = ["0,good,", "1,dent,mask.png", "9,dent,", "2,dent,none.png"]
    lines = [f"images/{name}.png,{rest}" for name, rest in (row.split(",", 1) for row in rows)]
    table.write_text("\n".join(["image,label,mask", *lines]))
    found = read_folders(table, Reading(), None)
    assert sorted(by_name(found)) == ["0", "1", "2"]
    assert [(one.what.rpartition("/")[2], one.reason) for one in found.refused] == [("9.png", "there is no such file")]
    assert mask_of(found, "1") == 600
    with pytest.raises(DataError, match="no such file as its mask"):
        mask_of(found, "2")
